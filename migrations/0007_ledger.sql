-- Events and the ledger. What has an event takes a position: numbers without a gap, in the order of the commits,
-- because they come from one row that a transaction holds until its COMMIT, and a rollback gives back. None of
-- these tables has a foreign key: they are written last, while other writers wait for that row.

-- The row that positions are taken from. There is one stream: 0.
CREATE TABLE positions (
    stream BIGINT NOT NULL PRIMARY KEY,
    next   BIGINT NOT NULL -- the position that is taken next; all below it are taken
) /*SQLITE WITHOUT ROWID */;
INSERT INTO positions (stream, next) VALUES (0, 1);

-- What happened to payments: a row for every change that a merchant can see. It holds what the change may have
-- changed; what never changes stands with the payment.
CREATE TABLE events (
    stream           BIGINT NOT NULL,
    position         BIGINT NOT NULL, -- from 1
    payment_id       TEXT,            -- NULL: it is of no payment
    payment_sequence BIGINT NOT NULL, -- the payment's version right after it; 0: it is of no payment
    kind             TEXT   NOT NULL, -- PAYMENT_AUTHORIZED, ...: as in the API
    at_ms            BIGINT NOT NULL,
    operation_id     TEXT,            -- the operation that made the change
    state_detail     TEXT   NOT NULL, -- JSON: the payment's state right after it, with what the state owns
    amounts          TEXT   NOT NULL, -- JSON: the payment's amounts right after it, without those that are zero
    PRIMARY KEY (stream, position)
) /*SQLITE WITHOUT ROWID */;

-- Movements of money, at the position of their event. Rows are never changed, and never removed.
CREATE TABLE journals (
    stream         BIGINT NOT NULL,
    position       BIGINT NOT NULL, -- of its event
    id             TEXT   NOT NULL, -- the operation, ':', and the template
    business_date  TEXT,            -- the bank's date of what it settles; NULL before there is one
    at_ms          BIGINT NOT NULL,
    content_sha256 TEXT   NOT NULL, -- of the canonical text of id, at_ms and lines (docs/ledger.md), hex
    PRIMARY KEY (stream, position)
) /*SQLITE WITHOUT ROWID */;
CREATE UNIQUE INDEX journals_id ON journals (id);

-- Their lines: for each journal and currency they sum to zero.
CREATE TABLE ledger_lines (
    stream       BIGINT NOT NULL,
    position     BIGINT NOT NULL, -- of its journal
    n            BIGINT NOT NULL, -- from 0
    account      TEXT   NOT NULL, -- RECEIVABLE, PAYABLE_PENDING, ...
    merchant_id  TEXT   NOT NULL,
    host_id      TEXT   NOT NULL,
    currency     TEXT   NOT NULL,
    amount_minor BIGINT NOT NULL, -- a debit is positive, a credit negative
    PRIMARY KEY (stream, position, n)
) /*SQLITE WITHOUT ROWID */;
CREATE INDEX ledger_lines_merchant ON ledger_lines (merchant_id, position);
