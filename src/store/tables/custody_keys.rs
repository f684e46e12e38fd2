//! Data keys of cards in custody, and the end of what they seal.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::columns::{Columns, first_integer};
use super::payments::custody_entry;
use crate::payment::custody::CustodyEntry;
use crate::payment::ids::PaymentId;
use crate::payment::moment::UnixMillis;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::database::engine::{Engine, for_engine};
use crate::store::database::fault::reading_error;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::records::{CardsCounted, CustodyKey};

/// How many payments are looked at in one go.
const LOOKED_AT: i64 = 1_000;

impl Store {
    /// The data keys, newest first, from the one before `before` on; `limit` is 1 to [`MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn custody_keys(
        &self,
        limit: usize,
        before: Option<i64>,
    ) -> Result<Vec<CustodyKey>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let rows = self
            .read(
                "SELECT * FROM custody_keys WHERE key_version < $1 \
                 ORDER BY key_version DESC LIMIT $2",
                &[before.unwrap_or(i64::MAX).into(), limit.into()],
            )
            .await?;
        rows.iter().map(custody_key).collect()
    }

    /// Adds a data key, unless there is one of this version.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn insert_custody_key(&self, key: &CustodyKey) -> Result<(), StoreError> {
        let statement = Statement {
            text: "INSERT INTO custody_keys (key_version, wrapped, created_at_ms, expires_at_ms, \
                entries, next_count_ms) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            values: vec![
                key.key_version.into(),
                key.wrapped.as_str().into(),
                key.created_at.as_i64().into(),
                key.expires_at.as_i64().into(),
                key.entries.into(),
                key.next_count.as_i64().into(),
            ],
            returning: false,
        };
        let housekeeping = &self.inner.housekeeping;
        housekeeping.run(vec![statement]).await.map(drop)
    }

    /// Removes the cards that this key seals and whose custody has ended by `now`, of the payments named after
    /// `from` and up to `to`, and counts the others. A card stays while a message of its payment is owed, unless `now`
    /// is the end of time, when the key itself ends. It goes in small steps between which payments are written.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn end_custody(
        &self,
        key_version: i64,
        (from, to): (PaymentId, PaymentId),
        now: UnixMillis,
    ) -> Result<CardsCounted, StoreError> {
        let mut counted = CardsCounted {
            kept: 0,
            next_end: UnixMillis::new(i64::MAX),
        };
        let (mut from, to) = (from.to_string(), to.to_string());
        loop {
            let up_to = |last: &str| -> Vec<Value> {
                let key_version = key_version.into();
                vec![
                    from.as_str().into(),
                    last.into(),
                    key_version,
                    now.as_i64().into(),
                ]
            };
            let mut values = up_to(&to);
            values.push(LOOKED_AT.into());
            let rows = self.read(COUNT_CARDS, &values).await?;
            let Some(page) = rows.first() else {
                return Ok(counted);
            };
            let page = Columns::of(page, "payments", "last_id")?;
            let last = page.text("last_id")?;
            if last.is_empty() {
                return Ok(counted);
            }
            if page.integer("ended")? > 0 {
                let statement = Statement {
                    text: "UPDATE payments SET custody = NULL WHERE id > $1 AND id <= $2 \
                        AND custody IS NOT NULL AND custody_key = $3 \
                        AND COALESCE(custody_until_ms, 9223372036854775807) <= $4 \
                        AND ($4 = 9223372036854775807 OR NOT EXISTS (SELECT 1 FROM operations \
                            WHERE operations.payment_id = payments.id AND operations.open = 2))",
                    values: up_to(last),
                    returning: false,
                };
                self.inner.housekeeping.run(vec![statement]).await?;
            }
            counted.kept += page.integer("kept")?;
            let next_end = if page.integer("without_end")? > 0 {
                now
            } else {
                UnixMillis::new(page.integer("next_end_ms")?)
            };
            counted.next_end = counted.next_end.min(next_end);
            from = last.to_owned();
        }
    }

    /// Records how many cards a key seals, and when they are counted again. False where another process has
    /// counted them since the key was read as `key`.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn set_custody_count(
        &self,
        key: &CustodyKey,
        entries: Option<i64>,
        next_count: UnixMillis,
    ) -> Result<bool, StoreError> {
        let statement = Statement {
            text: "UPDATE custody_keys SET entries = $3, next_count_ms = $4 \
                WHERE key_version = $1 AND next_count_ms = $2",
            values: vec![
                key.key_version.into(),
                key.next_count.as_i64().into(),
                entries.into(),
                next_count.as_i64().into(),
            ],
            returning: false,
        };
        let done = self.inner.housekeeping.run(vec![statement]).await?;
        Ok(done.first().is_some_and(|done| done.rows_affected == 1))
    }

    /// Puts the data key, wrapped anew, in the place of what was read as `key`. False where it is not there any more, or
    /// another process has done so.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn rewrap_custody_key(
        &self,
        key: &CustodyKey,
        wrapped: &str,
    ) -> Result<bool, StoreError> {
        let statement = Statement {
            text: "UPDATE custody_keys SET wrapped = $3 WHERE key_version = $1 AND wrapped = $2",
            values: vec![
                key.key_version.into(),
                key.wrapped.as_str().into(),
                wrapped.into(),
            ],
            returning: false,
        };
        let done = self.inner.housekeeping.run(vec![statement]).await?;
        Ok(done.first().is_some_and(|done| done.rows_affected == 1))
    }

    /// The card of a payment that is in custody.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn custody_entry(&self, id: PaymentId) -> Result<Option<CustodyEntry>, StoreError> {
        let rows = self
            .read(
                "SELECT id AS payments_id, custody, custody_key FROM payments WHERE id = $1",
                &[id.to_string().into()],
            )
            .await?;
        let entry = rows.first().map(custody_entry).transpose()?;
        Ok(entry.flatten())
    }

    /// Destroys data keys: afterwards no file of the live database holds them, wrapped though they are, nor what an
    /// earlier call may have left. Archived write-ahead logs and backups age out.
    ///
    /// # Errors
    /// When the database is not available or busy: the keys may be gone from the table then, and a file may still
    /// hold them.
    pub async fn destroy_custody_keys(&self, key_versions: &[i64]) -> Result<(), StoreError> {
        let database = &self.inner.housekeeping.database;
        let failed = |error: sqlx::Error| reading_error(database.engine, &error);
        // There is no version 0.
        let versions = key_versions
            .iter()
            .fold("0".to_owned(), |list, version| format!("{list}, {version}"));
        let mut connection = database.connect_writer().await?;
        let rewrite = for_engine(database.engine, REWRITE).replace("$versions", &versions);
        connection
            .set(AssertSqlSafe(rewrite))
            .await
            .map_err(failed)?;
        match database.engine {
            Engine::Sqlite => {
                let text = "PRAGMA wal_checkpoint(TRUNCATE)";
                let rows = connection.fetch(text, &[]).await.map_err(failed)?;
                let busy = rows.first().map(|row| row.try_get::<i64, _>(0));
                if busy.transpose().map_err(failed)? != Some(0) {
                    let reason = "the write-ahead log is in use".to_owned();
                    return Err(StoreError::Unavailable { reason });
                }
            }
            // The old file is empty by now, and is removed with the next checkpoint.
            Engine::Postgres => {
                if let Err(error) = connection.set("CHECKPOINT").await {
                    tracing::warn!(%error, "Data keys are destroyed; the database makes its checkpoint later");
                }
            }
        }
        // They are gone, whatever closing says.
        let _ = connection.close().await;
        Ok(())
    }
}

/// Files keep what was deleted or moved: SQLite in its pages, PostgreSQL as dead rows, which even VACUUM FULL copies
/// while an older transaction might see them. So the table is emptied, its pages overwritten with zeros (SQLite) or
/// its file given up (PostgreSQL), and what stays is written anew.
const REWRITE: &str = "/*SQLITE PRAGMA secure_delete = ON; */BEGIN/*SQLITE  IMMEDIATE*/; \
    /*SQLITE -- */LOCK TABLE custody_keys;
        CREATE TEMP TABLE kept AS SELECT * FROM custody_keys WHERE key_version NOT IN ($versions); \
    /*SQLITE DELETE FROM custody_keys; -- */TRUNCATE custody_keys;
    INSERT INTO custody_keys SELECT * FROM kept ORDER BY key_version; COMMIT";

/// One page of payments: the last of them, how many cards have ended, how many have not, of those how many have no end
/// yet, and when the next one ends.
const COUNT_CARDS: &str = "SELECT COALESCE(MAX(id), '') AS last_id, \
        COUNT(CASE WHEN until_ms <= $4 THEN 1 END) AS ended, \
        COUNT(CASE WHEN until_ms > $4 THEN 1 END) AS kept, \
        COUNT(CASE WHEN until_ms > $4 AND until_ms = 9223372036854775807 THEN 1 END) AS without_end, \
        COALESCE(MIN(CASE WHEN until_ms > $4 THEN until_ms END), 9223372036854775807) AS next_end_ms \
    FROM (SELECT id, CASE WHEN custody IS NULL OR custody_key <> $3 THEN NULL \
        WHEN custody_until_ms <= $4 AND $4 < 9223372036854775807 AND EXISTS (SELECT 1 FROM operations \
            WHERE operations.payment_id = payments.id AND operations.open = 2) THEN 9223372036854775807 \
        ELSE COALESCE(custody_until_ms, 9223372036854775807) END AS until_ms \
        FROM payments WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $5) AS page";

fn custody_key(row: &AnyRow) -> Result<CustodyKey, StoreError> {
    let key_version = first_integer(row, "custody_keys", "key_version", "")?;
    let columns = Columns::named(row, "custody_keys", key_version.to_string());
    Ok(CustodyKey {
        key_version,
        wrapped: columns.text("wrapped")?.to_owned(),
        created_at: columns.moment("created_at_ms")?,
        expires_at: columns.moment("expires_at_ms")?,
        entries: columns.optional_integer("entries")?,
        next_count: columns.moment("next_count_ms")?,
    })
}
