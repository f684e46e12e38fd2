-- Statements of bank accounts, and what their lines are matched with.

-- One row for each statement of a file. Its lines count once it is DONE; one that is not is gone on with when the same file
-- comes again.
CREATE TABLE bank_statements (
    id             TEXT   NOT NULL PRIMARY KEY,
    account        TEXT   NOT NULL, -- the account's name in the configuration
    ordinal        BIGINT NOT NULL, -- which one of the account, from 1, as they came
    file_name      TEXT   NOT NULL, -- for people
    sha256         TEXT   NOT NULL, -- of the file, as hexadecimal digits
    number_in_file BIGINT NOT NULL, -- from 1
    reference      TEXT   NOT NULL, -- the bank's name of it
    sequence       BIGINT,          -- the bank's number of it
    page           BIGINT,
    currency       TEXT   NOT NULL,
    kind           TEXT   NOT NULL, -- BOOKED or INTERIM
    opening_minor  BIGINT,
    opening_date   TEXT,
    closing_minor  BIGINT,
    closing_date   TEXT,
    place          TEXT,            -- sorts it among the statements of the account; NULL: it has none, or came before
    before_minor   BIGINT,          -- what the statement before it closed with; NULL: there is none
    continues      BIGINT NOT NULL, -- 1: no line of it came before
    lines          BIGINT NOT NULL, -- how many it has
    applied_to     BIGINT NOT NULL, -- how many of them were looked at
    state          TEXT   NOT NULL, -- RECEIVED or DONE
    operator       TEXT   NOT NULL,
    at_ms          BIGINT NOT NULL
);
CREATE UNIQUE INDEX bank_statements_ordinal ON bank_statements (account, ordinal);
CREATE UNIQUE INDEX bank_statements_file ON bank_statements (account, sha256, number_in_file);
CREATE INDEX bank_statements_place ON bank_statements (account, place) WHERE place IS NOT NULL;

-- Their lines, as they came, each once.
CREATE TABLE bank_lines (
    id             TEXT   NOT NULL PRIMARY KEY,
    account        TEXT   NOT NULL,
    statement_id   TEXT   NOT NULL, -- by which it came first
    ordinal        BIGINT NOT NULL, -- of that statement
    number         BIGINT NOT NULL, -- in its file, from 1
    line_key       TEXT   NOT NULL, -- SHA-256 of what makes it another line
    occurrence     BIGINT NOT NULL, -- which of the lines with this key, from 1
    bank_state     TEXT   NOT NULL, -- BOOKED, PENDING or OTHER
    booking_date   TEXT,
    value_date     TEXT,
    amount_minor   BIGINT NOT NULL, -- above 0: a credit of the account
    currency       TEXT   NOT NULL,
    bank_reference TEXT,
    own_reference  TEXT,
    text           TEXT,
    reverses       BIGINT NOT NULL,
    state          TEXT   NOT NULL, -- NOT_COUNTED, UNMATCHED, AMBIGUOUS or MATCHED
    matched_with   TEXT,            -- a payout, or the day of a host; NULL: it is not matched
    rule           TEXT,            -- PAYOUT, PAYOUT_RETURN or SETTLEMENT
    candidates     TEXT   NOT NULL, -- JSON: what it fits
    finding        TEXT,            -- why it is not matched
    ours           TEXT,            -- what was expected instead
    matched_by     TEXT,            -- the operator; NULL: it was matched by itself
    matched_at_ms  BIGINT
);
CREATE UNIQUE INDEX bank_lines_once ON bank_lines (account, line_key, occurrence);
CREATE UNIQUE INDEX bank_lines_order ON bank_lines (account, ordinal, number);
CREATE INDEX bank_lines_statement ON bank_lines (statement_id, state);
CREATE INDEX bank_lines_open ON bank_lines (account, ordinal, number) WHERE state IN ('UNMATCHED', 'AMBIGUOUS');
-- Nothing is paid or settled by two lines.
CREATE UNIQUE INDEX bank_lines_matched ON bank_lines (matched_with, rule) WHERE matched_with IS NOT NULL;
