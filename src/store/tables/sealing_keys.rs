//! The sealing keys that gateways have found in their folders.

use sqlx::any::AnyRow;

use super::audit::{audit_values, insert_audit, insert_audit_where};
use super::columns::Columns;
use crate::payment::moment::UnixMillis;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::error::StoreError;
use crate::store::records::callers::AuditRecord;
use crate::store::records::keys::{SealingKeyRecord, SealingKeyState};

/// The most keys that are read: those that were recorded last.
const MOST_KEYS: i64 = 100;

impl Store {
    /// The sealing keys, those that have changed last first, 100 at most.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn sealing_keys(&self) -> Result<Vec<SealingKeyRecord>, StoreError> {
        let text = "SELECT * FROM sealing_keys ORDER BY since_ms DESC, kid LIMIT $1";
        let rows = self.read(text, &[MOST_KEYS.into()]).await?;
        rows.iter().map(sealing_key).collect()
    }

    /// Records how far a key has come, which was `before` when it was read last, or not there, and `audit`. Whether it was
    /// recorded: not where another gateway came first, and then its audit row is not written either.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn record_sealing_key(
        &self,
        key: &SealingKeyRecord,
        before: Option<SealingKeyState>,
        audit: Option<&AuditRecord>,
    ) -> Result<bool, StoreError> {
        let statements = match before {
            None => {
                // A key that is there already ends the transaction.
                let insert = Statement {
                    text: "INSERT INTO sealing_keys (kid, algorithm, state, since_ms, used_ms) \
                        VALUES ($1, $2, $3, $4, $5)",
                    values: vec![
                        key.kid.as_str().into(),
                        key.algorithm.as_str().into(),
                        key.state.name().into(),
                        key.since.as_i64().into(),
                        key.used_at.map(UnixMillis::as_i64).into(),
                    ],
                    returning: false,
                };
                let audit = audit.map(insert_audit);
                audit.into_iter().chain([insert]).collect()
            }
            Some(before) => going_on(key, before, audit),
        };
        match self.inner.writer.run(statements, false).await {
            Ok(done) => Ok(done.last().is_some_and(|change| change.rows_affected == 1)),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Records that something that was sealed to a key was opened, unless a later moment is recorded.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn record_sealing_key_use(
        &self,
        kid: &str,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let statement = Statement {
            text: "UPDATE sealing_keys SET used_ms = $2 WHERE kid = $1 AND COALESCE(used_ms, 0) < $2",
            values: vec![kid.into(), at.as_i64().into()],
            returning: false,
        };
        let housekeeping = &self.inner.housekeeping;
        housekeeping.run(vec![statement]).await.map(drop)
    }
}

/// The statements with which a key that was `before` goes on, and its audit row is written. The change is the last one.
fn going_on(
    key: &SealingKeyRecord,
    before: SealingKeyState,
    audit: Option<&AuditRecord>,
) -> Vec<Statement> {
    // One change after the other: each sees what the one before has left.
    let take_turns = Statement {
        text: "UPDATE sealing_keys SET state = state WHERE kid = $1",
        values: vec![key.kid.as_str().into()],
        returning: false,
    };
    let audit = audit.map(|audit| {
        let mut values = audit_values(audit);
        values.extend([key.kid.as_str().into(), before.name().into()]);
        Statement {
            text: insert_audit_where!(
                "EXISTS (SELECT 1 FROM sealing_keys WHERE kid = $11 AND state = $12)"
            ),
            values,
            returning: false,
        }
    });
    let change = Statement {
        text: "UPDATE sealing_keys SET state = $2, since_ms = $3 WHERE kid = $1 AND state = $4",
        values: vec![
            key.kid.as_str().into(),
            key.state.name().into(),
            key.since.as_i64().into(),
            before.name().into(),
        ],
        returning: false,
    };
    let statements = [take_turns].into_iter().chain(audit).chain([change]);
    statements.collect()
}

fn sealing_key(row: &AnyRow) -> Result<SealingKeyRecord, StoreError> {
    let columns = Columns::of(row, "sealing_keys", "kid")?;
    Ok(SealingKeyRecord {
        kid: columns.text("kid")?.to_owned(),
        algorithm: columns.text("algorithm")?.to_owned(),
        state: columns.parsed("state")?,
        since: columns.moment("since_ms")?,
        used_at: columns.optional_moment("used_ms")?,
    })
}
