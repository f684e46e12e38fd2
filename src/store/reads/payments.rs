//! Payments: one, a page of a list, those of a reference.

use sqlx::AssertSqlSafe;

use crate::payment::custody::CustodyEntry;
use crate::payment::ids::{MerchantId, PaymentId};
use crate::payment::moment::UnixMillis;
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::Rrn;
use crate::store::Store;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::records::lists::{ListOrder, MAX_PAGE_SIZE, Page, PaymentCursor, PaymentFilter};
use crate::store::tables::operations::operation;
use crate::store::tables::payments::{
    IS_PAYMENT, SELECT_PAYMENTS, custody_entry, payment, select_with_authorizations,
};

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
    ) -> Result<Page<Payment>, StoreError> {
        let page_size = page_size.clamp(1, MAX_PAGE_SIZE);
        let (text, values) = list_statement(merchant, filter, order, page_size, after);
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        let mut items = rows.iter().map(payment).collect::<Result<Vec<_>, _>>()?;
        // One more than asked for was read, to know whether there is another page.
        let more = items.len() > page_size;
        items.truncate(page_size);
        let next = items.last().filter(|_| more).map(|last| PaymentCursor {
            created_at: last.created_at,
            id: last.id,
        });
        Ok(Page { items, next })
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
        let text = format!(
            "{SELECT_PAYMENTS} WHERE merchant_id = $1 AND merchant_reference = $2 AND {IS_PAYMENT} \
             ORDER BY payments.created_at_ms DESC, payments.id DESC LIMIT {MAX_PAGE_SIZE}"
        );
        let values = [merchant.as_str().into(), reference.into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.iter().map(payment).collect()
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

fn list_statement(
    merchant: &MerchantId,
    filter: &PaymentFilter,
    order: ListOrder,
    page_size: usize,
    after: Option<PaymentCursor>,
) -> (String, Vec<Value>) {
    let mut text = format!("{SELECT_PAYMENTS} WHERE merchant_id = $1 AND {IS_PAYMENT}");
    let mut values: Vec<Value> = vec![merchant.as_str().into()];
    let mut also = |condition: &str, value: Value| {
        values.push(value);
        text.push_str(&format!(" AND {condition} ${}", values.len()));
    };
    if let Some(from) = filter.created_from {
        also("payments.created_at_ms >=", from.as_i64().into());
    }
    if let Some(before) = filter.created_before {
        also("payments.created_at_ms <", before.as_i64().into());
    }
    if let Some(reference) = &filter.merchant_reference {
        also("merchant_reference =", reference.as_str().into());
    }
    if let Some(reference) = &filter.customer_reference {
        also("customer_reference =", reference.as_str().into());
    }
    if let Some(currency) = filter.currency {
        also("payments.currency =", currency.code().into());
    }
    if !filter.states.is_empty() {
        let mut names = Vec::with_capacity(filter.states.len());
        for state in &filter.states {
            values.push((*state).into());
            names.push(format!("${}", values.len()));
        }
        text.push_str(&format!(" AND payments.state IN ({})", names.join(", ")));
    }
    let (direction, beyond) = match order {
        ListOrder::NewestFirst => ("DESC", "<"),
        ListOrder::OldestFirst => ("ASC", ">"),
    };
    if let Some(after) = after {
        values.push(after.created_at.as_i64().into());
        values.push(after.id.to_string().into());
        text.push_str(&format!(
            " AND (payments.created_at_ms, payments.id) {beyond} (${}, ${})",
            values.len() - 1,
            values.len()
        ));
    }
    values.push(i64::try_from(page_size + 1).unwrap_or(i64::MAX).into());
    text.push_str(&format!(
        " ORDER BY payments.created_at_ms {direction}, payments.id {direction} LIMIT ${}",
        values.len()
    ));
    (text, values)
}
