//! Decides an authorization: record, send, record.
