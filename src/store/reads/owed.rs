//! What is owed to banks: operations that are repeated until their host acknowledges them.
//!
//! An entry belongs to the node that its row names, which alone sends it. A node that finds that one dead takes
//! the entry by a step of it: the row then names the taker, and its version is one more, so that nothing that the
//! dead node had in hand can be recorded any more.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::payment::decline::UnknownReason;
use crate::payment::ids::{HostId, NodeId, OperationId};
use crate::payment::moment::UnixMillis;
use crate::payment::operation::{Open, OperationState};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Operation, Payment};
use crate::random::HashMap;
use crate::store::Store;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::reads::by_ids::IDS;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::tables::columns::Columns;
use crate::store::tables::operations::{OPERATION_COLUMNS, operation};
use crate::store::tables::payments::{SELECT_PAYMENTS, payment};

/// A message that is owed, and what it is about.
#[derive(Debug, Clone)]
pub struct OwedEntry {
    /// The message.
    pub operation: Operation,
    /// The operation that it completes or undoes.
    pub original: Operation,
    /// Their payment.
    pub payment: Payment,
}

/// Which messages a list of what is owed shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwedFilter {
    /// Only those of this host.
    pub host_id: Option<HostId>,
    /// Only those that an operator has to look at: nothing of them is sent.
    pub suspended_only: bool,
}

/// What is owed to one host of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedCount {
    /// The host.
    pub host_id: HostId,
    /// The kind of the operations.
    pub kind: OperationKind,
    /// How many messages are owed, suspended ones included.
    pub owed: u64,
    /// How many of them an operator has to look at.
    pub suspended: u64,
    /// When the oldest of them was recorded.
    pub oldest: UnixMillis,
}

impl Store {
    /// What a node has to send to a host now of operations of one kind, the longest due first; `limit` is 1 to
    /// [`MAX_PAGE_SIZE`]. What is due later than `farthest` from now was written by a clock that was ahead, and is due
    /// too. A corrupt row is logged and left out.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn due_owed(
        &self,
        queue: (HostId, OperationKind),
        node_id: NodeId,
        now: UnixMillis,
        farthest: Duration,
        limit: usize,
    ) -> Result<Vec<OwedEntry>, StoreError> {
        let due = self
            .queue(queue, node_id, i64::MIN, now.as_i64(), limit)
            .await?;
        if !due.is_empty() {
            return Ok(due);
        }
        let never = now.plus(farthest).as_i64();
        self.queue(queue, node_id, never, i64::MAX, limit).await
    }

    async fn queue(
        &self,
        (host_id, kind): (HostId, OperationKind),
        node_id: NodeId,
        after_ms: i64,
        until_ms: i64,
        limit: usize,
    ) -> Result<Vec<OwedEntry>, StoreError> {
        let values = [
            host_id.as_str().into(),
            kind.name().into(),
            node_id.to_string().into(),
            after_ms.into(),
            until_ms.into(),
        ];
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        let text = format!(
            "SELECT {OPERATION_COLUMNS} FROM operations \
             WHERE open = 2 AND host_id = $1 AND kind = $2 AND node_id = $3 \
                AND next_attempt_ms > $4 AND next_attempt_ms <= $5 \
             ORDER BY next_attempt_ms LIMIT {limit}"
        );
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        self.with_what_they_are_about(&rows).await
    }

    /// What is owed, and requests whose outcome is not known and that nothing undoes, oldest first, going on after
    /// `after`; `limit` is 1 to [`MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list_owed(
        &self,
        filter: &OwedFilter,
        limit: usize,
        after: Option<OperationId>,
    ) -> Result<Vec<Operation>, StoreError> {
        let reason = UnknownReason::NoAnswerInTime;
        let unknown = OperationState::Unknown { reason }.name();
        // Each of the two has an index of its own, and the text of the second one's has the state as well: no bound
        // value.
        let mut text = format!(
            "SELECT {OPERATION_COLUMNS} FROM operations WHERE id IN (\
                SELECT id FROM operations WHERE open = 2 \
                UNION ALL SELECT id FROM operations AS asked \
                WHERE state = '{unknown}' AND original_id IS NOT NULL AND NOT EXISTS \
                    (SELECT 1 FROM operations AS about WHERE about.payment_id = asked.payment_id \
                     AND about.original_id = asked.id))"
        );
        let mut values: Vec<Value> = Vec::new();
        for (condition, value) in [
            ("host_id =", filter.host_id.map(|id| id.to_string())),
            ("id >", after.map(|id| id.to_string())),
        ] {
            if let Some(value) = value {
                values.push(value.into());
                text.push_str(&format!(" AND {condition} ${}", values.len()));
            }
        }
        if filter.suspended_only {
            text.push_str(" AND next_attempt_ms IS NULL");
        }
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        text.push_str(&format!(" ORDER BY id LIMIT {limit}"));
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.iter().map(operation).collect()
    }

    /// Whether an operation is owed; or its outcome is not known, and nothing undoes it: it waits for a late answer or
    /// an operator.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn is_owed_or_waits(&self, operation: &Operation) -> Result<bool, StoreError> {
        match operation.state {
            OperationState::Unknown { .. } => Ok(operation.original_id.is_some()
                && self.operations_about(operation).await?.is_empty()),
            _ => Ok(operation.state.open() == Open::Owed),
        }
    }

    /// One owed message and what it is about; none where there is no such operation, or it has no original.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn owed_entry(&self, id: OperationId) -> Result<Option<OwedEntry>, StoreError> {
        let text = format!("SELECT {OPERATION_COLUMNS} FROM operations WHERE id = $1");
        let values = [id.to_string().into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        Ok(self.with_what_they_are_about(&rows).await?.pop())
    }

    /// The payment of an operation.
    ///
    /// # Errors
    /// When the database can't be read, or there is no such payment.
    pub async fn payment_of(&self, operation: &Operation) -> Result<Payment, StoreError> {
        let id = operation.payment_id.to_string();
        let text = format!("{SELECT_PAYMENTS} WHERE payments.id = $1");
        let rows = self
            .read(AssertSqlSafe(text), &[id.as_str().into()])
            .await?;
        rows.first()
            .map(payment)
            .transpose()?
            .ok_or(StoreError::NotFound {
                what: "payment of an operation",
                id,
            })
    }

    /// What is owed of these payments, oldest first.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn owed_of(&self, payments: &[Payment]) -> Result<Vec<Operation>, StoreError> {
        let text = format!(
            "SELECT {OPERATION_COLUMNS} FROM operations WHERE open = 2 AND payment_id {IDS}"
        );
        let pending = payments.iter().filter(|payment| payment.state.owes());
        let ids = pending.map(|payment| payment.id.to_string());
        let rows = self.of_ids(&text, ids.collect()).await?;
        let owed: Result<Vec<Operation>, _> = rows.iter().map(operation).collect();
        let mut owed = owed?;
        owed.sort_by_key(|operation| operation.id);
        Ok(owed)
    }

    /// What releases a part of the holds of these payments, whatever became of it.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn releases_of(&self, payments: &[Payment]) -> Result<Vec<Operation>, StoreError> {
        let kind = OperationKind::Release.name();
        let text = format!(
            "SELECT {OPERATION_COLUMNS} FROM operations WHERE kind = '{kind}' AND payment_id {IDS}"
        );
        let releasing = payments
            .iter()
            .filter(|payment| payment.amounts.released_minor > 0);
        let ids = releasing.map(|payment| payment.id.to_string());
        let rows = self.of_ids(&text, ids.collect()).await?;
        rows.iter().map(operation).collect()
    }

    /// The operations that complete or undo this one, oldest first.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn operations_about(
        &self,
        original: &Operation,
    ) -> Result<Vec<Operation>, StoreError> {
        let mut all = self.operations_of(original.payment_id).await?;
        all.retain(|operation| operation.original_id == Some(original.id));
        Ok(all)
    }

    async fn with_what_they_are_about(
        &self,
        rows: &[AnyRow],
    ) -> Result<Vec<OwedEntry>, StoreError> {
        let operations: Vec<Operation> = readable(rows, operation)?;
        let originals = operations
            .iter()
            .filter_map(|operation| operation.original_id);
        let originals = originals.map(|id| id.to_string()).collect::<Vec<_>>();
        let text = format!("SELECT {OPERATION_COLUMNS} FROM operations WHERE operations.id {IDS}");
        let originals = self.of_ids(&text, originals).await?;
        let originals: HashMap<_, _> = readable(&originals, operation)?
            .into_iter()
            .map(|original| (original.id, original))
            .collect();
        let payments = operations
            .iter()
            .map(|operation| operation.payment_id.to_string());
        let text = format!("{SELECT_PAYMENTS} WHERE payments.id {IDS}");
        let payments = self.of_ids(&text, payments.collect()).await?;
        let payments: HashMap<_, _> = readable(&payments, payment)?
            .into_iter()
            .map(|payment| (payment.id, payment))
            .collect();
        let entry = |operation: Operation| {
            Some(OwedEntry {
                original: originals.get(&operation.original_id?)?.clone(),
                payment: payments.get(&operation.payment_id)?.clone(),
                operation,
            })
        };
        Ok(operations.into_iter().filter_map(entry).collect())
    }

    /// The nodes that have operations of one kind to send to a host, at most `limit` (1 to [`MAX_PAGE_SIZE`]).
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn nodes_that_owe(
        &self,
        (host_id, kind): (HostId, OperationKind),
        limit: usize,
    ) -> Result<Vec<NodeId>, StoreError> {
        let mut nodes: Vec<NodeId> = Vec::new();
        // One look-up in the index for each, however many entries a node has.
        while nodes.len() < limit.min(MAX_PAGE_SIZE) {
            let after = nodes.last().map_or_else(String::new, NodeId::to_string);
            let values = [host_id.as_str().into(), kind.name().into(), after.into()];
            let text = "SELECT node_id FROM operations \
                WHERE open = 2 AND host_id = $1 AND kind = $2 AND node_id > $3 AND next_attempt_ms IS NOT NULL \
                ORDER BY node_id LIMIT 1";
            let rows = self.read(text, &values).await?;
            let Some(row) = rows.first() else {
                break;
            };
            nodes.push(Columns::of(row, "operations", "node_id")?.parsed("node_id")?);
        }
        Ok(nodes)
    }

    /// What is owed to each host, by kind.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn count_owed(&self) -> Result<Vec<OwedCount>, StoreError> {
        let text = "SELECT host_id, kind, CAST(COUNT(*) AS BIGINT) AS owed, \
            CAST(COUNT(*) - COUNT(next_attempt_ms) AS BIGINT) AS suspended, \
            MIN(created_at_ms) AS oldest_ms \
            FROM operations WHERE open = 2 GROUP BY host_id, kind ORDER BY host_id, kind";
        let rows = self.read(text, &[]).await?;
        let count = |row| {
            let columns = Columns::of(row, "operations", "host_id")?;
            Ok(OwedCount {
                host_id: columns.parsed("host_id")?,
                kind: columns.variant("kind")?,
                owed: columns.number("owed")?,
                suspended: columns.number("suspended")?,
                oldest: columns.moment("oldest_ms")?,
            })
        };
        rows.iter().map(count).collect()
    }
}

/// The rows that can be read; the others are logged.
fn readable<T>(
    rows: &[AnyRow],
    read: impl Fn(&AnyRow) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        match read(row) {
            Ok(record) => found.push(record),
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "what is owed can't be read");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
