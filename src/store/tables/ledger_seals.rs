//! Seals of the ledger: one row for each, its line.

use sqlx::any::AnyRow;

use super::columns::Columns;
use crate::ledger::seal::Seal;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::error::StoreError;
use crate::store::records::KeptSeal;
use crate::store::records::lists::MAX_PAGE_SIZE;

impl Store {
    /// The seal with the highest number.
    ///
    /// # Errors
    /// When the database can't be read, or the row holds no seal.
    pub async fn last_seal(&self) -> Result<Option<Seal>, StoreError> {
        let text = "SELECT number, line FROM ledger_seals ORDER BY number DESC LIMIT 1";
        let rows = self.read(text, &[]).await?;
        let seal = |row: &AnyRow| {
            let columns = Columns::named(row, "ledger_seals", String::new());
            columns.parsed("line")
        };
        rows.first().map(seal).transpose()
    }

    /// The seals with numbers above `after`, in their order; `limit` is 1 to [`MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn seals_after(&self, after: i64, limit: usize) -> Result<Vec<KeptSeal>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let text =
            "SELECT number, line FROM ledger_seals WHERE number > $1 ORDER BY number LIMIT $2";
        let rows = self.read(text, &[after.into(), limit.into()]).await?;
        let seal = |row: &AnyRow| {
            let columns = Columns::named(row, "ledger_seals", String::new());
            Ok(KeptSeal {
                number: columns.integer("number")?,
                line: columns.text("line")?.to_owned(),
            })
        };
        rows.iter().map(seal).collect()
    }

    /// Keeps a seal, unless another node was first with one of this number: then that one stands.
    ///
    /// # Errors
    /// When the database can't be written.
    pub async fn insert_seal(&self, seal: &Seal) -> Result<(), StoreError> {
        let housekeeping = &self.inner.housekeeping;
        housekeeping.run(vec![insert_seal(seal)]).await.map(drop)
    }
}

/// The statement that keeps a seal, unless there is one of its number.
pub(in crate::store) fn insert_seal(seal: &Seal) -> Statement {
    Statement {
        text: "INSERT INTO ledger_seals (number, line) VALUES ($1, $2) \
            ON CONFLICT (number) DO NOTHING",
        values: vec![seal.sealed.number.into(), seal.to_string().into()],
        returning: false,
    }
}
