//! Refunds, each with the operation that says where it stands.

use sqlx::AssertSqlSafe;

use crate::payment::ids::{MerchantId, RefundId};
use crate::payment::moment::UnixMillis;
use crate::payment::record::Operation;
use crate::payment::refund::Refund;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::index_walk::{IndexWalk, page};
use crate::store::records::lists::{ListOrder, MAX_PAGE_SIZE, Page, RefundCursor, RefundFilter};
use crate::store::tables::refunds::{refund, select_refunds};

/// What refunds are listed by.
const REFUND_ORDER: [&str; 2] = ["refunds.created_at_ms", "refunds.id"];

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

    /// A merchant's refunds, `page_size` (1 to [`MAX_PAGE_SIZE`]) at a time, going on after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list_refunds(
        &self,
        merchant: &MerchantId,
        filter: &RefundFilter,
        order: ListOrder,
        page_size: usize,
        after: Option<RefundCursor>,
    ) -> Result<Page<(Refund, Operation), RefundCursor>, StoreError> {
        let page_size = page_size.clamp(1, MAX_PAGE_SIZE);
        let mut walk = IndexWalk::new("refunds", &REFUND_ORDER, order);
        let payment = filter.payment_id.map(|id| id.to_string());
        let reference = filter.merchant_reference.as_deref();
        // Each has an index, of which one leads.
        match (&payment, reference) {
            (Some(payment), _) => walk.only("refunds.payment_id =", Some(payment.as_str())),
            (None, reference) => {
                walk.only("refunds.merchant_id =", Some(merchant.as_str()));
                walk.only("refunds.merchant_reference =", reference);
            }
        }
        let millis = |at: Option<UnixMillis>| at.map(UnixMillis::as_i64);
        walk.only("refunds.created_at_ms >=", millis(filter.created_from));
        walk.only("refunds.created_at_ms <", millis(filter.created_before));
        walk.after(after.as_ref());
        let end = self.end_of_look(&mut walk).await?;
        if payment.is_some() {
            walk.filtered("refunds.merchant_id", Some(merchant.as_str()));
            walk.filtered("refunds.merchant_reference", reference);
        }
        let rows = self
            .walked(&walk, &select_refunds(), "", page_size + 1)
            .await?;
        let items = rows.iter().map(refund).collect::<Result<Vec<_>, _>>()?;
        let place = |(last, _): &(Refund, Operation)| RefundCursor {
            created_at: last.created_at,
            id: last.id,
        };
        Ok(page(items, page_size, place, end))
    }
}
