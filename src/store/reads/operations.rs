//! Operations: those that nobody has finished, one, those of a payment.

use std::collections::BTreeSet;

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::payment::ids::{HostId, OperationId, PaymentId};
use crate::payment::moment::UnixMillis;
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::{Rrn, Stan};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::reads::by_ids::IDS;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::tables::columns::Columns;
use crate::store::tables::operations::{OPERATION_COLUMNS, operation};
use crate::store::tables::payments::{SELECT_PAYMENTS, payment};

/// Where the next page of unfinished operations begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedCursor(i64, String);

/// A page of unfinished operations.
#[derive(Debug)]
pub struct Unfinished {
    /// The operations and their payments.
    pub found: Vec<(Payment, Operation)>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<UnfinishedCursor>,
}

impl Store {
    /// Unfinished operations whose deadline was before `older_than`, with their payments, the longest
    /// overdue first, from `after` on; `limit` is 1 to [`MAX_PAGE_SIZE`]. A corrupt row is logged and
    /// skipped.
    ///
    /// The outcome of one is recorded like any other: its version decides whether the operation's own
    /// process was first.
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
        let text = format!(
            "SELECT {OPERATION_COLUMNS} FROM operations \
             WHERE open = 1 AND deadline_ms < $1 \
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

    /// The operation of `row`, and its payment.
    pub(in crate::store) async fn with_its_payment(
        &self,
        row: &AnyRow,
    ) -> Result<(Payment, Operation), StoreError> {
        let operation = operation(row)?;
        let text = format!("{SELECT_PAYMENTS} WHERE payments.id = $1");
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

    /// One exchange with a host.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn operation(&self, id: OperationId) -> Result<Option<Operation>, StoreError> {
        let text = format!("SELECT {OPERATION_COLUMNS} FROM operations WHERE id = $1");
        let rows = self
            .read(AssertSqlSafe(text), &[id.to_string().into()])
            .await?;
        rows.first().map(operation).transpose()
    }

    /// Which of these exchanges there are.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn operations_that_exist(
        &self,
        ids: &[OperationId],
    ) -> Result<BTreeSet<OperationId>, StoreError> {
        let text = format!("SELECT id FROM operations WHERE id {IDS}");
        let ids = ids.iter().map(ToString::to_string).collect();
        let rows = self.of_ids(&text, ids).await?;
        let id = |row| Columns::of(row, "operations", "id")?.parsed("id");
        rows.iter().map(id).collect()
    }

    /// All exchanges of a payment, oldest first.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn operations_of(&self, id: PaymentId) -> Result<Vec<Operation>, StoreError> {
        let text = format!(
            "SELECT {OPERATION_COLUMNS} FROM operations WHERE payment_id = $1 \
             ORDER BY created_at_ms, id"
        );
        let rows = self
            .read(AssertSqlSafe(text), &[id.to_string().into()])
            .await?;
        rows.iter().map(operation).collect()
    }

    /// The exchanges of a payment by their names, at most `limit` (1 to [`MAX_PAGE_SIZE`]), going on after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list_operations(
        &self,
        id: PaymentId,
        limit: usize,
        after: Option<OperationId>,
    ) -> Result<Vec<Operation>, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        let text = format!(
            "SELECT {OPERATION_COLUMNS} FROM operations WHERE payment_id = $1 AND id > $2 \
             ORDER BY id LIMIT {limit}"
        );
        let after = after.map_or_else(String::new, |after| after.to_string());
        let values = [id.to_string().into(), after.into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.iter().map(operation).collect()
    }

    /// All exchanges of these payments.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn operations_of_all(
        &self,
        payments: &[PaymentId],
    ) -> Result<Vec<Operation>, StoreError> {
        let text = format!("SELECT {OPERATION_COLUMNS} FROM operations WHERE payment_id {IDS}");
        let ids = payments.iter().map(ToString::to_string).collect();
        let rows = self.of_ids(&text, ids).await?;
        rows.iter().map(operation).collect()
    }

    /// The exchanges that a host knows by these numbers, newest first, at most [`MAX_PAGE_SIZE`]: numbers come
    /// round again, and an operation may go under those of its original.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn operations_by_reference(
        &self,
        host: &HostId,
        rrn: Rrn,
        stan: Stan,
    ) -> Result<Vec<Operation>, StoreError> {
        let text = format!(
            "SELECT {OPERATION_COLUMNS} FROM operations \
             WHERE rrn = $1 AND stan = $2 AND host_id = $3 \
             ORDER BY created_at_ms DESC, id DESC LIMIT {MAX_PAGE_SIZE}"
        );
        let values = [
            rrn.as_str().into(),
            i64::from(stan.get()).into(),
            host.as_str().into(),
        ];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.iter().map(operation).collect()
    }
}
