-- Balances that are summed already, so that no balance has many lines to sum; and the seals of the ledger.

CREATE TABLE ledger_checkpoints (
    merchant_id  TEXT   NOT NULL,
    host_id      TEXT   NOT NULL,
    currency     TEXT   NOT NULL,
    account      TEXT   NOT NULL,
    position     BIGINT NOT NULL, -- the lines up to this position are summed
    amount_minor BIGINT NOT NULL, -- a debit is positive, a credit negative
    PRIMARY KEY (merchant_id, host_id, currency, account)
) /*SQLITE WITHOUT ROWID */;

-- Each seal as the one line that is also written outside the database (docs/ledger.md).
CREATE TABLE ledger_seals (
    number BIGINT NOT NULL PRIMARY KEY, -- from 1, without a gap
    line   TEXT   NOT NULL
);
