//! Numbers of STANs and RRNs that are given out.

use std::ops::Range;

use super::columns::{Columns, first_integer};
use crate::payment::ids::HostId;
use crate::payment::moment::NumberDate;
use crate::payment::reference::RRN_COUNT;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::error::StoreError;
use crate::store::records::NextNumber;

/// The most numbers that one reservation takes.
pub(in crate::store) const MAX_BLOCK: u64 = 1_000_000;

impl Store {
    /// Reserves `count` (1 to [`MAX_BLOCK`]) numbers of a host on a number date. They are this
    /// caller's alone, on whatever node, from the moment it is told.
    ///
    /// # Errors
    /// [`StoreError::SequenceExhausted`] when the date has fewer left; otherwise when the database is
    /// not available or too much waits. Numbers whose reservation failed may be lost; they are never
    /// given to two.
    pub async fn reserve_sequence(
        &self,
        host: &HostId,
        date: NumberDate,
        count: u64,
    ) -> Result<Range<u64>, StoreError> {
        let asked = i64::try_from(count)
            .ok()
            .filter(|_| (1..=MAX_BLOCK).contains(&count))
            .ok_or_else(|| StoreError::Invalid {
                expected: "a reservation of 1 to 1000000 numbers",
                got: count.to_string(),
            })?;
        let statement = Statement {
            text: "INSERT INTO sequences (host_id, number_date, next_number) \
                VALUES ($1, $2, $3 + COALESCE( \
                    (SELECT first_number FROM stores WHERE numbers_until >= $2), 0)) \
                ON CONFLICT (host_id, number_date) DO UPDATE \
                SET next_number = sequences.next_number + $3 \
                WHERE sequences.next_number + $3 <= $4 RETURNING next_number",
            values: vec![
                host.as_str().into(),
                date.to_string().into(),
                asked.into(),
                i64::try_from(RRN_COUNT).unwrap_or(i64::MAX).into(),
            ],
            returning: true,
        };
        // Run twice it reserves two blocks, of which one is lost: that does no harm.
        let done = self.inner.writer.run(vec![statement], true).await?;
        let Some(row) = done.first().and_then(|done| done.rows.first()) else {
            return Err(StoreError::SequenceExhausted {
                host: host.to_string(),
                date: date.to_string(),
            });
        };
        let next = first_integer(row, "sequences", "next_number", host.as_str())?;
        let corrupt = || StoreError::Corrupt {
            table: "sequences",
            column: "next_number",
            row: format!("{host} {date}"),
            got: next.to_string(),
            reason: "expected at least the numbers just reserved".into(),
        };
        let end = u64::try_from(next).map_err(|_| corrupt())?;
        let start = end.checked_sub(count).ok_or_else(corrupt)?;
        Ok(start..end)
    }

    /// What each host is given next on this number date and later ones, where it was given a number.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn next_numbers(&self, from: NumberDate) -> Result<Vec<NextNumber>, StoreError> {
        let text = "SELECT host_id, number_date, next_number FROM sequences \
            WHERE number_date >= $1 ORDER BY host_id, number_date";
        let rows = self.read(text, &[from.to_string().into()]).await?;
        let next = |row| {
            let columns = Columns::of(row, "sequences", "host_id")?;
            Ok(NextNumber {
                host_id: columns.parsed("host_id")?,
                date: columns.parsed("number_date")?,
                number: columns.number("next_number")?,
            })
        };
        rows.iter().map(next).collect()
    }
}
