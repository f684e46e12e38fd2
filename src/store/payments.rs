//! Recording intents and outcomes, and reading payments and operations.

use sqlx::AssertSqlSafe;

use super::Store;
use super::draft::Draft;
use super::error::StoreError;
use super::item::{IntentFate, Item, OutcomeFate, intent_rows, outcome_rows};
use super::records::{
    AuthorizationIntent, AuthorizationOutcome, IntentOutcome, ListOrder, MAX_PAGE_SIZE,
    OutcomeRecorded, Page, PaymentCursor, PaymentFilter, RecordedAnswer,
};
use super::rows::{
    Columns, OPERATION_COLUMNS, PAYMENT_COLUMNS, answered_payment, operation, payment, told,
};
use super::sql::{Value, from_hex};
use crate::payment::ids::{HostId, MerchantId, OperationId, PaymentId};
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::{Rrn, Stan};

/// How often an intent is tried again when the request that stood in its way is gone.
const INTENT_ATTEMPTS: u32 = 3;

impl Store {
    /// Makes an authorization durable before it is sent. Of any number of calls with the same
    /// (merchant, method, request id), at once or on several nodes, exactly one gets
    /// [`IntentOutcome::Recorded`].
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for records that do not belong together, [`StoreError::Busy`] when
    /// too much waits, [`StoreError::Conflict`] when an identity or an RRN with its STAN is there
    /// already, [`StoreError::OutcomeUnknown`] when the database went away while it committed:
    /// nothing may be sent then.
    pub async fn record_intent(
        &self,
        intent: &AuthorizationIntent,
    ) -> Result<IntentOutcome, StoreError> {
        for _ in 0..INTENT_ATTEMPTS {
            let rows = Box::new(intent_rows(intent)?);
            let fate = self
                .inner
                .writer
                .submit(|answer| Item::Intent(rows, answer))
                .await?;
            match fate {
                IntentFate::Recorded => return Ok(IntentOutcome::Recorded),
                IntentFate::EnvelopeReplayed => return Ok(IntentOutcome::EnvelopeReplayed),
                IntentFate::KeyTaken => {
                    let key = &intent.idempotency;
                    let answer = self
                        .find_answer(&key.merchant_id, key.method, &key.request_id)
                        .await?;
                    if let Some(answer) = answer {
                        return Ok(IntentOutcome::Existing(Box::new(answer)));
                    }
                    // What was in the way used a sealed card again and was taken back in the same
                    // transaction. The way is free.
                }
            }
        }
        Err(StoreError::Conflict {
            what: "a request with this id",
            reason: "it came and went while this one was recorded".into(),
        })
    }

    /// Makes the end of an authorization durable before the merchant is told, together with what the
    /// merchant is told and the reversal that is owed. Written only when payment and operation are
    /// both at the version before. Recording the very same outcome again is fine.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for records that do not belong together, [`StoreError::Busy`] when
    /// too much waits, [`StoreError::NotFound`] when the payment was never recorded,
    /// [`StoreError::OutcomeUnknown`] when the database went away while it committed; the same
    /// outcome may be recorded again then.
    pub async fn record_outcome(
        &self,
        outcome: &AuthorizationOutcome,
    ) -> Result<OutcomeRecorded, StoreError> {
        let rows = Box::new(outcome_rows(outcome)?);
        let fate = self
            .inner
            .writer
            .submit(|answer| Item::Outcome(rows, answer))
            .await?;
        if fate == OutcomeFate::Recorded {
            return Ok(OutcomeRecorded::Recorded);
        }
        let AuthorizationOutcome {
            payment, operation, ..
        } = outcome;
        if self.was_told(operation.id, payment).await? {
            return Ok(OutcomeRecorded::Recorded);
        }
        let current = self.payment(&payment.merchant_id, payment.id).await?;
        let standing = self.operation(operation.id).await?;
        match (current, standing) {
            (Some(current), Some(operation)) => Ok(OutcomeRecorded::Superseded {
                current: Box::new(current),
                operation: Box::new(operation),
            }),
            _ => Err(StoreError::NotFound {
                what: "operation of a payment",
                id: operation.id.to_string(),
            }),
        }
    }

    /// Whether this very answer is recorded for the operation: then an outcome that finds its place
    /// taken found itself, written by an attempt whose COMMIT was not confirmed.
    async fn was_told(
        &self,
        operation: OperationId,
        payment: &Payment,
    ) -> Result<bool, StoreError> {
        let answer = Draft::new().json(&told(payment))?;
        let found = self
            .read(
                "SELECT id FROM operations WHERE id = $1 AND answer = $2",
                &[operation.to_string().into(), answer.into()],
            )
            .await?;
        Ok(!found.is_empty())
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
            "SELECT idempotency.operation_id, idempotency.body_hash, operations.answer, \
                {PAYMENT_COLUMNS} FROM idempotency \
             JOIN operations ON operations.id = idempotency.operation_id \
             JOIN payments ON payments.id = operations.payment_id \
             WHERE idempotency.merchant_id = $1 AND idempotency.method = $2 \
                AND idempotency.request_id = $3"
        );
        let values = [merchant.as_str().into(), method.into(), request_id.into()];
        let found = self.read(AssertSqlSafe(text), &values).await?;
        let Some(row) = found.first() else {
            return Ok(None);
        };
        let request = Columns::of(row, "idempotency", "operation_id")?;
        let hash = request.text("body_hash")?;
        let body_hash = from_hex(hash)
            .ok_or_else(|| request.corrupt("body_hash", hash, "expected 64 hex digits"))?;
        let operation = Columns::of(row, "operations", "operation_id")?;
        Ok(Some(RecordedAnswer {
            payment_id: Columns::of(row, "payments", "id")?.parsed("id")?,
            body_hash,
            answer: answered_payment(row, &operation)?,
        }))
    }

    /// A merchant's payment; another merchant's is as if it were not there.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn payment(
        &self,
        merchant: &MerchantId,
        id: PaymentId,
    ) -> Result<Option<Payment>, StoreError> {
        let text =
            format!("SELECT {PAYMENT_COLUMNS} FROM payments WHERE id = $1 AND merchant_id = $2");
        let values = [id.to_string().into(), merchant.as_str().into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.first().map(payment).transpose()
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

    /// The exchange that a host knows by these numbers, the newest when they came round again, and its
    /// payment.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn find_operation_by_reference(
        &self,
        host: &HostId,
        rrn: Rrn,
        stan: Stan,
    ) -> Result<Option<(Payment, Operation)>, StoreError> {
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
        match rows.first() {
            Some(row) => self.with_its_payment(row).await.map(Some),
            None => Ok(None),
        }
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
            "SELECT {PAYMENT_COLUMNS} FROM payments \
             WHERE merchant_id = $1 AND merchant_reference = $2 \
             ORDER BY created_at_ms DESC, id DESC LIMIT {MAX_PAGE_SIZE}"
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
            "SELECT {PAYMENT_COLUMNS} FROM payments \
             WHERE id IN (SELECT payment_id FROM operations WHERE rrn = $1) AND merchant_id = $2 \
             ORDER BY created_at_ms DESC, id DESC LIMIT {MAX_PAGE_SIZE}"
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
    let mut text = format!("SELECT {PAYMENT_COLUMNS} FROM payments WHERE merchant_id = $1");
    let mut values: Vec<Value> = vec![merchant.as_str().into()];
    let mut also = |condition: &str, value: Value| {
        values.push(value);
        text.push_str(&format!(" AND {condition} ${}", values.len()));
    };
    if let Some(from) = filter.created_from {
        also("created_at_ms >=", from.as_i64().into());
    }
    if let Some(before) = filter.created_before {
        also("created_at_ms <", before.as_i64().into());
    }
    if let Some(reference) = &filter.merchant_reference {
        also("merchant_reference =", reference.as_str().into());
    }
    if let Some(reference) = &filter.customer_reference {
        also("customer_reference =", reference.as_str().into());
    }
    if let Some(currency) = filter.currency {
        also("currency =", currency.code().into());
    }
    if !filter.states.is_empty() {
        let mut names = Vec::with_capacity(filter.states.len());
        for state in &filter.states {
            values.push((*state).into());
            names.push(format!("${}", values.len()));
        }
        text.push_str(&format!(" AND state IN ({})", names.join(", ")));
    }
    let (direction, beyond) = match order {
        ListOrder::NewestFirst => ("DESC", "<"),
        ListOrder::OldestFirst => ("ASC", ">"),
    };
    if let Some(after) = after {
        values.push(after.created_at.as_i64().into());
        values.push(after.id.to_string().into());
        text.push_str(&format!(
            " AND (created_at_ms, id) {beyond} (${}, ${})",
            values.len() - 1,
            values.len()
        ));
    }
    values.push(i64::try_from(page_size + 1).unwrap_or(i64::MAX).into());
    text.push_str(&format!(
        " ORDER BY created_at_ms {direction}, id {direction} LIMIT ${}",
        values.len()
    ));
    (text, values)
}
