-- Requests and the use of sealed cards are looked up by their keys alone, and lie in their keys' order on
-- SQLite: there a table is one tree instead of two. (A comment that begins with SQLITE says how a table
-- lies on the disk there; SQLite reads it as if it were none.)

-- Requests that were taken, so that a repeated one gets the same answer. Kept for good: a request id
-- never means a second payment, however late it comes again.
ALTER TABLE idempotency RENAME TO idempotency_before;
CREATE TABLE idempotency (
    merchant_id   TEXT   NOT NULL,
    method        TEXT   NOT NULL, -- name of the RPC
    request_id    TEXT   NOT NULL, -- chosen by the merchant
    operation_id  TEXT   NOT NULL, -- the operation that the request began; its answer is the answer
    body_hash     TEXT   NOT NULL, -- SHA-256 of the request, hex
    PRIMARY KEY (merchant_id, method, request_id)
) /*SQLITE WITHOUT ROWID */;
INSERT INTO idempotency (merchant_id, method, request_id, operation_id, body_hash)
    SELECT merchant_id, method, request_id, operation_id, body_hash FROM idempotency_before;
DROP TABLE idempotency_before;

-- Sealed cards that were used, so that none works twice. Kept until an hour after they expired.
ALTER TABLE used_envelopes RENAME TO used_envelopes_before;
CREATE TABLE used_envelopes (
    merchant_id   TEXT   NOT NULL,
    jti           TEXT   NOT NULL, -- the envelope's own identifier
    operation_id  TEXT   NOT NULL, -- what used it
    expires_at_ms BIGINT NOT NULL, -- the envelope's `exp`
    PRIMARY KEY (merchant_id, jti)
) /*SQLITE WITHOUT ROWID */;
INSERT INTO used_envelopes (merchant_id, jti, operation_id, expires_at_ms)
    SELECT merchant_id, jti, operation_id, expires_at_ms FROM used_envelopes_before;
DROP TABLE used_envelopes_before;
CREATE INDEX used_envelopes_expires ON used_envelopes (expires_at_ms);
