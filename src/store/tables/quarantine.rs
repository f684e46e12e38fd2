//! Responses that matched nothing that was waiting.

use sqlx::any::AnyRow;

use super::columns::Columns;
use crate::payment::ids::QuarantineId;
use crate::payment::reference::Stan;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::error::StoreError;
use crate::store::records::QuarantinedResponse;

impl Store {
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
        self.inner.writer.run(vec![statement], true).await?;
        Ok(())
    }

    /// The quarantine, newest first, going on after `after`; `limit` is 1 to
    /// [`MAX_PAGE_SIZE`](crate::store::records::lists::MAX_PAGE_SIZE).
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

/// A message of the quarantine from a row of it.
pub(in crate::store) fn quarantined(row: &AnyRow) -> Result<QuarantinedResponse, StoreError> {
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
