//! Reads the ledger.

use crate::ledger::account::Account;
use crate::ledger::journal::Line;
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::random::HashMap;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::MAX_PAGE_SIZE;
use crate::store::tables::columns::Columns;

/// A journal as it is kept: what its lines sum to, and whether its hash is theirs, is for the reader to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptJournal {
    /// The position of its event.
    pub position: i64,
    /// What caused it, ':', and the name of its template.
    pub id: String,
    /// The bank's date of what it settles; none before there is one.
    pub business_date: Option<BusinessDate>,
    /// When what it records happened.
    pub at: UnixMillis,
    /// SHA-256 of its canonical text, as it was written.
    pub content_hash: [u8; 32],
    /// Its lines, in order.
    pub lines: Vec<Line>,
}

impl Store {
    /// The journals at positions after `after`, in their order; `limit` is 1 to [`MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn journals_after(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<KeptJournal>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let text = "SELECT position, id, business_date, at_ms, content_sha256 FROM journals \
            WHERE stream = 0 AND position > $1 ORDER BY position LIMIT $2";
        let rows = self.read(text, &[after.into(), limit.into()]).await?;
        let mut journals = Vec::with_capacity(rows.len());
        for row in &rows {
            let columns = Columns::of(row, "journals", "id")?;
            journals.push(KeptJournal {
                position: columns.integer("position")?,
                id: columns.text("id")?.to_owned(),
                business_date: columns.optional_parsed("business_date")?,
                at: columns.moment("at_ms")?,
                content_hash: columns.hash("content_sha256")?,
                lines: Vec::new(),
            });
        }
        let Some(last) = journals.last() else {
            return Ok(journals);
        };
        let text = "SELECT position, account, merchant_id, host_id, currency, amount_minor \
            FROM ledger_lines WHERE stream = 0 AND position > $1 AND position <= $2 \
            ORDER BY position, n";
        let values = [after.into(), last.position.into()];
        let rows = self.read(text, &values).await?;
        let mut lines: HashMap<i64, Vec<Line>> = HashMap::default();
        for row in &rows {
            let mut columns = Columns::named(row, "ledger_lines", String::new());
            let position = columns.integer("position")?;
            columns = Columns::named(row, "ledger_lines", position.to_string());
            lines.entry(position).or_default().push(Line {
                account: Account {
                    kind: columns.parsed("account")?,
                    merchant_id: columns.parsed("merchant_id")?,
                    host_id: columns.parsed("host_id")?,
                },
                currency: columns.parsed("currency")?,
                amount_minor: columns.integer("amount_minor")?,
            });
        }
        for journal in &mut journals {
            journal.lines = lines.remove(&journal.position).unwrap_or_default();
        }
        Ok(journals)
    }
}
