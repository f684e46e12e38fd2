-- Wire identifiers move from the payment to its operation; amounts say what is pending; what recovery looks
-- for is a column of its own. Operators, and what they did. The tables are made anew, because SQLite can't
-- change a CHECK.

DROP INDEX payments_newest;
DROP INDEX payments_merchant_reference;
DROP INDEX payments_customer_reference;
DROP INDEX operations_reference;
DROP INDEX operations_unfinished;
DROP INDEX reversals_due;
ALTER TABLE payments RENAME TO payments_before;
ALTER TABLE operations RENAME TO operations_before;
ALTER TABLE reversals RENAME TO reversals_before;
ALTER TABLE late_responses RENAME TO late_responses_before;

-- One row a payment. There is no foreign key to merchants: a payment is recorded only for a caller
-- that was authenticated from that table, and the key would make PostgreSQL lock the merchant's row
-- for each of its payments.
CREATE TABLE payments (
    id                       TEXT   NOT NULL PRIMARY KEY,
    merchant_id              TEXT   NOT NULL,
    merchant_reference       TEXT   NOT NULL, -- the merchant's order reference
    customer_reference       TEXT,            -- the merchant's customer reference
    operation_id             TEXT   NOT NULL, -- the operation that authorizes it
    amount_minor             BIGINT NOT NULL, -- what the merchant asked for
    currency                 TEXT   NOT NULL, -- ISO 4217 alpha, for all amounts of the row
    authorized_minor         BIGINT NOT NULL, -- what the issuer holds or held
    authorized_pending_minor BIGINT NOT NULL, -- the share of it that an increment in progress asks for
    captured_minor           BIGINT NOT NULL,
    captured_pending_minor   BIGINT NOT NULL, -- the share of it that a capture in progress asks for
    refunded_minor           BIGINT NOT NULL,
    refunded_pending_minor   BIGINT NOT NULL, -- the share of it that a refund in progress asks for
    disputed_minor           BIGINT NOT NULL,
    state                    TEXT   NOT NULL, -- CREATED, AUTHORIZING, AUTHORIZED, DECLINED, ...
    created_at_ms            BIGINT NOT NULL,
    updated_at_ms            BIGINT NOT NULL,
    version                  BIGINT NOT NULL, -- 1 when recorded, one more with each change
    state_detail             TEXT   NOT NULL, -- JSON: what the state owns
    detail                   TEXT   NOT NULL, -- JSON, never changed: card (brand, BIN, last four), description
    fingerprint              TEXT,            -- keyed hash of the card number, one for each merchant; NULL until cards are kept
    velocity                 TEXT,            -- keyed hash of the card number, one for the installation; never shown
    CHECK (0 <= authorized_pending_minor AND 0 <= captured_pending_minor AND 0 <= refunded_pending_minor),
    CHECK (captured_minor <= authorized_minor - authorized_pending_minor),
    CHECK (refunded_minor <= captured_minor - captured_pending_minor),
    CHECK (refunded_pending_minor <= refunded_minor AND 0 <= disputed_minor)
);
INSERT INTO payments
    SELECT id, merchant_id, merchant_reference, customer_reference,
        (SELECT operations_before.id FROM operations_before
            WHERE operations_before.payment_id = payments_before.id AND kind = 'AUTHORIZATION'),
        amount_minor, currency, authorized_minor, 0, captured_minor, 0, refunded_minor, 0, disputed_minor,
        state, created_at_ms, updated_at_ms, version, state_detail, detail, NULL, NULL
    FROM payments_before;
-- Until here it finds the operation of each payment.
DROP INDEX operations_payment;
CREATE INDEX payments_newest ON payments (merchant_id, created_at_ms, id);
CREATE INDEX payments_merchant_reference ON payments (merchant_id, merchant_reference);
CREATE INDEX payments_customer_reference ON payments (merchant_id, customer_reference)
    WHERE customer_reference IS NOT NULL;

-- One row for each exchange with a host.
CREATE TABLE operations (
    id                TEXT   NOT NULL PRIMARY KEY,
    payment_id        TEXT   NOT NULL REFERENCES payments (id),
    kind              TEXT   NOT NULL, -- AUTHORIZATION, CAPTURE, ...
    state             TEXT   NOT NULL, -- CREATED, SENT, APPROVED, DECLINED, REJECTED, UNKNOWN, ...
    open              BIGINT NOT NULL, -- 1: recovery looks at it once nobody works on it
    original_id       TEXT,            -- the operation that it completes or undoes
    subject_id        TEXT,            -- its capture or refund
    host_id           TEXT   NOT NULL, -- the host it goes to
    amount_minor      BIGINT NOT NULL, -- DE 4
    currency          TEXT   NOT NULL, -- DE 49, as ISO 4217 alpha
    mti               TEXT   NOT NULL, -- message type, four digits
    stan              BIGINT NOT NULL, -- DE 11
    rrn               TEXT   NOT NULL, -- DE 37
    number_date       TEXT   NOT NULL, -- UTC date of DE 7: stan and rrn are unique under it
    business_date     TEXT,            -- the bank's date of what it settles; NULL for what is not settled
    transmitted_at_ms BIGINT NOT NULL, -- DE 7
    terminal_id       TEXT   NOT NULL, -- DE 41
    deadline_ms       BIGINT NOT NULL, -- after it no byte may be sent
    node_id           TEXT   NOT NULL, -- the process that waits for the answer
    bank_us           BIGINT,          -- how long the host took; NULL before it answered
    sent              TEXT,            -- JSON: elements that later messages repeat as they were sent
    kept              TEXT,            -- JSON: elements of the answer that later messages need
    attempts          BIGINT NOT NULL, -- how often a message that is repeated was sent
    first_sent_ms     BIGINT,          -- when such a message was sent first,
    last_sent_ms      BIGINT,          -- last,
    next_attempt_ms   BIGINT,          -- and when it is sent next
    created_at_ms     BIGINT NOT NULL,
    updated_at_ms     BIGINT NOT NULL,
    version           BIGINT NOT NULL, -- 1 when recorded, one more with each change
    state_detail      TEXT   NOT NULL, -- JSON: what the state owns
    answer            TEXT             -- JSON: what was told of payment and operation, without what never changes; NULL while running
);
INSERT INTO operations
    SELECT operations_before.id, payment_id, kind, operations_before.state,
        CASE WHEN operations_before.state IN ('CREATED', 'SENT') THEN 1 ELSE 0 END,
        NULL, NULL, operations_before.host_id, operations_before.amount_minor, operations_before.currency,
        '0100', operations_before.stan, operations_before.rrn, operations_before.business_date, NULL,
        transmitted_at_ms,
        -- SQLite takes the first of the two expressions, PostgreSQL the second.
        /*SQLITE json_extract(payments_before.detail, '$.terminal_id') -- */CAST(payments_before.detail AS json) ->> 'terminal_id'
        , deadline_ms, node_id, bank_us, NULL, NULL, 0, NULL, NULL, NULL, operations_before.created_at_ms,
        operations_before.updated_at_ms, operations_before.version, operations_before.state_detail, answer
    FROM operations_before JOIN payments_before ON payments_before.id = operations_before.payment_id;
CREATE INDEX operations_payment ON operations (payment_id);
-- RRN first, because people ask for it alone, and because it grows, so that the index is appended to. No two
-- operations have the same numbers, but for those that go under their original's, as a host may want it.
CREATE UNIQUE INDEX operations_reference
    ON operations (rrn, stan, host_id, number_date, (CASE WHEN original_id IS NULL THEN '' ELSE id END));
-- What recovery looks at.
CREATE INDEX operations_open ON operations (deadline_ms) WHERE open = 1;

-- Reversals that are owed: the key makes it exactly one for an operation.
CREATE TABLE reversals (
    operation_id TEXT   NOT NULL PRIMARY KEY REFERENCES operations (id),
    reason       TEXT   NOT NULL, -- no_answer_in_time, connection_lost, ...
    due_at_ms    BIGINT NOT NULL  -- not to be sent before
);
INSERT INTO reversals SELECT operation_id, reason, due_at_ms FROM reversals_before;
CREATE INDEX reversals_due ON reversals (due_at_ms);

-- Answers that came after the gateway had stopped waiting; they change no state.
CREATE TABLE late_responses (
    operation_id   TEXT   NOT NULL PRIMARY KEY REFERENCES operations (id),
    host_id        TEXT   NOT NULL,
    response_code  TEXT   NOT NULL, -- DE 39
    approval_code  TEXT,            -- DE 38
    received_at_ms BIGINT NOT NULL
);
INSERT INTO late_responses
    SELECT operation_id, host_id, response_code, approval_code, received_at_ms FROM late_responses_before;

DROP TABLE reversals_before;
DROP TABLE late_responses_before;
DROP TABLE operations_before;
DROP TABLE payments_before;

-- Numbers of STANs and RRNs hang on the UTC date of DE 7, not on a bank's date.
ALTER TABLE sequences RENAME COLUMN business_date TO number_date;

-- A merchant's own clock, as an IANA time zone, for DE 12 and DE 13.
ALTER TABLE merchants ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'UTC';

-- Whether a node lives is told by whether this number still changes; seen_at_ms is for people.
ALTER TABLE nodes ADD COLUMN heartbeat BIGINT NOT NULL DEFAULT 0;

-- Who may use the operators' door.
CREATE TABLE operators (
    name          TEXT   NOT NULL PRIMARY KEY, -- as the certificate names it
    role          TEXT   NOT NULL,             -- VIEWER, OPERATOR, APPROVER
    active        BIGINT NOT NULL,             -- 1: may call
    created_at_ms BIGINT NOT NULL,
    created_by    TEXT   NOT NULL              -- an operator's name, or who runs the command line
);

-- What operators did. Nothing is ever changed or deleted here but `outcome` and `answer`, which follow on an
-- effect outside the database.
CREATE TABLE audit (
    id         TEXT   NOT NULL PRIMARY KEY,
    at_ms      BIGINT NOT NULL,
    operator   TEXT   NOT NULL,
    action     TEXT   NOT NULL, -- the RPC's name
    target     TEXT   NOT NULL, -- what it was done to
    reason     TEXT   NOT NULL, -- why, in the operator's words
    request_id TEXT   NOT NULL, -- the operator's own name for the request
    body_hash  TEXT   NOT NULL, -- SHA-256 of the request, hex
    outcome    TEXT,            -- what came of it; NULL until that is known
    answer     TEXT   NOT NULL, -- the answer as it was sent, encoded, hex; empty for an error
    UNIQUE (operator, request_id)
);
