-- What merchants pay and are paid: their terms, the fees of what is settled, payouts, and the orders that they are in.

-- The terms of a merchant; a merchant without a row has none: no fees, and no payouts.
CREATE TABLE merchant_terms (
    merchant_id   TEXT   NOT NULL PRIMARY KEY,
    version       BIGINT NOT NULL, -- from 1; one more with each change
    legal_name    TEXT   NOT NULL,
    fee_plan      TEXT,            -- JSON
    payout_plan   TEXT,            -- JSON
    account       TEXT,            -- JSON: where payouts go to
    updated_at_ms BIGINT NOT NULL
) /*SQLITE WITHOUT ROWID */;

-- Changes of the account that payouts go to: one operator asks, another one confirms, and a while later it is so.
CREATE TABLE merchant_account_changes (
    id              TEXT   NOT NULL PRIMARY KEY,
    merchant_id     TEXT   NOT NULL,
    account         TEXT   NOT NULL, -- JSON
    state           TEXT   NOT NULL, -- PENDING, CONFIRMED, EFFECTIVE or CANCELLED
    asked_by        TEXT   NOT NULL,
    asked_at_ms     BIGINT NOT NULL,
    confirmed_by    TEXT,
    confirmed_at_ms BIGINT,
    effective_at_ms BIGINT           -- when it is so, or will be; NULL before it is confirmed
) /*SQLITE WITHOUT ROWID */;
CREATE INDEX merchant_account_changes_newest ON merchant_account_changes (merchant_id, id);
CREATE UNIQUE INDEX merchant_account_changes_open ON merchant_account_changes (merchant_id)
    WHERE state IN ('PENDING', 'CONFIRMED');

-- What an item costs its merchant; NULL: not computed.
ALTER TABLE settlement_items ADD COLUMN fee_interchange_minor BIGINT;
ALTER TABLE settlement_items ADD COLUMN fee_scheme_minor BIGINT;
ALTER TABLE settlement_items ADD COLUMN fee_markup_minor BIGINT;
ALTER TABLE settlement_items ADD COLUMN fee_tax_minor BIGINT;

-- The fees of a batch: the plan that they are computed by, how far that has come, and their sums so far.
ALTER TABLE settlement_batches ADD COLUMN fee_terms_version BIGINT; -- NULL: not begun; 0: the merchant has no terms
ALTER TABLE settlement_batches ADD COLUMN fee_plan TEXT;            -- JSON: the plan of that version
ALTER TABLE settlement_batches ADD COLUMN fees_to TEXT;             -- the last capture or refund that is computed
ALTER TABLE settlement_batches ADD COLUMN fee_interchange_minor BIGINT;
ALTER TABLE settlement_batches ADD COLUMN fee_scheme_minor BIGINT;
ALTER TABLE settlement_batches ADD COLUMN fee_markup_minor BIGINT;
ALTER TABLE settlement_batches ADD COLUMN fee_tax_minor BIGINT;
ALTER TABLE settlement_batches ADD COLUMN fees_at_ms BIGINT;        -- when all of them were computed
CREATE INDEX settlement_batches_without_fees ON settlement_batches (business_date, id) WHERE fees_at_ms IS NULL;
-- What was funded before there were fees stays as it was.
UPDATE settlement_batches SET fees_at_ms = funded_at_ms, fee_terms_version = 0, fee_interchange_minor = 0,
    fee_scheme_minor = 0, fee_markup_minor = 0, fee_tax_minor = 0 WHERE funded_at_ms IS NOT NULL;

-- Money that is paid to merchants.
CREATE TABLE payouts (
    id                     TEXT   NOT NULL PRIMARY KEY,
    merchant_id            TEXT   NOT NULL,
    host_id                TEXT   NOT NULL,
    currency               TEXT   NOT NULL,
    amount_minor           BIGINT NOT NULL, -- above 0
    reserve_minor          BIGINT NOT NULL, -- held back instead; 0 or more
    reserve_until          TEXT,            -- the date on which that is given back; NULL where it is 0
    reserve_released_by    TEXT,            -- the payout that it was given back with
    reserve_released_minor BIGINT NOT NULL, -- what this payout gives back of earlier ones
    state                  TEXT   NOT NULL, -- CREATED, SENT, PAID, RETURNED or FAILED
    made_on                TEXT   NOT NULL, -- the date at its host on which it was made
    arrival_date           TEXT   NOT NULL,
    account                TEXT   NOT NULL, -- JSON: where it goes to
    destination            TEXT   NOT NULL, -- the account, masked
    order_id               TEXT,            -- the payment order that it is in
    bank_reference         TEXT,            -- the bank's own
    return_reason          TEXT,
    made_position          BIGINT NOT NULL, -- of its event
    ended_position         BIGINT,          -- of the event that it was paid or returned
    created_at_ms          BIGINT NOT NULL,
    sent_at_ms             BIGINT,
    ended_at_ms            BIGINT,
    version                BIGINT NOT NULL
) /*SQLITE WITHOUT ROWID */;
CREATE INDEX payouts_newest ON payouts (merchant_id, id);
CREATE INDEX payouts_of_host ON payouts (merchant_id, host_id, currency, made_position);
CREATE INDEX payouts_created ON payouts (host_id, id) WHERE order_id IS NULL;
CREATE INDEX payouts_ordered ON payouts (order_id, id) WHERE order_id IS NOT NULL;
CREATE INDEX payouts_reserves ON payouts (merchant_id, host_id, currency)
    WHERE reserve_minor > 0 AND reserve_released_by IS NULL;

-- Orders to banks: each holds payouts of one host.
CREATE TABLE payment_orders (
    id            TEXT   NOT NULL PRIMARY KEY, -- what the bank knows it by
    host_id       TEXT   NOT NULL,
    debtor        TEXT   NOT NULL, -- JSON: the account that pays, as it was configured then
    file_name     TEXT   NOT NULL,
    sha256        TEXT,            -- of the file, hex; NULL until it is written
    created_at_ms BIGINT NOT NULL,
    sent_at_ms    BIGINT           -- when the file was there; NULL before
) /*SQLITE WITHOUT ROWID */;
CREATE INDEX payment_orders_unsent ON payment_orders (created_at_ms) WHERE sent_at_ms IS NULL;
