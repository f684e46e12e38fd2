//! Refunds, each with the operation that says where it stands.

use sqlx::AssertSqlSafe;

use crate::payment::ids::{MerchantId, RefundId};
use crate::payment::record::Operation;
use crate::payment::refund::Refund;
use crate::store::Store;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::records::lists::{ListOrder, MAX_PAGE_SIZE, RefundCursor, RefundFilter};
use crate::store::tables::refunds::{refund, select_refunds};

impl Store {
    /// A merchant's refund; another merchant's is as if it were not there.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn refund(
        &self,
        merchant: &MerchantId,
        id: RefundId,
    ) -> Result<Option<(Refund, Operation)>, StoreError> {
        let text = format!(
            "{} WHERE refunds.id = $1 AND merchant_id = $2",
            select_refunds()
        );
        let values = [id.to_string().into(), merchant.as_str().into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.first().map(refund).transpose()
    }

    /// A merchant's refunds, at most `limit` (1 to [`MAX_PAGE_SIZE`]), going on after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list_refunds(
        &self,
        merchant: &MerchantId,
        filter: &RefundFilter,
        order: ListOrder,
        limit: usize,
        after: Option<RefundCursor>,
    ) -> Result<Vec<(Refund, Operation)>, StoreError> {
        let mut text = format!("{} WHERE merchant_id = $1", select_refunds());
        let mut values: Vec<Value> = vec![merchant.as_str().into()];
        let moment = |at: Option<crate::payment::moment::UnixMillis>| at.map(|at| at.as_i64());
        for (condition, value) in [
            (
                "refunds.payment_id =",
                filter.payment_id.map(|id| id.to_string().into()),
            ),
            (
                "merchant_reference =",
                filter.merchant_reference.as_deref().map(Value::from),
            ),
            (
                "refunds.created_at_ms >=",
                moment(filter.created_from).map(Value::from),
            ),
            (
                "refunds.created_at_ms <",
                moment(filter.created_before).map(Value::from),
            ),
        ] {
            if let Some(value) = value {
                values.push(value);
                text.push_str(&format!(" AND {condition} ${}", values.len()));
            }
        }
        let (direction, beyond) = match order {
            ListOrder::NewestFirst => ("DESC", "<"),
            ListOrder::OldestFirst => ("ASC", ">"),
        };
        if let Some(after) = after {
            values.push(after.created_at.as_i64().into());
            values.push(after.id.to_string().into());
            text.push_str(&format!(
                " AND (refunds.created_at_ms, refunds.id) {beyond} (${}, ${})",
                values.len() - 1,
                values.len()
            ));
        }
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        text.push_str(&format!(
            " ORDER BY refunds.created_at_ms {direction}, refunds.id {direction} LIMIT {limit}"
        ));
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.iter().map(refund).collect()
    }
}
