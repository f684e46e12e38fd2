-- What a last capture leaves of a hold is given back.
ALTER TABLE payments ADD COLUMN released_minor BIGINT NOT NULL DEFAULT 0;   -- no capture can take it
ALTER TABLE operations ADD COLUMN releases_minor BIGINT NOT NULL DEFAULT 0; -- once the operation has had its effect
