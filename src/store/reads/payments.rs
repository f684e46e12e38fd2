//! Payments: one, a page of a list, those of a reference.

use sqlx::AssertSqlSafe;

use crate::payment::custody::CustodyEntry;
use crate::payment::ids::{MerchantId, PaymentId};
use crate::payment::moment::UnixMillis;
use crate::payment::money::Currency;
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::Rrn;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::index_walk::{IndexWalk, page};
use crate::store::records::lists::{ListOrder, MAX_PAGE_SIZE, Page, PaymentCursor, PaymentFilter};
use crate::store::tables::columns::Columns;
use crate::store::tables::operations::operation;
use crate::store::tables::payments::{
    IS_PAYMENT, SELECT_PAYMENTS, custody_entry, payment, select_with_authorizations,
};

/// What payments are listed by.
const PAYMENT_ORDER: [&str; 2] = ["payments.created_at_ms", "payments.id"];

/// A payment, and what a later message of it needs.
#[derive(Debug)]
pub struct PaymentForLater {
    /// The payment.
    pub payment: Payment,
    /// The operation that authorizes it.
    pub authorization: Operation,
    /// Its card, where it is kept.
    pub card: Option<CustodyEntry>,
}

impl Store {
    /// A merchant's payment; another merchant's is as if it were not there.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn payment(
        &self,
        merchant: &MerchantId,
        id: PaymentId,
    ) -> Result<Option<Payment>, StoreError> {
        let text = format!(
            "{SELECT_PAYMENTS} WHERE payments.id = $1 AND merchant_id = $2 AND {IS_PAYMENT}"
        );
        let values = [id.to_string().into(), merchant.as_str().into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.first().map(payment).transpose()
    }

    /// Whose a payment is, and by what the installation knows its card again, where that was kept; `None` when there is no
    /// such payment.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn velocity_of(
        &self,
        id: PaymentId,
    ) -> Result<Option<(MerchantId, Option<String>)>, StoreError> {
        let text = "SELECT id, merchant_id, velocity FROM payments WHERE id = $1";
        let rows = self.read(text, &[id.to_string().into()]).await?;
        let found = rows.first().map(|row| {
            let columns = Columns::of(row, "payments", "id")?;
            let merchant_id = columns.parsed("merchant_id")?;
            Ok((merchant_id, columns.optional_text("velocity")?))
        });
        found.transpose()
    }

    /// As [`Store::payment`], with what a later message of it needs.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn payment_for_later(
        &self,
        merchant: &MerchantId,
        id: PaymentId,
    ) -> Result<Option<PaymentForLater>, StoreError> {
        let text = format!(
            "{} WHERE payments.id = $1 AND merchant_id = $2 AND {IS_PAYMENT}",
            select_with_authorizations()
        );
        let values = [id.to_string().into(), merchant.as_str().into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        let found = |row| {
            Ok(PaymentForLater {
                payment: payment(row)?,
                authorization: operation(row)?,
                card: custody_entry(row)?,
            })
        };
        rows.first().map(found).transpose()
    }

    /// Payments whose hold ended before this moment and that do not say so yet, the longest over first, each with the
    /// operation that authorizes it; `limit` is 1 to [`MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn ended_holds(
        &self,
        before: UnixMillis,
        limit: usize,
    ) -> Result<Vec<(Payment, Operation)>, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        let text = format!(
            "{} WHERE expires_at_ms < $1 AND captured_pending_minor = 0 \
                AND authorized_pending_minor = 0 ORDER BY expires_at_ms LIMIT {limit}",
            select_with_authorizations()
        );
        let rows = self
            .read(AssertSqlSafe(text), &[before.as_i64().into()])
            .await?;
        let with_authorization = |row| Ok((payment(row)?, operation(row)?));
        rows.iter().map(with_authorization).collect()
    }

    /// A merchant's payments, `page_size` (1 to [`MAX_PAGE_SIZE`]) at a time, going on after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list_payments(
        &self,
        merchant: &MerchantId,
        filter: &PaymentFilter,
        order: ListOrder,
        page_size: usize,
        after: Option<PaymentCursor>,
    ) -> Result<Page<Payment, PaymentCursor>, StoreError> {
        let page_size = page_size.clamp(1, MAX_PAGE_SIZE);
        let mut walk = IndexWalk::new("payments", &PAYMENT_ORDER, order);
        walk.only("payments.merchant_id =", Some(merchant.as_str()));
        let (reference, customer) = (&filter.merchant_reference, &filter.customer_reference);
        // Each has an index, of which one leads.
        match (reference.as_deref(), customer.as_deref()) {
            (None, customer) => walk.only("payments.customer_reference =", customer),
            (reference, _) => walk.only("payments.merchant_reference =", reference),
        }
        let millis = |at: Option<UnixMillis>| at.map(UnixMillis::as_i64);
        walk.only("payments.created_at_ms >=", millis(filter.created_from));
        walk.only("payments.created_at_ms <", millis(filter.created_before));
        walk.after(after.as_ref());
        let end = self.end_of_look(&mut walk).await?;
        if reference.is_some() {
            walk.filtered("payments.customer_reference", customer.as_deref());
        }
        walk.only("payments.currency =", filter.currency.map(Currency::code));
        walk.only_any("payments.state", &filter.states);
        walk.only_where(IS_PAYMENT);
        let rows = self
            .walked(&walk, SELECT_PAYMENTS, "", page_size + 1)
            .await?;
        let items = rows.iter().map(payment).collect::<Result<Vec<_>, _>>()?;
        let place = |last: &Payment| PaymentCursor {
            created_at: last.created_at,
            id: last.id,
        };
        Ok(page(items, page_size, place, end))
    }

    /// A merchant's payments with this order reference, newest first, at most [`MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn payments_by_merchant_reference(
        &self,
        merchant: &MerchantId,
        reference: &str,
    ) -> Result<Vec<Payment>, StoreError> {
        let filter = PaymentFilter {
            merchant_reference: Some(reference.to_owned()),
            ..PaymentFilter::default()
        };
        let order = ListOrder::NewestFirst;
        let (mut found, mut after) = (Vec::new(), None);
        // What looks it up decides whether to pay again: what stands behind rows that are no payments is found too.
        loop {
            let left = MAX_PAGE_SIZE - found.len();
            let page = self.list_payments(merchant, &filter, order, left, after);
            let page = page.await?;
            found.extend(page.items);
            if page.next.is_none() || found.len() >= MAX_PAGE_SIZE {
                return Ok(found);
            }
            after = page.next;
        }
    }

    /// A merchant's payments of which an exchange with a host has this RRN, newest first, at most
    /// [`MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn payments_by_rrn(
        &self,
        merchant: &MerchantId,
        rrn: Rrn,
    ) -> Result<Vec<Payment>, StoreError> {
        let text = format!(
            "{SELECT_PAYMENTS} WHERE payments.id IN \
                (SELECT named.payment_id FROM operations AS named WHERE named.rrn = $1) \
             AND merchant_id = $2 AND {IS_PAYMENT} \
             ORDER BY payments.created_at_ms DESC, payments.id DESC LIMIT {MAX_PAGE_SIZE}"
        );
        let values = [rrn.as_str().into(), merchant.as_str().into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.iter().map(payment).collect()
    }
}
