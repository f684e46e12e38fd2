-- After a restore (docs/decisions/0024-a-restored-database.md): what an earlier run may have used is left out.
ALTER TABLE stores ADD COLUMN restored_at_ms BIGINT NOT NULL DEFAULT 0; -- sealed cards from before are refused
ALTER TABLE stores ADD COLUMN first_number BIGINT NOT NULL DEFAULT 0;   -- where the numbers of a host begin
ALTER TABLE stores ADD COLUMN numbers_until TEXT;                       -- on dates (YYYY-MM-DD) up to this one
