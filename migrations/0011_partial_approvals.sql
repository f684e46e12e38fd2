-- 1: the merchant takes less than the amount, where the host approves less.
ALTER TABLE operations ADD COLUMN accepts_partial BIGINT NOT NULL DEFAULT 0;
