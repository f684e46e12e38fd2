//! What merchants were told.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::payment::ids::{MerchantId, OperationId};
use crate::payment::record::{Operation, Payment};
use crate::store::Store;
use crate::store::database::read_kinds::ReadKind;
use crate::store::error::StoreError;
use crate::store::records::RecordedAnswer;
use crate::store::tables::columns::Columns;
use crate::store::tables::idempotency::Answer;
use crate::store::tables::operations::OPERATION_COLUMNS;

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
            "SELECT idempotency.body_hash, operations.answer, {OPERATION_COLUMNS} FROM idempotency \
             JOIN operations ON operations.id = idempotency.operation_id \
             WHERE idempotency.merchant_id = $1 AND idempotency.method = $2 \
                AND idempotency.request_id = $3"
        );
        let values = [merchant.as_str().into(), method.into(), request_id.into()];
        let store = self.reading(ReadKind::Requests);
        let found = store.read(AssertSqlSafe(text), &values).await?;
        let Some(row) = found.first() else {
            return Ok(None);
        };
        let body_hash = Columns::of(row, "idempotency", "id")?.hash("body_hash")?;
        let (stored, payment, operation) = store.with_its_answer(row).await?;
        let payment_id = payment.id;
        let answer = match stored {
            Some(stored) => Some(stored.of(payment, operation)),
            // The operation has ended and its answer is no longer kept: the present records are the answer.
            None if !operation.state.is_open() => Some((Box::new(payment), Box::new(operation))),
            None => None,
        };
        Ok(Some(RecordedAnswer {
            payment_id,
            body_hash,
            answer,
        }))
    }

    /// SHA-256 of a request that was taken and has no operation: it was cancelled before it came, or cancelled one that
    /// was. None where there is no such request, or where it has an operation.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn without_operation(
        &self,
        merchant: &MerchantId,
        method: &str,
        request_id: &str,
    ) -> Result<Option<[u8; 32]>, StoreError> {
        let text = "SELECT body_hash FROM idempotency WHERE merchant_id = $1 AND method = $2 \
            AND request_id = $3 AND operation_id = ''";
        let values = [merchant.as_str().into(), method.into(), request_id.into()];
        let store = self.reading(ReadKind::Requests);
        let found = store.read(text, &values).await?;
        let hash = |row| Columns::of(row, "idempotency", "body_hash")?.hash("body_hash");
        found.first().map(hash).transpose()
    }

    /// An operation and its payment: as a merchant was told them, or else as they are.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn told(
        &self,
        id: OperationId,
    ) -> Result<Option<(Box<Payment>, Box<Operation>)>, StoreError> {
        let text = format!("SELECT answer, {OPERATION_COLUMNS} FROM operations WHERE id = $1");
        let store = self.reading(ReadKind::Requests);
        let found = store
            .read(AssertSqlSafe(text), &[id.to_string().into()])
            .await?;
        let Some(row) = found.first() else {
            return Ok(None);
        };
        let (stored, payment, operation) = store.with_its_answer(row).await?;
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
}
