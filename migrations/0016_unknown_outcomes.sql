-- Requests whose outcome is not known are listed with what is owed, where nothing undoes them.
CREATE INDEX operations_unknown ON operations (id) WHERE state = 'UNKNOWN' AND original_id IS NOT NULL;
