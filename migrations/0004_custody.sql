-- What later messages need of a card, sealed under a data key of its day. Payments of before have no card.

ALTER TABLE payments ADD COLUMN custody TEXT;             -- PAN and expiry, sealed, base64url; NULL once it has ended
ALTER TABLE payments ADD COLUMN custody_key BIGINT;       -- the version of the data key
ALTER TABLE payments ADD COLUMN custody_until_ms BIGINT;  -- when it ends; NULL: not known yet

-- Data keys, wrapped under a key that hangs on the master key. A destroyed key has no row.
CREATE TABLE custody_keys (
    key_version   BIGINT NOT NULL PRIMARY KEY, -- from 1; the highest seals
    wrapped       TEXT   NOT NULL,             -- base64url
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,             -- it is destroyed then, whatever it still seals
    entries       BIGINT,                      -- how many cards it sealed when they were counted last; NULL before that
    next_count_ms BIGINT NOT NULL              -- when they are counted again, and those that have ended are removed
);
