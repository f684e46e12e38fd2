-- Holds that end by themselves are found by their end. NULL where a payment has no hold that can end so.
ALTER TABLE payments ADD COLUMN expires_at_ms BIGINT;
UPDATE payments SET expires_at_ms =
    -- SQLite takes the first of the two expressions, PostgreSQL the second.
    /*SQLITE json_extract(state_detail, '$.expires_at') -- */CAST(CAST(state_detail AS json) ->> 'expires_at' AS BIGINT)
    WHERE state IN ('AUTHORIZED', 'PARTIALLY_CAPTURED');
CREATE INDEX payments_expiring ON payments (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
