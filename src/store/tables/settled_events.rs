//! The events of what is settled: written after the batch is funded, some items in each transaction, so that payments wait
//! for few positions at a time.

use sqlx::any::AnyRow;

use super::business_days::hold_positions;
use super::columns::Columns;
use crate::payment::ids::{BatchId, SubjectId};
use crate::payment::moment::UnixMillis;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::database::value::Value;
use crate::store::error::StoreError;

/// The most items that are told in one transaction.
const TOLD_AT_ONCE: i64 = 100;

/// Items of a batch that is told up to $2, up to the one of $3.
macro_rules! next_items {
    () => {
        "settlement_batches AS batches JOIN settlement_items AS items ON items.host_id = batches.host_id \
         AND items.business_date = batches.business_date AND items.merchant_id = batches.merchant_id \
         AND items.currency = batches.currency AND items.subject_id > $2 AND items.subject_id <= $3 \
         WHERE batches.id = $1 AND batches.told_at_ms IS NULL AND COALESCE(batches.told_up_to, '') = $2"
    };
}

impl Store {
    /// The batches that are funded, and whose items are not all told; at most `limit`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn batches_to_tell(&self, limit: usize) -> Result<Vec<BatchId>, StoreError> {
        let text = "SELECT id FROM settlement_batches WHERE funded_at_ms IS NOT NULL AND told_at_ms IS NULL \
            ORDER BY id LIMIT $1";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.read(text, &[limit.into()]).await?;
        let id = |row: &AnyRow| Columns::of(row, "settlement_batches", "id")?.parsed("id");
        rows.iter().map(id).collect()
    }

    /// Writes the events of the next items of a batch that is funded, or that all are written. Another node may have been
    /// first, or this may run twice: then nothing is written.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn tell_items(&self, batch: BatchId, at: UnixMillis) -> Result<(), StoreError> {
        let id: Value = batch.to_string().into();
        let text = "SELECT host_id, business_date, merchant_id, currency, COALESCE(told_up_to, '') AS told_up_to \
            FROM settlement_batches WHERE id = $1 AND funded_at_ms IS NOT NULL AND told_at_ms IS NULL";
        let rows = self.read(text, std::slice::from_ref(&id)).await?;
        let Some(found) = rows.first() else {
            return Ok(());
        };
        let columns = Columns::named(found, "settlement_batches", batch.to_string());
        let text = |column| columns.text(column).map(Value::from);
        let from = text("told_up_to")?;
        // Along the index: joined with the batch, PostgreSQL would sort all items that are left each time.
        let next = "SELECT subject_id FROM settlement_items WHERE host_id = $1 AND business_date = $2 \
            AND merchant_id = $3 AND currency = $4 AND subject_id > $5 ORDER BY subject_id LIMIT $6";
        let values = [
            text("host_id")?,
            text("business_date")?,
            text("merchant_id")?,
            text("currency")?,
            from.clone(),
            TOLD_AT_ONCE.into(),
        ];
        let rows = self.read(next, &values).await?;
        let subject = |row| {
            Columns::of(row, "settlement_items", "subject_id")?.parsed::<SubjectId>("subject_id")
        };
        let to = rows.last().map(subject).transpose()?;
        let statement = |text, values| Statement {
            text,
            values,
            returning: false,
        };
        let statements = match to {
            None => vec![statement(
                "UPDATE settlement_batches SET told_at_ms = $3 WHERE id = $1 AND told_at_ms IS NULL \
                 AND COALESCE(told_up_to, '') = $2",
                vec![id, from, at.as_i64().into()],
            )],
            Some(to) => {
                let values = vec![id, from, to.to_string().into()];
                vec![
                    hold_positions(),
                    statement(
                        concat!(
                            "INSERT INTO events (stream, position, payment_sequence, kind, at_ms, operation_id, \
                             state_detail, amounts, merchant_id) SELECT 0, positions.next + told.n - 1, 0, \
                             'PAYMENT_SETTLED', told.funded_at_ms, told.operation_id, '', '', told.merchant_id \
                             FROM (SELECT ROW_NUMBER() OVER (ORDER BY items.subject_id) AS n, items.operation_id, \
                             items.merchant_id, batches.funded_at_ms FROM ",
                            next_items!(),
                            ") AS told JOIN positions ON positions.stream = 0"
                        ),
                        values.clone(),
                    ),
                    statement(
                        concat!(
                            "UPDATE positions SET next = next + (SELECT COUNT(*) FROM ",
                            next_items!(),
                            ") WHERE stream = 0"
                        ),
                        values.clone(),
                    ),
                    statement(
                        "UPDATE settlement_batches SET told_up_to = $3 WHERE id = $1 AND told_at_ms IS NULL \
                         AND COALESCE(told_up_to, '') = $2",
                        values,
                    ),
                ]
            }
        };
        self.inner.housekeeping.run(statements).await.map(drop)
    }
}
