-- The first schema: one text for SQLite and PostgreSQL. Columns are TEXT and BIGINT only: `*_ms` is
-- milliseconds since 1970-01-01T00:00:00Z, `*_us` microseconds, `*_minor` minor units of the row's
-- currency (cents, yen, fils), flags are 0 or 1, bytes are lower-case hex, dates are YYYY-MM-DD,
-- identifiers are the prefixed texts of the API and sort by the time they were made.

-- Who may take payments. No card data, no secret.
CREATE TABLE merchants (
    id              TEXT   NOT NULL PRIMARY KEY, -- slug chosen by the operator
    name            TEXT   NOT NULL,             -- DE 43, 1 to 22 characters
    city            TEXT   NOT NULL,             -- DE 43, 1 to 13 characters
    country         TEXT   NOT NULL,             -- DE 43, ISO 3166-1 alpha-2
    country_numeric BIGINT NOT NULL,             -- DE 19, ISO 3166-1 numeric
    mcc             TEXT   NOT NULL,             -- DE 18, four digits
    terminal_id     TEXT   NOT NULL,             -- DE 41, eight characters
    acceptor_id     TEXT   NOT NULL,             -- DE 42, 1 to 15 characters
    acquirer        TEXT   NOT NULL,             -- name of the host profile its cards go to
    active          BIGINT NOT NULL              -- 1: may take payments
);

-- API keys. The secret itself is never stored, only its HMAC-SHA256.
CREATE TABLE api_keys (
    key_id          TEXT   NOT NULL PRIMARY KEY, -- the public half of the key
    merchant_id     TEXT   NOT NULL REFERENCES merchants (id),
    secret_hmac_hex TEXT   NOT NULL,             -- HMAC-SHA256 of the secret half, hex
    label           TEXT   NOT NULL,             -- for people
    created_at_ms   BIGINT NOT NULL,
    revoked_at_ms   BIGINT                       -- NULL while it is valid
);
CREATE INDEX api_keys_merchant ON api_keys (merchant_id);

-- Gateway processes, so that what a dead one left open can be told from what a living one holds.
CREATE TABLE nodes (
    id            TEXT   NOT NULL PRIMARY KEY, -- one for each start of a process
    started_at_ms BIGINT NOT NULL,
    seen_at_ms    BIGINT NOT NULL,             -- refreshed every few seconds while it lives
    stopped_at_ms BIGINT                       -- when it closed the store in order; NULL otherwise
);

-- Client connections to the merchant API.
CREATE TABLE client_connections (
    id                 TEXT   NOT NULL PRIMARY KEY,
    node_id            TEXT   NOT NULL, -- the process that holds or held it
    peer_address       TEXT   NOT NULL, -- IP address
    peer_port          BIGINT NOT NULL,
    identity           TEXT,            -- who it turned out to be; NULL before that is known
    connected_at_ms    BIGINT NOT NULL,
    disconnected_at_ms BIGINT,          -- NULL while it is open
    note               TEXT             -- set when something other than the connection's end closed the row
);
-- For closing what a dead process left open.
CREATE INDEX client_connections_open ON client_connections (node_id) WHERE disconnected_at_ms IS NULL;

-- Numbers of STANs and RRNs that are given out: all below next_number are taken.
CREATE TABLE sequences (
    host_id       TEXT   NOT NULL,
    business_date TEXT   NOT NULL,
    next_number   BIGINT NOT NULL, -- 0 to 100,000,000
    PRIMARY KEY (host_id, business_date)
);

-- One row a payment. There is no foreign key to merchants: a payment is recorded only for a caller
-- that was authenticated from that table, and the key would make PostgreSQL lock the merchant's row
-- for each of its payments.
CREATE TABLE payments (
    id                 TEXT   NOT NULL PRIMARY KEY,
    merchant_id        TEXT   NOT NULL,
    merchant_reference TEXT   NOT NULL, -- the merchant's order reference
    customer_reference TEXT,            -- the merchant's customer reference
    amount_minor       BIGINT NOT NULL, -- what the merchant asked for
    currency           TEXT   NOT NULL, -- ISO 4217 alpha, for all amounts of the row
    authorized_minor   BIGINT NOT NULL, -- what the issuer holds or held
    captured_minor     BIGINT NOT NULL, -- pending captures counted
    refunded_minor     BIGINT NOT NULL, -- pending refunds counted
    disputed_minor     BIGINT NOT NULL,
    state              TEXT   NOT NULL, -- CREATED, AUTHORIZING, AUTHORIZED, DECLINED, ...
    host_id            TEXT   NOT NULL, -- the host that the authorization goes to
    stan               BIGINT NOT NULL, -- DE 11 of the authorization
    rrn                TEXT   NOT NULL, -- DE 37 of the authorization
    business_date      TEXT   NOT NULL, -- it never changes
    created_at_ms      BIGINT NOT NULL,
    updated_at_ms      BIGINT NOT NULL,
    version            BIGINT NOT NULL, -- 1 when recorded, one more with each change
    state_detail       TEXT   NOT NULL, -- JSON: what the state owns
    detail             TEXT   NOT NULL, -- JSON, never changed: card (brand, BIN, last four), description, terminal
    CHECK (0 <= authorized_minor AND 0 <= refunded_minor AND 0 <= disputed_minor),
    CHECK (refunded_minor <= captured_minor AND captured_minor <= authorized_minor)
);
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
    host_id           TEXT   NOT NULL, -- the host it goes to
    amount_minor      BIGINT NOT NULL, -- DE 4
    currency          TEXT   NOT NULL, -- DE 49, as ISO 4217 alpha
    stan              BIGINT NOT NULL, -- DE 11
    rrn               TEXT   NOT NULL, -- DE 37
    business_date     TEXT   NOT NULL, -- the bank day under which stan and rrn are unique
    transmitted_at_ms BIGINT NOT NULL, -- DE 7
    deadline_ms       BIGINT NOT NULL, -- after it no byte may be sent
    node_id           TEXT   NOT NULL, -- the process that waits for the answer
    bank_us           BIGINT,          -- how long the host took; NULL before it answered
    created_at_ms     BIGINT NOT NULL,
    updated_at_ms     BIGINT NOT NULL,
    version           BIGINT NOT NULL, -- 1 when recorded, one more with each change
    state_detail      TEXT   NOT NULL, -- JSON: what the state owns
    answer            TEXT             -- JSON: what was told the merchant of the payment, without what never changes; NULL while running
);
CREATE INDEX operations_payment ON operations (payment_id);
-- RRN first, because people ask for it alone, and because it grows, so that the index is appended to.
CREATE UNIQUE INDEX operations_reference ON operations (rrn, stan, host_id, business_date);
-- What recovery has to look at: operations that nobody has finished.
CREATE INDEX operations_unfinished ON operations (deadline_ms) WHERE state IN ('CREATED', 'SENT');

-- Requests that were taken, so that a repeated one gets the same answer. Kept for 30 days.
CREATE TABLE idempotency (
    merchant_id   TEXT   NOT NULL,
    method        TEXT   NOT NULL, -- name of the RPC
    request_id    TEXT   NOT NULL, -- chosen by the merchant
    operation_id  TEXT   NOT NULL, -- the operation that the request began; its answer is the answer
    body_hash     TEXT   NOT NULL, -- SHA-256 of the request, hex
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (merchant_id, method, request_id)
);
CREATE INDEX idempotency_created ON idempotency (created_at_ms);

-- Sealed cards that were used, so that none works twice. Kept until an hour after they expired.
CREATE TABLE used_envelopes (
    merchant_id   TEXT   NOT NULL,
    jti           TEXT   NOT NULL, -- the envelope's own identifier
    operation_id  TEXT   NOT NULL, -- what used it
    expires_at_ms BIGINT NOT NULL, -- the envelope's `exp`
    PRIMARY KEY (merchant_id, jti)
);
CREATE INDEX used_envelopes_expires ON used_envelopes (expires_at_ms);

-- Reversals that are owed: the key makes it exactly one for an operation.
CREATE TABLE reversals (
    operation_id TEXT   NOT NULL PRIMARY KEY REFERENCES operations (id),
    reason       TEXT   NOT NULL, -- no_answer_in_time, connection_lost, ...
    due_at_ms    BIGINT NOT NULL  -- not to be sent before
);
CREATE INDEX reversals_due ON reversals (due_at_ms);

-- Answers that came after the gateway had stopped waiting; they change no state.
CREATE TABLE late_responses (
    operation_id   TEXT   NOT NULL PRIMARY KEY REFERENCES operations (id),
    host_id        TEXT   NOT NULL,
    response_code  TEXT   NOT NULL, -- DE 39
    approval_code  TEXT,            -- DE 38
    received_at_ms BIGINT NOT NULL
);

-- Responses that matched nothing that was waiting: strangers, duplicates, wrong amounts.
CREATE TABLE quarantine (
    id             TEXT   NOT NULL PRIMARY KEY,
    host_id        TEXT   NOT NULL,
    reason         TEXT   NOT NULL, -- why it matched nothing
    mti            TEXT   NOT NULL,
    stan           BIGINT,          -- DE 11, when it could be read
    rrn            TEXT,            -- DE 37, when it could be read
    response_code  TEXT,            -- DE 39, when it could be read
    message        TEXT   NOT NULL, -- for people, masked
    received_at_ms BIGINT NOT NULL
);
