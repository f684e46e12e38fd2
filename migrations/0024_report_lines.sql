-- The lines of banks' reports, and what becomes of what is otherwise.

-- Each line as it came. Nothing changes what it says.
CREATE TABLE report_lines (
    import_id    TEXT   NOT NULL,
    line         BIGINT NOT NULL, -- its number in the file
    acceptor     TEXT   NOT NULL, -- as the line has it (DE 42)
    currency     TEXT   NOT NULL,
    said         TEXT   NOT NULL, -- JSON: what it says
    state        TEXT   NOT NULL, -- OPEN, MATCHED, ONCE_MORE, AMBIGUOUS or UNKNOWN
    operation_id TEXT,            -- whose item it is about
    rule         TEXT,            -- by which rule
    PRIMARY KEY (import_id, line)
) /*SQLITE WITHOUT ROWID */;
CREATE INDEX report_lines_open ON report_lines (import_id, acceptor, line) WHERE state = 'OPEN';

-- The line that settles the item, in the report that settled_by names.
ALTER TABLE settlement_items ADD COLUMN settled_line BIGINT;
DROP INDEX settlement_items_settled_by;
CREATE INDEX settlement_items_settled_by ON settlement_items (settled_by, settled_line) WHERE settled_by IS NOT NULL;
-- What no line has settled yet.
CREATE INDEX settlement_items_open ON settlement_items (host_id, merchant_id, business_date)
    WHERE settled_by IS NULL AND business_date IS NOT NULL;

-- A difference is looked after until it is corrected or accepted.
ALTER TABLE settlement_differences ADD COLUMN rule TEXT;          -- the matching rule that found it
ALTER TABLE settlement_differences ADD COLUMN candidates TEXT;    -- captures and refunds that the line may be about, with a blank between two
ALTER TABLE settlement_differences ADD COLUMN state TEXT NOT NULL DEFAULT 'OPEN';
ALTER TABLE settlement_differences ADD COLUMN owner TEXT;         -- the operator who looks after it
ALTER TABLE settlement_differences ADD COLUMN due_at_ms BIGINT;   -- when it should be decided
ALTER TABLE settlement_differences ADD COLUMN updated_at_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE settlement_differences ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE settlement_differences ADD COLUMN proposal TEXT;      -- JSON: the correction that waits for a second person
ALTER TABLE settlement_differences ADD COLUMN correction TEXT;    -- the id of the journal that corrects it
ALTER TABLE settlement_differences ADD COLUMN position BIGINT;    -- of its last event
UPDATE settlement_differences SET updated_at_ms = found_at_ms,
    state = CASE WHEN accepted_at_ms IS NULL THEN 'OPEN' ELSE 'ACCEPTED' END;
CREATE INDEX settlement_differences_merchant ON settlement_differences (merchant_id, id) WHERE merchant_id IS NOT NULL;
CREATE INDEX settlement_differences_open ON settlement_differences (id) WHERE state NOT IN ('ACCEPTED', 'CORRECTED');
CREATE INDEX settlement_differences_operation ON settlement_differences (operation_id) WHERE operation_id IS NOT NULL;

-- What was done about a difference, and by whom.
CREATE TABLE difference_changes (
    difference_id TEXT   NOT NULL,
    version       BIGINT NOT NULL, -- that of the difference after it
    at_ms         BIGINT NOT NULL,
    state         TEXT   NOT NULL, -- of the difference after it
    actor         TEXT   NOT NULL, -- an operator's name, or payswitch
    reason        TEXT   NOT NULL,
    PRIMARY KEY (difference_id, version)
) /*SQLITE WITHOUT ROWID */;
