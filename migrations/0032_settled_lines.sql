-- What a report says of an item changes no index of the items: on PostgreSQL each index would get a new entry for it.

-- The items that a line of a report settles.
CREATE TABLE settled_lines (
    import_id    TEXT   NOT NULL,
    line         BIGINT NOT NULL, -- 0 where a version before migration 24 has settled it
    operation_id TEXT   NOT NULL, -- the item's
    PRIMARY KEY (import_id, line, operation_id)
) /*SQLITE WITHOUT ROWID */;
INSERT INTO settled_lines (import_id, line, operation_id)
SELECT settled_by, COALESCE(settled_line, 0), operation_id FROM settlement_items WHERE settled_by IS NOT NULL;
DROP INDEX settlement_items_settled_by;

-- 1: the report of its day was applied and had no line for it, or the line that it had was taken back. What is open of a
-- day whose report is not applied is found by its day.
ALTER TABLE settlement_items ADD COLUMN missed BIGINT;
UPDATE settlement_items SET missed = 1 WHERE settled_by IS NULL AND business_date IS NOT NULL AND EXISTS (SELECT 1
    FROM settlement_imports AS imports WHERE imports.host_id = settlement_items.host_id
    AND imports.business_date = settlement_items.business_date AND imports.kind = 'REPORT' AND imports.state = 'DONE');
DROP INDEX settlement_items_open;
CREATE INDEX settlement_items_missed ON settlement_items (host_id, merchant_id, business_date) WHERE missed = 1;

-- There is room beside each item for what a report and a fee plan say of it later, so that no index changes then either.
/*POSTGRES ALTER TABLE settlement_items SET (fillfactor = 40); */
