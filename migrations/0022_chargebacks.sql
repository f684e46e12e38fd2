-- What issuers take back of captures, as the reports of banks say it: items of kind CHARGEBACK and CHARGEBACK_REVERSAL.

ALTER TABLE settlement_batches ADD COLUMN chargeback_count BIGINT NOT NULL DEFAULT 0; -- with those given back
ALTER TABLE settlement_batches ADD COLUMN charged_back_minor BIGINT NOT NULL DEFAULT 0; -- less what was given back

-- Two days may have the same report: one without lines.
DROP INDEX settlement_imports_file;
CREATE UNIQUE INDEX settlement_imports_file ON settlement_imports (host_id, sha256, business_date);
