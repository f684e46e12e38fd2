//! The bank's days.

use sqlx::any::AnyRow;

use super::columns::Columns;
use super::settlement_items::HOLD_POSITIONS;
use crate::payment::ids::HostId;
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::settlement::{BusinessDay, ClosedBy, Cutover};
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::error::StoreError;
use crate::store::records::lists::MAX_PAGE_SIZE;

impl Store {
    /// Opens a host's first day, unless one is open.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn open_first_day(
        &self,
        host: &HostId,
        date: BusinessDate,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let housekeeping = &self.inner.housekeeping;
        let statements = vec![hold_positions(), open_day(host, date, at)];
        housekeeping.run(statements).await.map(drop)
    }

    /// Closes the open day of a host and opens the next one, at one position. Whether it was this that closed it:
    /// another node, or an earlier call, may have been first.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn cut_over(&self, cutover: &Cutover) -> Result<bool, StoreError> {
        let at = cutover.at.as_i64();
        let close = Statement {
            text: "UPDATE business_days SET cut_at_ms = $3, closed_by = $4, \
                last_position = (SELECT next - 1 FROM positions WHERE stream = 0) \
                WHERE host_id = $1 AND business_date = $2 AND cut_at_ms IS NULL",
            values: vec![
                cutover.host_id.as_str().into(),
                cutover.date.to_string().into(),
                at.into(),
                cutover.by.name().into(),
            ],
            returning: false,
        };
        let next = open_day(&cutover.host_id, cutover.next, cutover.at);
        let statements = vec![hold_positions(), close, next];
        let ran = self.inner.housekeeping.run(statements).await?;
        Ok(ran.get(1).is_some_and(|closed| closed.rows_affected == 1))
    }

    /// The days that are open, at most one of a host.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn open_days(&self) -> Result<Vec<BusinessDay>, StoreError> {
        let text = "SELECT * FROM business_days WHERE cut_at_ms IS NULL ORDER BY host_id";
        let rows = self.read(text, &[]).await?;
        rows.iter().map(business_day).collect()
    }

    /// The days that are closed and whose batches are not made yet, oldest first of each host.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn days_without_batches(&self) -> Result<Vec<BusinessDay>, StoreError> {
        let text = "SELECT * FROM business_days WHERE cut_at_ms IS NOT NULL AND batched_at_ms IS NULL \
            ORDER BY host_id, business_date";
        let rows = self.read(text, &[]).await?;
        rows.iter().map(business_day).collect()
    }

    /// A host's day of this date.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn business_day(
        &self,
        host: &HostId,
        date: BusinessDate,
    ) -> Result<Option<BusinessDay>, StoreError> {
        let text = "SELECT * FROM business_days WHERE host_id = $1 AND business_date = $2";
        let values = [host.as_str().into(), date.to_string().into()];
        let rows = self.read(text, &values).await?;
        rows.first().map(business_day).transpose()
    }

    /// A host's days, newest first, going on before `before`; `limit` is 1 to [`MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn business_days(
        &self,
        host: &HostId,
        limit: usize,
        before: Option<BusinessDate>,
    ) -> Result<Vec<BusinessDay>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let text = "SELECT * FROM business_days WHERE host_id = $1 AND business_date < $2 \
            ORDER BY business_date DESC LIMIT $3";
        let before = before.map_or_else(|| "9999-12-31".to_owned(), |before| before.to_string());
        let values = [host.as_str().into(), before.into(), limit.into()];
        let rows = self.read(text, &values).await?;
        rows.iter().map(business_day).collect()
    }

    /// The days whose batches are made, and are not all funded.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn days_not_settled(&self) -> Result<Vec<BusinessDay>, StoreError> {
        let text = "SELECT * FROM business_days WHERE batched_at_ms IS NOT NULL AND settled_at_ms IS NULL \
            ORDER BY host_id, business_date";
        let rows = self.read(text, &[]).await?;
        rows.iter().map(business_day).collect()
    }

    /// Records that a day is settled, where all of its batches are funded: one without batches is at once. Whether it was
    /// this that settled it.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn settle_day(&self, day: &BusinessDay, at: UnixMillis) -> Result<bool, StoreError> {
        let settle = Statement {
            text: "UPDATE business_days SET settled_at_ms = $3 WHERE host_id = $1 AND business_date = $2 \
                AND batched_at_ms IS NOT NULL AND settled_at_ms IS NULL AND NOT EXISTS (SELECT 1 \
                    FROM settlement_batches WHERE settlement_batches.host_id = $1 \
                    AND settlement_batches.business_date = $2 AND funded_at_ms IS NULL)",
            values: vec![
                day.host_id.as_str().into(),
                day.date.to_string().into(),
                at.as_i64().into(),
            ],
            returning: false,
        };
        let ran = self.inner.housekeeping.run(vec![settle]).await?;
        Ok(ran
            .first()
            .is_some_and(|settled| settled.rows_affected == 1))
    }
}

pub(in crate::store) fn hold_positions() -> Statement {
    Statement {
        text: HOLD_POSITIONS,
        values: Vec::new(),
        returning: false,
    }
}

fn open_day(host: &HostId, date: BusinessDate, at: UnixMillis) -> Statement {
    Statement {
        text: "INSERT INTO business_days (host_id, business_date, opened_at_ms) \
            SELECT $1, $2, CAST($3 AS BIGINT) WHERE NOT EXISTS (SELECT 1 FROM business_days \
                WHERE host_id = $1 AND cut_at_ms IS NULL) ON CONFLICT DO NOTHING",
        values: vec![
            host.as_str().into(),
            date.to_string().into(),
            at.as_i64().into(),
        ],
        returning: false,
    }
}

/// A day from its row.
pub(in crate::store) fn business_day(row: &AnyRow) -> Result<BusinessDay, StoreError> {
    let columns = Columns::of(row, "business_days", "host_id")?;
    let closed_by = columns.optional_text("closed_by")?;
    let closed_by = closed_by
        .map(|by| {
            ClosedBy::from_name(&by).ok_or_else(|| {
                columns.corrupt("closed_by", &by, "expected CLOCK, HOST or OPERATOR")
            })
        })
        .transpose()?;
    Ok(BusinessDay {
        host_id: columns.parsed("host_id")?,
        date: columns.parsed("business_date")?,
        opened_at: columns.moment("opened_at_ms")?,
        cut_at: columns.optional_moment("cut_at_ms")?,
        last_position: columns.optional_integer("last_position")?,
        closed_by,
        batched_at: columns.optional_moment("batched_at_ms")?,
        settled_at: columns.optional_moment("settled_at_ms")?,
    })
}
