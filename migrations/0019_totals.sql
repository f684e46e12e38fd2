-- How a business date is agreed with its host, and what follows for its batches.

-- The date in the bank's answer (DE 15), where it is another than the day that was open; NULL where it is the same, or
-- the bank names none.
ALTER TABLE settlement_items ADD COLUMN bank_date TEXT;
CREATE INDEX settlement_items_dated ON settlement_items (host_id, business_date) WHERE bank_date IS NOT NULL;
-- When the totals of the batch were first sent; when its money became available to its merchant.
ALTER TABLE settlement_batches ADD COLUMN submitted_at_ms BIGINT;
ALTER TABLE settlement_batches ADD COLUMN funded_at_ms BIGINT;
-- When all batches of the day were funded.
ALTER TABLE business_days ADD COLUMN settled_at_ms BIGINT;
CREATE INDEX business_days_unsettled ON business_days (host_id, business_date)
    WHERE batched_at_ms IS NOT NULL AND settled_at_ms IS NULL;

-- The totals that are agreed with a host: of all its items of a date and currency, of one merchant's, or of one terminal's.
CREATE TABLE settlement_totals (
    host_id           TEXT   NOT NULL,
    business_date     TEXT   NOT NULL,
    currency          TEXT   NOT NULL,
    merchant_id       TEXT   NOT NULL, -- empty: of all merchants
    terminal_id       TEXT   NOT NULL, -- empty: of all terminals
    acceptor_id       TEXT   NOT NULL, -- DE 42 of the merchant; empty: of all merchants
    capture_count     BIGINT NOT NULL,
    captured_minor    BIGINT NOT NULL,
    refund_count      BIGINT NOT NULL,
    refunded_minor    BIGINT NOT NULL,
    state             TEXT   NOT NULL, -- DUE, UPLOADING, IN_BALANCE, OUT_OF_BALANCE or STOPPED
    uploaded          BIGINT NOT NULL, -- 1: its items were uploaded
    uploaded_to       TEXT,            -- the last capture or refund that was uploaded
    upload            TEXT,            -- JSON: DE 7 and DE 11 of the items that are being uploaded after it
    sent              BIGINT NOT NULL, -- how often the message was sent
    stan              BIGINT,          -- DE 11, the same however often it is sent
    transmitted_at_ms BIGINT,          -- DE 7, likewise
    next_at_ms        BIGINT,          -- when it is sent next; NULL where it is not
    bank_totals       TEXT,            -- JSON: what the host says instead
    response_code     TEXT,            -- DE 39 of a host that can't compare them
    version           BIGINT NOT NULL,
    updated_at_ms     BIGINT NOT NULL,
    PRIMARY KEY (host_id, business_date, currency, merchant_id, terminal_id)
) /*SQLITE WITHOUT ROWID */;
CREATE INDEX settlement_totals_due ON settlement_totals (host_id, next_at_ms) WHERE next_at_ms IS NOT NULL;
