-- Whether a late answer was over another amount than was asked for: what it approved can't be said to stand.
ALTER TABLE late_responses ADD COLUMN amount_differs BIGINT NOT NULL DEFAULT 0;
