-- What a bank answers to a clearing file. All of it NULL before there is an answer; the last one counts.

ALTER TABLE settlement_files ADD COLUMN awaits_answer BIGINT NOT NULL DEFAULT 0; -- 1: its day is funded only once it agrees
ALTER TABLE settlement_files ADD COLUMN answer_state TEXT;     -- ACCEPTED or REJECTED
ALTER TABLE settlement_files ADD COLUMN answer_agrees BIGINT;  -- 1: ACCEPTED, with the sums and counts that the file claims
ALTER TABLE settlement_files ADD COLUMN answer TEXT;           -- JSON: what was taken, or why nothing was
ALTER TABLE settlement_files ADD COLUMN answer_sha256 TEXT;    -- of the answer, as hexadecimal digits
ALTER TABLE settlement_files ADD COLUMN answers_before TEXT;   -- JSON: the SHA-256 of those that another one has followed
ALTER TABLE settlement_files ADD COLUMN answered_at_ms BIGINT;
ALTER TABLE settlement_files ADD COLUMN accepted_at_ms BIGINT; -- when an approver let it count as it is; NULL before
