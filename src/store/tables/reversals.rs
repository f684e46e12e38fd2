//! Reversals that are owed: at most one for an operation.

use sqlx::any::AnyRow;

use super::columns::{Columns, variant_name};
use crate::store::Store;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::records::{MAX_PAGE_SIZE, ReversalOwed};

impl Store {
    /// The reversals that are owed, the first due first; `limit` is 1 to [`MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn owed_reversals(&self, limit: usize) -> Result<Vec<ReversalOwed>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let rows = self
            .read(
                "SELECT * FROM reversals ORDER BY due_at_ms, operation_id LIMIT $1",
                &[limit.into()],
            )
            .await?;
        rows.iter().map(reversal).collect()
    }
}

fn reversal(row: &AnyRow) -> Result<ReversalOwed, StoreError> {
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
