-- Why an operation completes or undoes another: time_out, late_approval, ... NULL where that is not known.
ALTER TABLE operations ADD COLUMN reason TEXT;
