-- Discrepancies are listed by their kind, of all hosts and days.
CREATE INDEX settlement_differences_kind ON settlement_differences (kind, id);
