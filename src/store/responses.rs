//! Responses that came too late, and those that matched nothing.

use super::Store;
use super::error::StoreError;
use super::item::Statement;
use super::records::{KeptLateResponse, LateResponse, QuarantinedResponse};
use super::rows::Columns;
use crate::payment::ids::{OperationId, QuarantineId};
use crate::payment::reference::Stan;

impl Store {
    /// Records a response that came after the gateway had stopped waiting. No state changes: the
    /// reversal that is owed was recorded when it stopped waiting. False when a late response to
    /// this operation was recorded before; that one stands.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when there is no such operation.
    pub async fn record_late_response(&self, late: LateResponse) -> Result<bool, StoreError> {
        let statements = vec![Statement {
            text: "INSERT INTO late_responses (operation_id, host_id, response_code, \
                approval_code, received_at_ms) VALUES ($1, $2, $3, $4, $5) \
                ON CONFLICT (operation_id) DO NOTHING",
            values: vec![
                late.operation_id.to_string().into(),
                late.host_id.as_str().into(),
                late.response_code.as_str().into(),
                late.approval_code.into(),
                late.received_at.as_i64().into(),
            ],
            returning: false,
        }];
        let done = self.inner.writer.work(statements, true).await?;
        Ok(done.first().is_some_and(|done| done.rows_affected > 0))
    }

    /// What came late for an operation, if anything did.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn late_response(
        &self,
        operation_id: OperationId,
    ) -> Result<Option<KeptLateResponse>, StoreError> {
        let rows = self
            .read(
                "SELECT * FROM late_responses WHERE operation_id = $1",
                &[operation_id.to_string().into()],
            )
            .await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let columns = Columns::of(row, "late_responses", "operation_id")?;
        Ok(Some(KeptLateResponse {
            response_code: columns.parsed("response_code")?,
            approval_code: columns.optional_text("approval_code")?,
            received_at: columns.moment("received_at_ms")?,
        }))
    }

    /// Records a response that matched nothing. One with the same id is recorded once.
    ///
    /// # Errors
    /// When the database is not available or too much waits.
    pub async fn record_quarantined(
        &self,
        response: QuarantinedResponse,
    ) -> Result<(), StoreError> {
        let statement = Statement {
            text: "INSERT INTO quarantine (id, host_id, reason, mti, stan, rrn, response_code, \
                message, received_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                ON CONFLICT (id) DO NOTHING",
            values: vec![
                response.id.to_string().into(),
                response.host_id.as_str().into(),
                response.reason.into(),
                response.mti.into(),
                response.stan.map(|stan| i64::from(stan.get())).into(),
                response.rrn.map(String::from).into(),
                response.response_code.map(String::from).into(),
                response.message.into(),
                response.received_at.as_i64().into(),
            ],
            returning: false,
        };
        self.inner.writer.work(vec![statement], true).await?;
        Ok(())
    }

    /// The quarantine, newest first, going on after `after`; `limit` is 1 to [`super::records::MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list_quarantine(
        &self,
        limit: usize,
        after: Option<QuarantineId>,
    ) -> Result<Vec<QuarantinedResponse>, StoreError> {
        let rows = self
            .newest_first("quarantine", limit, after.map(|id| id.to_string()))
            .await?;
        rows.iter().map(quarantined).collect()
    }
}

fn quarantined(row: &sqlx::any::AnyRow) -> Result<QuarantinedResponse, StoreError> {
    let columns = Columns::of(row, "quarantine", "id")?;
    let stan = match columns.optional_integer("stan")? {
        Some(_) => Some(columns.stan("stan")?),
        None => None::<Stan>,
    };
    Ok(QuarantinedResponse {
        id: columns.parsed("id")?,
        host_id: columns.parsed("host_id")?,
        reason: columns.text("reason")?.to_owned(),
        mti: columns.text("mti")?.to_owned(),
        stan,
        rrn: columns.optional_parsed("rrn")?,
        response_code: columns.optional_parsed("response_code")?,
        message: columns.text("message")?.to_owned(),
        received_at: columns.moment("received_at_ms")?,
    })
}
