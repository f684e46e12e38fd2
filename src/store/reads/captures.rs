//! Captures, each with the operation that says where it stands.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::payment::capture::Capture;
use crate::payment::ids::{CaptureId, MerchantId, OperationId, PaymentId};
use crate::payment::record::Operation;
use crate::random::HashMap;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::reads::by_ids::IDS;
use crate::store::records::MAX_PAGE_SIZE;
use crate::store::tables::captures::{CAPTURE_COLUMNS, capture};
use crate::store::tables::operations::{OPERATION_COLUMNS, operation};

impl Store {
    /// A merchant's capture; another merchant's is as if it were not there.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn capture(
        &self,
        merchant: &MerchantId,
        id: CaptureId,
    ) -> Result<Option<(Capture, Operation)>, StoreError> {
        let text = format!(
            "SELECT {CAPTURE_COLUMNS} FROM captures \
             JOIN payments ON payments.id = captures.payment_id \
             WHERE captures.id = $1 AND payments.merchant_id = $2"
        );
        let values = [id.to_string().into(), merchant.as_str().into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        Ok(self.with_their_operations(&rows).await?.pop())
    }

    /// The captures of a payment, oldest first, going on after `after`; `limit` is 1 to [`MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn captures_of(
        &self,
        payment_id: PaymentId,
        limit: usize,
        after: Option<CaptureId>,
    ) -> Result<Vec<(Capture, Operation)>, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        let text = format!(
            "SELECT {CAPTURE_COLUMNS} FROM captures WHERE payment_id = $1 AND id > $2 \
             ORDER BY id LIMIT {limit}"
        );
        let after = after.map_or_else(String::new, |after| after.to_string());
        let values = [payment_id.to_string().into(), after.into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        self.with_their_operations(&rows).await
    }

    /// The newest captures of these payments, at most `limit` (1 to [`MAX_PAGE_SIZE`]) of each, newest first.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn newest_captures(
        &self,
        payments: &[PaymentId],
        limit: usize,
    ) -> Result<Vec<(Capture, Operation)>, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        let text = format!(
            "SELECT {CAPTURE_COLUMNS} FROM (SELECT *, \
                ROW_NUMBER() OVER (PARTITION BY payment_id ORDER BY id DESC) AS place \
                FROM captures WHERE payment_id {IDS}) AS captures WHERE place <= {limit}"
        );
        let ids = payments.iter().map(|id| id.to_string()).collect();
        let rows = self.of_ids(&text, ids).await?;
        let mut found = self.with_their_operations(&rows).await?;
        found.sort_by_key(|(capture, _)| std::cmp::Reverse(capture.id));
        Ok(found)
    }

    pub(super) async fn with_their_operations(
        &self,
        rows: &[AnyRow],
    ) -> Result<Vec<(Capture, Operation)>, StoreError> {
        let captures: Result<Vec<Capture>, _> = rows.iter().map(capture).collect();
        self.with_operations(captures?, |capture| capture.operation_id)
            .await
    }

    /// Records with their operations, in their order.
    pub(in crate::store) async fn with_operations<T>(
        &self,
        records: Vec<T>,
        operation_id: impl Fn(&T) -> OperationId,
    ) -> Result<Vec<(T, Operation)>, StoreError> {
        let ids = records
            .iter()
            .map(|record| operation_id(record).to_string());
        let text = format!("SELECT {OPERATION_COLUMNS} FROM operations WHERE operations.id {IDS}");
        let operations = self.of_ids(&text, ids.collect()).await?;
        let operations: Result<HashMap<OperationId, Operation>, StoreError> = operations
            .iter()
            .map(|row| operation(row).map(|operation| (operation.id, operation)))
            .collect();
        let mut operations = operations?;
        let with_operation = |record: T| {
            let operation = operations.remove(&operation_id(&record))?;
            Some((record, operation))
        };
        Ok(records.into_iter().filter_map(with_operation).collect())
    }
}
