-- What statements of bank accounts have otherwise is looked after as what reports have. It is of no report, and may be of
-- no host. What is open on an account becomes a discrepancy with the next file of the account.
ALTER TABLE settlement_differences RENAME TO settlement_differences_before;
CREATE TABLE settlement_differences (
    id             TEXT   NOT NULL PRIMARY KEY, -- what it is of, so that nothing is found twice
    import_id      TEXT,            -- the report; NULL: it is of an account
    kind           TEXT   NOT NULL,
    host_id        TEXT,            -- NULL: of no host that is known
    business_date  TEXT   NOT NULL, -- with host, merchant and currency: the batch; of an account: when it was booked
    merchant_id    TEXT,            -- NULL: of no merchant that is known
    currency       TEXT   NOT NULL,
    operation_id   TEXT,            -- NULL: of no item
    subject_id     TEXT,            -- the capture or refund of that
    rrn            TEXT,            -- as the report has it
    ours           TEXT,            -- minor units, a date, or a currency; NULL: nothing
    theirs         TEXT,
    line           BIGINT,          -- the number of the line in its file; NULL: it has none
    found_at_ms    BIGINT NOT NULL,
    accepted_at_ms BIGINT,          -- when it ended; NULL before
    rule           TEXT,            -- the matching rule that found it
    candidates     TEXT,            -- what the line may be about, with a blank between two
    state          TEXT   NOT NULL DEFAULT 'OPEN',
    owner          TEXT,            -- the operator who looks after it
    due_at_ms      BIGINT,          -- when it should be decided
    updated_at_ms  BIGINT NOT NULL DEFAULT 0,
    version        BIGINT NOT NULL DEFAULT 1,
    proposal       TEXT,            -- JSON: what waits for a second person
    correction     TEXT,            -- the id of the journal that corrects it
    position       BIGINT,          -- of its last event; NULL: not told yet; 0: nobody is told
    account        TEXT,            -- the bank account; NULL: it is of a report
    bank_line_id   TEXT,            -- the line of a statement
    statement_id   TEXT,            -- the statement
    missing        TEXT             -- the payout or the day of a host that the account does not have
);
INSERT INTO settlement_differences (id, import_id, kind, host_id, business_date, merchant_id, currency, operation_id,
    subject_id, rrn, ours, theirs, line, found_at_ms, accepted_at_ms, rule, candidates, state, owner, due_at_ms,
    updated_at_ms, version, proposal, correction, position)
SELECT id, import_id, kind, host_id, business_date, merchant_id, currency, operation_id, subject_id, rrn, ours, theirs,
    line, found_at_ms, accepted_at_ms, rule, candidates, state, owner, due_at_ms, updated_at_ms, version, proposal,
    correction, position FROM settlement_differences_before;
DROP TABLE settlement_differences_before;
CREATE INDEX settlement_differences_batch ON settlement_differences (host_id, business_date, merchant_id, currency);
CREATE INDEX settlement_differences_day ON settlement_differences (host_id, business_date, id);
CREATE INDEX settlement_differences_import ON settlement_differences (import_id, id);
CREATE INDEX settlement_differences_merchant ON settlement_differences (merchant_id, id) WHERE merchant_id IS NOT NULL;
CREATE INDEX settlement_differences_open ON settlement_differences (id) WHERE state NOT IN ('ACCEPTED', 'CORRECTED');
CREATE INDEX settlement_differences_operation ON settlement_differences (operation_id) WHERE operation_id IS NOT NULL;
CREATE INDEX settlement_differences_untold ON settlement_differences (id) WHERE position IS NULL;
CREATE INDEX settlement_differences_account ON settlement_differences (account, id) WHERE account IS NOT NULL;
-- What is missing is so once. What is of no line is looked at with each file of the account.
CREATE UNIQUE INDEX settlement_differences_missing ON settlement_differences (missing) WHERE missing IS NOT NULL;
CREATE INDEX settlement_differences_beside_lines ON settlement_differences (account, id)
    WHERE bank_line_id IS NULL AND account IS NOT NULL AND state NOT IN ('ACCEPTED', 'CORRECTED');

-- Statements that do not begin with what the one before them closed with.
CREATE INDEX bank_statements_broken ON bank_statements (account, id) WHERE before_minor <> opening_minor;
-- Payouts whose debit may be looked for in statements.
CREATE INDEX payouts_of_account ON payouts (host_id, currency, made_on, id);
