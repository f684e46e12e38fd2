//! Responses that came after the gateway had stopped waiting.

use super::columns::Columns;
use crate::payment::ids::OperationId;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::error::StoreError;
use crate::store::reads::by_ids::IDS;
use crate::store::records::LateResponse;

impl Store {
    /// Records a response that came after the gateway had stopped waiting. No state changes. False when a late
    /// response to this operation with this code was recorded before; that one stands, but for an amount that differs.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when there is no such operation.
    pub async fn record_late_response(&self, late: LateResponse) -> Result<bool, StoreError> {
        let statements = vec![Statement {
            text: "INSERT INTO late_responses (operation_id, host_id, response_code, \
                approval_code, received_at_ms, amount_differs) VALUES ($1, $2, $3, $4, $5, $6) \
                ON CONFLICT (operation_id, response_code) DO UPDATE SET amount_differs = 1 \
                WHERE excluded.amount_differs = 1 AND late_responses.amount_differs = 0",
            values: vec![
                late.operation_id.to_string().into(),
                late.host_id.as_str().into(),
                late.response_code.as_str().into(),
                late.approval_code.into(),
                late.received_at.as_i64().into(),
                i64::from(late.amount_differs).into(),
            ],
            returning: false,
        }];
        let done = self.inner.writer.run(statements, true).await?;
        Ok(done.first().is_some_and(|done| done.rows_affected > 0))
    }

    /// What came late for an operation, if anything did: the last of it.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn late_response(&self, id: OperationId) -> Result<Option<LateResponse>, StoreError> {
        Ok(self.late_responses_of(&[id]).await?.pop())
    }

    /// What came late for these operations, in the order in which it came.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn late_responses_of(
        &self,
        ids: &[OperationId],
    ) -> Result<Vec<LateResponse>, StoreError> {
        let text = format!("SELECT * FROM late_responses WHERE operation_id {IDS}");
        let ids = ids.iter().map(ToString::to_string).collect();
        let late = |row| {
            let columns = Columns::of(row, "late_responses", "operation_id")?;
            Ok(LateResponse {
                operation_id: columns.parsed("operation_id")?,
                host_id: columns.parsed("host_id")?,
                response_code: columns.parsed("response_code")?,
                approval_code: columns.optional_text("approval_code")?,
                amount_differs: columns.flag("amount_differs")?,
                received_at: columns.moment("received_at_ms")?,
            })
        };
        let rows = self.of_ids(&text, ids).await?;
        let mut late: Vec<_> = rows.iter().map(late).collect::<Result<_, StoreError>>()?;
        late.sort_by_key(|late| late.received_at);
        Ok(late)
    }
}
