-- The sealing keys that gateways have found in their folders, and how far each has come. A key that is gone from the
-- folder stays here. No part of a key is here but its name, which is public.
CREATE TABLE sealing_keys (
    kid       TEXT   NOT NULL PRIMARY KEY,
    algorithm TEXT   NOT NULL,
    state     TEXT   NOT NULL,
    since_ms  BIGINT NOT NULL, -- when a gateway noticed that it is in this state
    used_ms   BIGINT           -- when something that was sealed to it was opened last, to the minute; NULL: never
) /*SQLITE WITHOUT ROWID */;
