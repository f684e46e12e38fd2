//! Captures, each with the operation that says where it stands.

use sqlx::AssertSqlSafe;

use crate::payment::capture::Capture;
use crate::payment::ids::{CaptureId, MerchantId, PaymentId};
use crate::payment::record::Operation;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::reads::by_ids::IDS;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::tables::captures::{capture, select_captures};

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
            "{} JOIN payments ON payments.id = captures.payment_id \
             WHERE captures.id = $1 AND payments.merchant_id = $2",
            select_captures()
        );
        let values = [id.to_string().into(), merchant.as_str().into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.first().map(capture).transpose()
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
            "{} WHERE captures.payment_id = $1 AND captures.id > $2 \
             ORDER BY captures.id LIMIT {limit}",
            select_captures()
        );
        let after = after.map_or_else(String::new, |after| after.to_string());
        let values = [payment_id.to_string().into(), after.into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.iter().map(capture).collect()
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
            "{} WHERE captures.id IN (SELECT id FROM (SELECT id, \
                ROW_NUMBER() OVER (PARTITION BY payment_id ORDER BY id DESC) AS place \
                FROM captures WHERE payment_id {IDS}) AS numbered WHERE place <= {limit})",
            select_captures()
        );
        let ids = payments.iter().map(|id| id.to_string()).collect();
        let rows = self.of_ids(&text, ids).await?;
        let found: Result<Vec<_>, _> = rows.iter().map(capture).collect();
        let mut found = found?;
        found.sort_by_key(|(capture, _)| std::cmp::Reverse(capture.id));
        Ok(found)
    }
}
