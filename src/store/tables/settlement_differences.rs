//! What the reports of banks have otherwise.

use sqlx::any::AnyRow;

use super::columns::Columns;
use crate::payment::ids::HostId;
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::settlement_import::{Difference, DifferenceKind, SettlementImport};
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::error::StoreError;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::records::settlement::DifferenceCount;

impl Store {
    /// The differences of a host's batches of a date, each with its name, by their names, at most `limit` (1 to
    /// [`MAX_PAGE_SIZE`]), going on after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn differences_of_day(
        &self,
        host: &HostId,
        date: BusinessDate,
        limit: usize,
        after: &str,
    ) -> Result<Vec<(String, Difference)>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let text = "SELECT * FROM settlement_differences WHERE host_id = $1 AND business_date = $2 AND id > $3 \
            ORDER BY id LIMIT $4";
        let values = [
            host.as_str().into(),
            date.to_string().into(),
            after.into(),
            limit.into(),
        ];
        let rows = self.read(text, &values).await?;
        rows.iter().map(difference).collect()
    }

    /// How many differences a report shows of each kind.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn difference_counts(
        &self,
        import: &SettlementImport,
    ) -> Result<Vec<DifferenceCount>, StoreError> {
        let text = "SELECT kind, COUNT(*) AS differences FROM settlement_differences WHERE import_id = $1 \
            GROUP BY kind ORDER BY kind";
        let rows = self.read(text, &[import.id.to_string().into()]).await?;
        let count = |row: &AnyRow| {
            let columns = Columns::of(row, "settlement_differences", "kind")?;
            Ok(DifferenceCount {
                kind: kind(&columns)?,
                count: columns.integer("differences")?,
            })
        };
        rows.iter().map(count).collect()
    }

    /// Accepts the differences of a host's batches of a date that hold them back: they are funded all the same. How many
    /// there were.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn accept_differences(
        &self,
        host: &HostId,
        date: BusinessDate,
        at: UnixMillis,
    ) -> Result<u64, StoreError> {
        let accept = Statement {
            text: "UPDATE settlement_differences SET accepted_at_ms = $3 WHERE host_id = $1 AND business_date = $2 \
                AND accepted_at_ms IS NULL",
            values: vec![
                host.as_str().into(),
                date.to_string().into(),
                at.as_i64().into(),
            ],
            returning: false,
        };
        let ran = self.inner.housekeeping.run(vec![accept]).await?;
        Ok(ran.first().map_or(0, |accepted| accepted.rows_affected))
    }
}

fn kind(columns: &Columns<'_>) -> Result<DifferenceKind, StoreError> {
    let kind = columns.text("kind")?;
    DifferenceKind::from_name(kind)
        .ok_or_else(|| columns.corrupt("kind", kind, "expected the kind of a difference"))
}

fn difference(row: &AnyRow) -> Result<(String, Difference), StoreError> {
    let columns = Columns::of(row, "settlement_differences", "id")?;
    let found = Difference {
        kind: kind(&columns)?,
        host_id: columns.parsed("host_id")?,
        business_date: columns.parsed("business_date")?,
        merchant_id: columns.optional_parsed("merchant_id")?,
        currency: columns.parsed("currency")?,
        operation_id: columns.optional_parsed("operation_id")?,
        subject_id: columns.optional_parsed("subject_id")?,
        rrn: columns.optional_text("rrn")?,
        ours: columns.optional_text("ours")?,
        theirs: columns.optional_text("theirs")?,
        line: columns.optional_integer("line")?,
        accepted_at: columns.optional_moment("accepted_at_ms")?,
    };
    Ok((columns.text("id")?.to_owned(), found))
}
