//! What a process that died left unfinished, and the reversals that are owed.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::Store;
use super::error::StoreError;
use super::records::{MAX_PAGE_SIZE, ReversalOwed};
use super::rows::{Columns, OPERATION_COLUMNS, PAYMENT_COLUMNS, operation, payment};
use crate::payment::ids::NodeId;
use crate::payment::moment::UnixMillis;
use crate::payment::record::{Operation, Payment};

/// Where a look at unfinished operations goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedCursor(i64, String);

/// A part of the unfinished operations.
#[derive(Debug)]
pub struct Unfinished {
    /// The operations and their payments.
    pub found: Vec<(Payment, Operation)>,
    /// Where the next part begins; `None` at the end.
    pub next: Option<UnfinishedCursor>,
}

impl Store {
    /// Operations whose deadline was before `older_than` and that nobody has finished, with their
    /// payments, the longest overdue first, going on after `after`; `limit` is 1 to
    /// [`MAX_PAGE_SIZE`]. A row that can't be read is logged and passed over, so that it holds up no
    /// other.
    ///
    /// Whoever finishes one records its outcome like any other: if its own process does so first,
    /// the version tells.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn unfinished_operations(
        &self,
        older_than: UnixMillis,
        limit: usize,
        after: Option<&UnfinishedCursor>,
    ) -> Result<Unfinished, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        let (after_ms, after_id) = after.map_or((i64::MIN, ""), |cursor| (cursor.0, &cursor.1));
        // The condition on the state is word for word the one of the index.
        let text = format!(
            "SELECT {OPERATION_COLUMNS} FROM operations \
             WHERE state IN ('CREATED', 'SENT') AND deadline_ms < $1 \
             AND (deadline_ms > $2 OR (deadline_ms = $2 AND id > $3)) \
             ORDER BY deadline_ms, id LIMIT {limit}"
        );
        let values = [older_than.as_i64().into(), after_ms.into(), after_id.into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        let mut unfinished = Unfinished {
            found: Vec::with_capacity(rows.len()),
            next: None,
        };
        for row in &rows {
            let columns = Columns::of(row, "operations", "id")?;
            let deadline_ms = columns.moment("deadline_ms")?.as_i64();
            unfinished.next = Some(UnfinishedCursor(
                deadline_ms,
                columns.text("id")?.to_owned(),
            ));
            match self.with_its_payment(row).await {
                Ok(found) => unfinished.found.push(found),
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(%error, "an unfinished operation can't be read");
                }
                Err(error) => return Err(error),
            }
        }
        if rows.len() < limit {
            unfinished.next = None;
        }
        Ok(unfinished)
    }

    /// An operation's row, read, and its payment.
    pub(super) async fn with_its_payment(
        &self,
        row: &AnyRow,
    ) -> Result<(Payment, Operation), StoreError> {
        let operation = operation(row)?;
        let text = format!("SELECT {PAYMENT_COLUMNS} FROM payments WHERE id = $1");
        let id = operation.payment_id.to_string();
        let payments = self
            .read(AssertSqlSafe(text), &[id.as_str().into()])
            .await?;
        let row = payments.first().ok_or_else(|| StoreError::Corrupt {
            table: "operations",
            column: "payment_id",
            row: operation.id.to_string(),
            got: id.clone(),
            reason: "there is no such payment".into(),
        })?;
        Ok((payment(row)?, operation))
    }

    /// When each process that has not stopped in order last said that it lives, the latest first; at
    /// most [`MAX_PAGE_SIZE`]. The moments are those processes' own clocks'.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn signs_of_life(&self) -> Result<Vec<(NodeId, UnixMillis)>, StoreError> {
        let text = format!(
            "SELECT id, seen_at_ms FROM nodes WHERE stopped_at_ms IS NULL \
             ORDER BY seen_at_ms DESC LIMIT {MAX_PAGE_SIZE}"
        );
        let rows = self.read(AssertSqlSafe(text), &[]).await?;
        let sign = |row| {
            let columns = Columns::of(row, "nodes", "id")?;
            Ok((columns.parsed("id")?, columns.moment("seen_at_ms")?))
        };
        rows.iter().map(sign).collect()
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
