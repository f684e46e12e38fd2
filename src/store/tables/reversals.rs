//! Reversals that are owed: at most one for an operation.

use sqlx::any::AnyRow;

use super::columns::{Columns, variant_name};
use crate::store::change::ReversalOwed;
use crate::store::database::many_rows::ManyRows;
use crate::store::database::value::Value;
use crate::store::error::StoreError;

/// A reversal that is owed from now on.
pub(in crate::store) const REVERSALS: ManyRows = ManyRows {
    name: "reversals",
    before: "INSERT INTO reversals (operation_id, reason, due_at_ms) VALUES ",
    row: "(?, ?, ?)",
    after: "",
    returning: "",
};

pub(in crate::store) fn reversal(row: &AnyRow) -> Result<ReversalOwed, StoreError> {
    let columns = Columns::of(row, "reversals", "operation_id")?;
    Ok(ReversalOwed {
        operation_id: columns.parsed("operation_id")?,
        reason: columns.variant("reason")?,
        due_at: columns.moment("due_at_ms")?,
    })
}

/// A row of `reversals`.
pub(in crate::store) fn reversal_row(reversal: &ReversalOwed) -> Result<Vec<Value>, StoreError> {
    Ok(vec![
        reversal.operation_id.to_string().into(),
        variant_name(&reversal.reason)?.into(),
        reversal.due_at.as_i64().into(),
    ])
}
