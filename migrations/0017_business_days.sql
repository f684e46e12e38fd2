-- The bank's days. What is settled with a host belongs to the day that is open when it counts; a cutover ends one day
-- and begins the next. Both hold the row of the positions until their COMMIT, so that one is before the other on
-- every node.

-- A host has one day that is open.
CREATE TABLE business_days (
    host_id       TEXT   NOT NULL,
    business_date TEXT   NOT NULL, -- YYYY-MM-DD
    opened_at_ms  BIGINT NOT NULL,
    cut_at_ms     BIGINT,          -- when it was closed; NULL while it is open
    last_position BIGINT,          -- the last position that was taken then
    closed_by     TEXT,            -- CLOCK or OPERATOR
    batched_at_ms BIGINT,          -- when its batches were made; NULL before
    PRIMARY KEY (host_id, business_date)
) /*SQLITE WITHOUT ROWID */;
CREATE UNIQUE INDEX business_days_open ON business_days (host_id) WHERE cut_at_ms IS NULL;
CREATE INDEX business_days_unbatched ON business_days (host_id) WHERE cut_at_ms IS NOT NULL AND batched_at_ms IS NULL;

-- What is settled: a row for each operation that takes or gives back money, from the moment on at which it counts.
CREATE TABLE settlement_items (
    operation_id  TEXT   NOT NULL PRIMARY KEY,
    subject_id    TEXT   NOT NULL, -- the capture or refund
    payment_id    TEXT   NOT NULL,
    merchant_id   TEXT   NOT NULL,
    host_id       TEXT   NOT NULL,
    currency      TEXT   NOT NULL,
    kind          TEXT   NOT NULL, -- CAPTURE or REFUND
    amount_minor  BIGINT NOT NULL, -- above 0
    business_date TEXT,            -- NULL: in no day, because its sale is voided
    at_ms         BIGINT NOT NULL
) /*SQLITE WITHOUT ROWID */;
-- All that the totals of a batch need, in the order in which its notes are listed.
CREATE INDEX settlement_items_batch ON settlement_items
    (host_id, business_date, merchant_id, currency, subject_id, kind, amount_minor);
CREATE INDEX settlement_items_payment ON settlement_items (payment_id);

-- The batches of days that are closed. Those of an open day are what its items say.
CREATE TABLE settlement_batches (
    id             TEXT   NOT NULL PRIMARY KEY,
    merchant_id    TEXT   NOT NULL,
    host_id        TEXT   NOT NULL,
    business_date  TEXT   NOT NULL,
    currency       TEXT   NOT NULL,
    state          TEXT   NOT NULL, -- CLOSED, SUBMITTED, SETTLED or DISPUTED
    capture_count  BIGINT NOT NULL,
    captured_minor BIGINT NOT NULL,
    refund_count   BIGINT NOT NULL,
    refunded_minor BIGINT NOT NULL,
    opened_at_ms   BIGINT NOT NULL,
    closed_at_ms   BIGINT NOT NULL
);
CREATE UNIQUE INDEX settlement_batches_day ON settlement_batches (host_id, business_date, merchant_id, currency);
CREATE INDEX settlement_batches_newest ON settlement_batches (merchant_id, business_date, id);

-- What counts already is settled with a day that was open until now; its date is the last on which its host was used.
INSERT INTO business_days (host_id, business_date, opened_at_ms)
SELECT host_id, MAX(number_date), MIN(created_at_ms) FROM operations GROUP BY host_id;
INSERT INTO settlement_items (operation_id, subject_id, payment_id, merchant_id, host_id, currency, kind, amount_minor,
    business_date, at_ms)
SELECT operations.id, captures.id, captures.payment_id, payments.merchant_id, operations.host_id, captures.currency,
    'CAPTURE', captures.amount_minor,
    CASE WHEN payments.state IN ('VOIDING', 'VOIDED') THEN NULL ELSE business_days.business_date END,
    operations.updated_at_ms
FROM captures JOIN operations ON operations.id = captures.operation_id
    JOIN payments ON payments.id = captures.payment_id
    JOIN business_days ON business_days.host_id = operations.host_id
WHERE operations.state IN ('APPROVED', 'RECORDED')
    OR operations.state = 'RESOLVED' AND operations.state_detail LIKE '%"took_effect":true%';
INSERT INTO settlement_items (operation_id, subject_id, payment_id, merchant_id, host_id, currency, kind, amount_minor,
    business_date, at_ms)
SELECT operations.id, refunds.id, refunds.payment_id, refunds.merchant_id, operations.host_id, refunds.currency,
    'REFUND', refunds.amount_minor, business_days.business_date, operations.updated_at_ms
FROM refunds JOIN operations ON operations.id = refunds.operation_id
    JOIN business_days ON business_days.host_id = operations.host_id
WHERE operations.state IN ('APPROVED', 'RECORDED')
    OR operations.state = 'RESOLVED' AND operations.state_detail LIKE '%"took_effect":true%';
