-- What is owed to a bank is an operation of its own, which is sent until the bank acknowledges it. Reversals of
-- earlier versions become such operations. The cards that they need were not kept, so they are not sent: an
-- operator has to look at them.

-- `open` says from now on: 0: it has ended; 1: recovery looks at it once nobody works on it; 2: it is owed.
-- An owed operation has its own attempts. `next_attempt_ms` is NULL while an operator has to look at it.
INSERT INTO operations
    (id, payment_id, kind, state, open, original_id, subject_id, host_id, amount_minor, currency, mti, stan, rrn,
    number_date, business_date, transmitted_at_ms, terminal_id, deadline_ms, node_id, bank_us, sent, kept,
    attempts, first_sent_ms, last_sent_ms, next_attempt_ms, created_at_ms, updated_at_ms, version, state_detail,
    answer)
    SELECT
        -- The name of the original with another last character.
        SUBSTR(operations.id, 1, LENGTH(operations.id) - 1)
            || CASE SUBSTR(operations.id, LENGTH(operations.id)) WHEN '0' THEN '1' ELSE '0' END,
        payment_id, 'REVERSAL', 'SUSPENDED', 2, operations.id, NULL, host_id, amount_minor, currency, '0420',
        stan, rrn, number_date, NULL, transmitted_at_ms, terminal_id, deadline_ms, node_id, NULL, NULL, NULL,
        0, NULL, NULL, NULL, updated_at_ms, updated_at_ms, 1,
        '{"state":"SUSPENDED","reason":"no_card","response_code":null}', NULL
    FROM reversals JOIN operations ON operations.id = reversals.operation_id;
DROP TABLE reversals;

-- That a reversal is owed is no state of the original any more.
UPDATE operations SET state = 'UNKNOWN',
    state_detail = REPLACE(state_detail, 'REVERSAL_QUEUED', 'UNKNOWN'),
    answer = REPLACE(answer, 'REVERSAL_QUEUED', 'UNKNOWN')
    WHERE state = 'REVERSAL_QUEUED';

-- The queues of what is owed: one for each host and the node that sends it.
CREATE INDEX operations_owed ON operations (host_id, node_id, next_attempt_ms) WHERE open = 2;

-- More than one answer may come late for an operation, and the last one counts.
ALTER TABLE late_responses RENAME TO late_responses_before;
CREATE TABLE late_responses (
    operation_id   TEXT   NOT NULL REFERENCES operations (id),
    response_code  TEXT   NOT NULL, -- DE 39
    host_id        TEXT   NOT NULL,
    approval_code  TEXT,            -- DE 38
    received_at_ms BIGINT NOT NULL,
    PRIMARY KEY (operation_id, response_code)
);
INSERT INTO late_responses
    SELECT operation_id, response_code, host_id, approval_code, received_at_ms FROM late_responses_before;
DROP TABLE late_responses_before;
