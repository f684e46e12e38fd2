-- A bank may report a date in several files, its cycles.
ALTER TABLE settlement_imports ADD COLUMN cycle BIGINT NOT NULL DEFAULT 0;  -- from 1; 0: the only file of its date
ALTER TABLE settlement_imports ADD COLUMN cycles BIGINT NOT NULL DEFAULT 0; -- how many its date has, as the profile said then
DROP INDEX settlement_imports_date;
CREATE UNIQUE INDEX settlement_imports_date ON settlement_imports (host_id, business_date, kind, cycle) WHERE state <> 'AMENDED';
-- Cycles without lines may have the same bytes.
DROP INDEX settlement_imports_file;
CREATE UNIQUE INDEX settlement_imports_file ON settlement_imports (host_id, sha256, business_date, cycle);
