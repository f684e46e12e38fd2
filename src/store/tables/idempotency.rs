//! Requests that were taken, and the answers that their merchants got.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::columns::Columns;
use super::payments::{PAYMENT_COLUMNS, payment};
use super::text_buffer::TextBuffer;
use crate::payment::ids::{MerchantId, OperationId};
use crate::payment::moment::UnixMillis;
use crate::payment::record::Payment;
use crate::payment::state::PaymentState;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::hex::from_hex;
use crate::store::records::RecordedAnswer;

/// The column `answer` of an operation: the values of the answered payment that later changes overwrite.
/// The others never change in the payment's row.
#[derive(Serialize, Deserialize)]
struct AnswerColumns<'p> {
    authorized_minor: i64,
    captured_minor: i64,
    refunded_minor: i64,
    disputed_minor: i64,
    state: Cow<'p, PaymentState>,
    updated_at: UnixMillis,
    version: i64,
}

/// The column `answer` for a merchant that is answered `payment`.
pub(in crate::store) fn answer(payment: &Payment) -> impl Serialize {
    AnswerColumns {
        authorized_minor: payment.authorized_minor,
        captured_minor: payment.captured_minor,
        refunded_minor: payment.refunded_minor,
        disputed_minor: payment.disputed_minor,
        state: Cow::Borrowed(&payment.state),
        updated_at: payment.updated_at,
        version: payment.version,
    }
}

/// The payment that the merchant was answered, from a row with [`PAYMENT_COLUMNS`] and the `answer` of
/// an operation; `None` when there is no answer yet.
pub(in crate::store) fn answered_payment(
    row: &AnyRow,
    operation: &Columns<'_>,
) -> Result<Option<Payment>, StoreError> {
    if operation.optional_text("answer")?.is_none() {
        return Ok(None);
    }
    let stored: AnswerColumns<'_> = operation.json("answer")?;
    Ok(Some(Payment {
        authorized_minor: stored.authorized_minor,
        captured_minor: stored.captured_minor,
        refunded_minor: stored.refunded_minor,
        disputed_minor: stored.disputed_minor,
        state: stored.state.into_owned(),
        updated_at: stored.updated_at,
        version: stored.version,
        ..payment(row)?
    }))
}

impl Store {
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

    /// Whether `payment` is the recorded answer of the operation. Then a superseded outcome found its own
    /// rows, written by an attempt whose COMMIT was not confirmed.
    pub(in crate::store) async fn is_answer(
        &self,
        operation: OperationId,
        payment: &Payment,
    ) -> Result<bool, StoreError> {
        let answer = TextBuffer::new().json(&answer(payment))?;
        let found = self
            .read(
                "SELECT id FROM operations WHERE id = $1 AND answer = $2",
                &[operation.to_string().into(), answer.into()],
            )
            .await?;
        Ok(!found.is_empty())
    }
}
