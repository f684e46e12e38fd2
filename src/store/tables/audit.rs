//! What operators did: rows are only added, and only an outcome that was not known is filled in.

use iso8583::hex;
use sqlx::any::AnyRow;

use super::columns::Columns;
use crate::payment::ids::AuditId;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::records::callers::AuditRecord;

impl Store {
    /// Records what an operator did or is about to do.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the operator made this request before.
    pub async fn insert_audit(&self, record: &AuditRecord) -> Result<(), StoreError> {
        let statements = vec![insert_audit(record)];
        self.inner.writer.run(statements, false).await.map(drop)
    }

    /// Records what came of it, and its answer. An outcome that is recorded already stands.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such row without an outcome.
    pub async fn set_audit_outcome(
        &self,
        id: AuditId,
        outcome: &str,
        answer: &[u8],
    ) -> Result<(), StoreError> {
        let id = id.to_string();
        let statement = Statement {
            text: "UPDATE audit SET outcome = $2, answer = $3 \
                WHERE id = $1 AND (outcome IS NULL OR outcome = $2)",
            values: vec![
                id.as_str().into(),
                outcome.into(),
                hex::encode_lower(answer).into(),
            ],
            returning: false,
        };
        self.update_one(statement, "audit row without an outcome", &id)
            .await
    }

    /// The row of a request that the operator made before.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn find_audit(
        &self,
        operator: &str,
        request_id: &str,
    ) -> Result<Option<AuditRecord>, StoreError> {
        let rows = self
            .read(
                "SELECT * FROM audit WHERE operator = $1 AND request_id = $2",
                &[operator.into(), request_id.into()],
            )
            .await?;
        rows.first().map(audit).transpose()
    }

    /// What operators did, newest first, from `after` on; `limit` is 1 to
    /// [`MAX_PAGE_SIZE`](crate::store::records::lists::MAX_PAGE_SIZE).
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list_audit(
        &self,
        limit: usize,
        after: Option<AuditId>,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let rows = self
            .newest_first("audit", limit, after.map(|id| id.to_string()))
            .await?;
        rows.iter().map(audit).collect()
    }
}

/// The statement that adds a row.
pub(in crate::store) fn insert_audit(record: &AuditRecord) -> Statement {
    Statement {
        text: "INSERT INTO audit (id, at_ms, operator, action, target, reason, request_id, \
            body_hash, outcome, answer) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        values: audit_values(record),
        returning: false,
    }
}

/// The text that adds a row with [`audit_values`] where a condition holds, whose own values come from `$11` on.
macro_rules! insert_audit_where {
    ($condition:literal) => {
        concat!(
            "INSERT INTO audit (id, at_ms, operator, action, target, reason, request_id, body_hash, outcome, answer) \
             SELECT CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS TEXT), \
             CAST($6 AS TEXT), CAST($7 AS TEXT), CAST($8 AS TEXT), CAST($9 AS TEXT), CAST($10 AS TEXT) WHERE ",
            $condition
        )
    };
}
pub(super) use insert_audit_where;

/// The values of a row, in the order of its columns.
pub(in crate::store) fn audit_values(record: &AuditRecord) -> Vec<Value> {
    vec![
        record.id.to_string().into(),
        record.at.as_i64().into(),
        record.operator.as_str().into(),
        record.action.as_str().into(),
        record.target.as_str().into(),
        record.reason.as_str().into(),
        record.request_id.as_str().into(),
        hex::encode_lower(&record.body_hash).into(),
        record.outcome.clone().into(),
        hex::encode_lower(&record.answer).into(),
    ]
}

/// An entry of the audit trail from a row of it.
pub(in crate::store) fn audit(row: &AnyRow) -> Result<AuditRecord, StoreError> {
    let columns = Columns::of(row, "audit", "id")?;
    Ok(AuditRecord {
        id: columns.parsed("id")?,
        at: columns.moment("at_ms")?,
        operator: columns.text("operator")?.to_owned(),
        action: columns.text("action")?.to_owned(),
        target: columns.text("target")?.to_owned(),
        reason: columns.text("reason")?.to_owned(),
        request_id: columns.text("request_id")?.to_owned(),
        body_hash: columns.hash("body_hash")?,
        outcome: columns.optional_text("outcome")?,
        answer: columns.bytes("answer")?,
    })
}
