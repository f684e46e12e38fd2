//! Which store it is: one row.

use super::audit::insert_audit;
use super::columns::Columns;
use super::ledger_seals::insert_seal;
use crate::ledger::seal::Seal;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::records::callers::AuditRecord;
use crate::store::records::{NextNumber, StoreIdentity};

impl Store {
    /// Which store this is.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn identity(&self) -> Result<StoreIdentity, StoreError> {
        let rows = self.read("SELECT * FROM stores", &[]).await?;
        let row = rows.first().ok_or_else(|| StoreError::NotFound {
            what: "row of the table stores",
            id: "of this store".into(),
        })?;
        let columns = Columns::of(row, "stores", "id")?;
        Ok(StoreIdentity {
            id: columns.text("id")?.to_owned(),
            epoch: columns.integer("epoch")?,
            restored_at: columns.moment("restored_at_ms")?,
            first_number: columns.number("first_number")?,
            numbers_until: columns.optional_parsed("numbers_until")?,
        })
    }

    /// Begins the epoch of `identity` in one transaction: with the numbers that hosts go on with, the first seal of the
    /// epoch, and the row of the audit trail. Two that begin the same one can't both have its audit row.
    ///
    /// # Errors
    /// When the database is not available, or the epoch was begun already.
    pub async fn begin_epoch(
        &self,
        identity: &StoreIdentity,
        numbers: &[NextNumber],
        seal: &Seal,
        audit: &AuditRecord,
    ) -> Result<(), StoreError> {
        let mut statements = vec![
            insert_audit(audit),
            Statement {
                text: "UPDATE stores SET epoch = $1, restored_at_ms = $2, first_number = $3, numbers_until = $4",
                values: vec![
                    identity.epoch.into(),
                    identity.restored_at.as_i64().into(),
                    integer(identity.first_number),
                    identity.numbers_until.map(|date| date.to_string()).into(),
                ],
                returning: false,
            },
            insert_seal(seal),
        ];
        statements.extend(numbers.iter().map(|next| Statement {
            text: "UPDATE sequences SET next_number = $3 WHERE host_id = $1 AND number_date = $2",
            values: vec![
                next.host_id.as_str().into(),
                next.date.to_string().into(),
                integer(next.number),
            ],
            returning: false,
        }));
        self.inner.writer.run(statements, false).await.map(drop)
    }
}

/// A number of a sequence, which has no more than eight digits.
fn integer(number: u64) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}
