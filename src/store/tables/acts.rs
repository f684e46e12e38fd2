//! Rows of the audit trail that are written with a change.

use crate::store::database::many_rows::ManyRows;

/// What was done by itself, written with the change that it is.
pub(in crate::store) const ACTS: ManyRows = ManyRows {
    name: "acts",
    before: "INSERT INTO audit (id, at_ms, operator, action, target, reason, request_id, body_hash, outcome, answer) \
        VALUES ",
    row: "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    after: "",
    returning: "",
};
