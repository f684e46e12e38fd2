-- The files of a closed day: what is claimed from a bank, what it reports, and the differences that this shows.

-- Files that were taken in. One that is not DONE is gone on with when the same file comes again.
CREATE TABLE settlement_imports (
    id            TEXT   NOT NULL PRIMARY KEY,
    host_id       TEXT   NOT NULL,
    kind          TEXT   NOT NULL, -- REPORT
    name          TEXT   NOT NULL, -- the file's name, for people
    sha256        TEXT   NOT NULL, -- of the file, as hexadecimal digits
    business_date TEXT   NOT NULL,
    lines         BIGINT NOT NULL, -- how many it has, without the first and the last ones
    state         TEXT   NOT NULL, -- RECEIVED, APPLYING, DONE, or AMENDED: another file came in its place
    applied_to    BIGINT NOT NULL, -- how many of its lines were applied
    matched       BIGINT NOT NULL, -- how many of them have an item
    clears        BIGINT NOT NULL, -- 1: an amended import of the date has left what is to be cleared first
    operator      TEXT   NOT NULL,
    at_ms         BIGINT NOT NULL
);
CREATE UNIQUE INDEX settlement_imports_file ON settlement_imports (host_id, sha256);
-- A date has one report that stands.
CREATE UNIQUE INDEX settlement_imports_date ON settlement_imports (host_id, business_date, kind) WHERE state <> 'AMENDED';

-- What the bank says of an item; all of it NULL before a report has it. Amounts are minor units of the item's currency.
ALTER TABLE settlement_items ADD COLUMN acquirer_reference TEXT;
ALTER TABLE settlement_items ADD COLUMN interchange_minor BIGINT;
ALTER TABLE settlement_items ADD COLUMN scheme_fee_minor BIGINT;
ALTER TABLE settlement_items ADD COLUMN commission_minor BIGINT;
ALTER TABLE settlement_items ADD COLUMN bank_minor BIGINT; -- its amount as the bank has it; NULL in another currency
ALTER TABLE settlement_items ADD COLUMN reject_code TEXT;  -- why the bank does not settle it
ALTER TABLE settlement_items ADD COLUMN settled_by TEXT;   -- the import
CREATE INDEX settlement_items_settled_by ON settlement_items (settled_by) WHERE settled_by IS NOT NULL;

-- The report by which the batch is funded; NULL before it is applied.
ALTER TABLE settlement_batches ADD COLUMN report_id TEXT;

-- What a bank's report has otherwise than payswitch.
CREATE TABLE settlement_differences (
    id             TEXT   NOT NULL PRIMARY KEY, -- what it is of, so that nothing is found twice
    import_id      TEXT   NOT NULL,
    kind           TEXT   NOT NULL,
    host_id        TEXT   NOT NULL,
    business_date  TEXT   NOT NULL, -- with host, merchant and currency: the batch
    merchant_id    TEXT,            -- NULL: of no merchant that is known
    currency       TEXT   NOT NULL,
    operation_id   TEXT,            -- NULL: of no item
    subject_id     TEXT,            -- the capture or refund of that
    rrn            TEXT,            -- as the report has it
    ours           TEXT,            -- minor units, a date, or a currency; NULL: nothing
    theirs         TEXT,
    line           BIGINT,          -- the number of the report's line; NULL: it has none
    found_at_ms    BIGINT NOT NULL,
    accepted_at_ms BIGINT           -- when an approver accepted it; NULL before
);
CREATE INDEX settlement_differences_batch ON settlement_differences (host_id, business_date, merchant_id, currency);
CREATE INDEX settlement_differences_day ON settlement_differences (host_id, business_date, id);
CREATE INDEX settlement_differences_import ON settlement_differences (import_id, id);

-- The files that claim what a bank learns of by file. Each lies in the gateway's folder of files before it is here.
CREATE TABLE settlement_files (
    host_id       TEXT   NOT NULL,
    business_date TEXT   NOT NULL,
    cycle         BIGINT NOT NULL, -- which file of the date, from 1
    name          TEXT   NOT NULL,
    sha256        TEXT   NOT NULL, -- of its bytes, as hexadecimal digits
    bytes         BIGINT NOT NULL, -- how many it has
    item_count    BIGINT NOT NULL,
    sums          TEXT   NOT NULL, -- JSON: currency, count and sum in minor units, for each currency
    written_at_ms BIGINT NOT NULL,
    PRIMARY KEY (host_id, business_date, cycle)
) /*SQLITE WITHOUT ROWID */;
