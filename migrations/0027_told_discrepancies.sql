-- What was found or ended without an event has no position until its event is written. What an older version found stays
-- without one.
UPDATE settlement_differences SET position = 0 WHERE position IS NULL;
CREATE INDEX settlement_differences_untold ON settlement_differences (id) WHERE position IS NULL;
