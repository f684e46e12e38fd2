//! All SQL: what was intended, what was answered, and how either is read back.
