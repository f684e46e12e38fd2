-- Captures and refunds are resources of a payment. Where they stand is said by their operations.

CREATE TABLE captures (
    id                 TEXT   NOT NULL PRIMARY KEY,
    payment_id         TEXT   NOT NULL REFERENCES payments (id),
    operation_id       TEXT   NOT NULL REFERENCES operations (id), -- what takes the amount
    amount_minor       BIGINT NOT NULL,
    currency           TEXT   NOT NULL,
    refunded_minor     BIGINT NOT NULL, -- what was or is being refunded of it
    is_final           BIGINT NOT NULL, -- 1: what it leaves of the hold is released
    merchant_reference TEXT,            -- the merchant's own reference of it
    created_at_ms      BIGINT NOT NULL,
    CHECK (0 <= refunded_minor AND refunded_minor <= amount_minor)
);
CREATE INDEX captures_payment ON captures (payment_id, id);
CREATE UNIQUE INDEX captures_operation ON captures (operation_id);

CREATE TABLE refunds (
    id                 TEXT   NOT NULL PRIMARY KEY,
    merchant_id        TEXT   NOT NULL,
    payment_id         TEXT   NOT NULL REFERENCES payments (id),
    operation_id       TEXT   NOT NULL REFERENCES operations (id), -- what gives the amount back
    capture_id         TEXT   NOT NULL REFERENCES captures (id),   -- what it is given back of
    amount_minor       BIGINT NOT NULL,
    currency           TEXT   NOT NULL,
    merchant_reference TEXT,            -- the merchant's own reference of it
    created_at_ms      BIGINT NOT NULL
);
CREATE INDEX refunds_newest ON refunds (merchant_id, created_at_ms, id);
CREATE INDEX refunds_payment ON refunds (payment_id, id);

-- The queues of what is owed: one for each host, each kind of message and the node that sends it.
DROP INDEX operations_owed;
CREATE INDEX operations_owed ON operations (host_id, kind, node_id, next_attempt_ms) WHERE open = 2;
