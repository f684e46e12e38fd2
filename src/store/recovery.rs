//! What a process that died left unfinished, and the reversals that are owed.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::Store;
use super::error::StoreError;
use super::records::{MAX_PAGE_SIZE, ReversalOwed};
use super::rows::{Columns, OPERATION_COLUMNS, PAYMENT_COLUMNS, operation, payment};
use crate::payment::moment::UnixMillis;
use crate::payment::record::{Operation, Payment};

impl Store {
    /// Operations whose deadline was before `older_than` and that nobody has finished, with their
    /// payments, the longest overdue first; `limit` is 1 to [`MAX_PAGE_SIZE`].
    ///
    /// Whoever finishes one records its outcome like any other: if its own process does so first,
    /// the version tells.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn unfinished_operations(
        &self,
        older_than: UnixMillis,
        limit: usize,
    ) -> Result<Vec<(Payment, Operation)>, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        // The condition on the state is word for word the one of the index.
        let text = format!(
            "SELECT {OPERATION_COLUMNS} FROM operations \
             WHERE state IN ('CREATED', 'SENT') AND deadline_ms < $1 \
             ORDER BY deadline_ms, id LIMIT {limit}"
        );
        let rows = self
            .read(AssertSqlSafe(text), &[older_than.as_i64().into()])
            .await?;
        let mut unfinished = Vec::with_capacity(rows.len());
        for row in &rows {
            let operation = operation(row)?;
            let text = format!("SELECT {PAYMENT_COLUMNS} FROM payments WHERE id = $1");
            let payments = self
                .read(
                    AssertSqlSafe(text),
                    &[operation.payment_id.to_string().into()],
                )
                .await?;
            let Some(row) = payments.first() else {
                return Err(StoreError::Corrupt {
                    table: "operations",
                    column: "payment_id",
                    row: operation.id.to_string(),
                    got: operation.payment_id.to_string(),
                    reason: "there is no such payment".into(),
                });
            };
            unfinished.push((payment(row)?, operation));
        }
        Ok(unfinished)
    }

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
