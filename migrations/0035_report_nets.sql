-- What a report pays, by its own lines: what is looked for on a bank account where it was applied.
ALTER TABLE settlement_imports ADD COLUMN nets TEXT; -- JSON: currency and minor units, for each currency; NULL: not known
