//! Reads payments, their operations, the answers to requests, and what is owed.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::Store;
use super::change::ReversalOwed;
use super::database::value::Value;
use super::error::StoreError;
use super::records::{
    ListOrder, MAX_PAGE_SIZE, Page, PaymentCursor, PaymentFilter, RecordedAnswer,
};
use super::tables::columns::Columns;
use super::tables::idempotency::Answer;
use super::tables::operations::{OPERATION_COLUMNS, operation};
use super::tables::payments::{SELECT_PAYMENTS, payment};
use super::tables::reversals::reversal;
use crate::payment::ids::{HostId, MerchantId, OperationId, PaymentId};
use crate::payment::moment::UnixMillis;
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::{Rrn, Stan};

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
    /// A merchant's payment; another merchant's is as if it were not there.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn payment(
        &self,
        merchant: &MerchantId,
        id: PaymentId,
    ) -> Result<Option<Payment>, StoreError> {
        let text = format!("{SELECT_PAYMENTS} WHERE payments.id = $1 AND merchant_id = $2");
        let values = [id.to_string().into(), merchant.as_str().into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.first().map(payment).transpose()
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
            "{SELECT_PAYMENTS} WHERE merchant_id = $1 AND merchant_reference = $2 \
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
             AND merchant_id = $2 \
             ORDER BY payments.created_at_ms DESC, payments.id DESC LIMIT {MAX_PAGE_SIZE}"
        );
        let values = [rrn.as_str().into(), merchant.as_str().into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.iter().map(payment).collect()
    }

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
    pub(super) async fn with_its_payment(
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

    /// The exchange that a host knows by these numbers, the newest when they came round again.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn find_operation_by_reference(
        &self,
        host: &HostId,
        rrn: Rrn,
        stan: Stan,
    ) -> Result<Option<Operation>, StoreError> {
        let text = format!(
            "SELECT {OPERATION_COLUMNS} FROM operations \
             WHERE rrn = $1 AND stan = $2 AND host_id = $3 ORDER BY created_at_ms DESC LIMIT 1"
        );
        let values = [
            rrn.as_str().into(),
            i64::from(stan.get()).into(),
            host.as_str().into(),
        ];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.first().map(operation).transpose()
    }

    /// What a merchant was told when it made this request before.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn find_answer(
        &self,
        merchant: &MerchantId,
        method: &str,
        request_id: &str,
    ) -> Result<Option<RecordedAnswer>, StoreError> {
        let text = format!(
            "SELECT idempotency.body_hash, operations.answer, {OPERATION_COLUMNS} FROM idempotency \
             JOIN operations ON operations.id = idempotency.operation_id \
             WHERE idempotency.merchant_id = $1 AND idempotency.method = $2 \
                AND idempotency.request_id = $3"
        );
        let values = [merchant.as_str().into(), method.into(), request_id.into()];
        let found = self.read(AssertSqlSafe(text), &values).await?;
        let Some(row) = found.first() else {
            return Ok(None);
        };
        let body_hash = Columns::of(row, "idempotency", "id")?.hash("body_hash")?;
        let (stored, payment, operation) = self.with_its_answer(row).await?;
        let payment_id = payment.id;
        let answer = match stored {
            Some(stored) => Some(stored.of(payment, operation)),
            // Nobody works on it any more, and its answer is not kept any more: what is true now.
            None if !operation.state.is_open() => Some((Box::new(payment), Box::new(operation))),
            None => None,
        };
        Ok(Some(RecordedAnswer {
            payment_id,
            body_hash,
            answer,
        }))
    }

    /// An operation and its payment: as a merchant was told them, or else as they are.
    pub(super) async fn told(
        &self,
        id: OperationId,
    ) -> Result<Option<(Box<Payment>, Box<Operation>)>, StoreError> {
        let text = format!("SELECT answer, {OPERATION_COLUMNS} FROM operations WHERE id = $1");
        let found = self
            .read(AssertSqlSafe(text), &[id.to_string().into()])
            .await?;
        let Some(row) = found.first() else {
            return Ok(None);
        };
        let (stored, payment, operation) = self.with_its_answer(row).await?;
        Ok(Some(match stored {
            Some(stored) => stored.of(payment, operation),
            None => (Box::new(payment), Box::new(operation)),
        }))
    }

    /// The answer that the operation of `row` holds, its payment, and the operation.
    async fn with_its_answer(
        &self,
        row: &AnyRow,
    ) -> Result<(Option<Answer<'static>>, Payment, Operation), StoreError> {
        let stored = Columns::of(row, "operations", "id")?.optional_json("answer")?;
        let (payment, operation) = self.with_its_payment(row).await?;
        Ok((stored, payment, operation))
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

fn list_statement(
    merchant: &MerchantId,
    filter: &PaymentFilter,
    order: ListOrder,
    page_size: usize,
    after: Option<PaymentCursor>,
) -> (String, Vec<Value>) {
    let mut text = format!("{SELECT_PAYMENTS} WHERE merchant_id = $1");
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
