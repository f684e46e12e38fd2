//! The signs of life of this process, and what dead ones left open.

use std::sync::Arc;
use std::time::Duration;

use sqlx::AssertSqlSafe;

use super::columns::Columns;
use crate::clock::{Clock, SystemClock};
use crate::payment::ids::NodeId;
use crate::payment::moment::UnixMillis;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::MAX_PAGE_SIZE;
use crate::store::writer::change::Statement;

/// How often this process says that it lives.
const LIFE_SIGN: Duration = Duration::from_secs(10);
/// After this long without a sign a process is taken for dead, in milliseconds.
const DEAD_AFTER_MS: i64 = 60_000;
/// How often pruning begins, at least twice as long as one run may take.
const PRUNING: Duration = Duration::from_secs(60);

const LEFT_OPEN: &str = "UPDATE client_connections SET disconnected_at_ms = $1, note = $2 \
    WHERE disconnected_at_ms IS NULL AND node_id <> $3 AND node_id NOT IN \
    (SELECT id FROM nodes WHERE stopped_at_ms IS NULL AND seen_at_ms >= $4)";
const NOTE: &str = "the gateway process that held it stopped";

impl Store {
    /// When each process that has not stopped in order last said that it lives, the latest first; at
    /// most [`MAX_PAGE_SIZE`]. The moments are those processes' own clocks'.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn heartbeats(&self) -> Result<Vec<(NodeId, UnixMillis)>, StoreError> {
        let text = format!(
            "SELECT id, seen_at_ms FROM nodes WHERE stopped_at_ms IS NULL \
             ORDER BY seen_at_ms DESC LIMIT {MAX_PAGE_SIZE}"
        );
        let rows = self.read(AssertSqlSafe(text), &[]).await?;
        let sign = |row| {
            let columns = Columns::of(row, "nodes", "id")?;
            Ok((columns.parsed("id")?, columns.moment("seen_at_ms")?))
        };
        rows.iter().map(sign).collect()
    }

    /// Enters this process, and closes what dead ones left open. On SQLite all others are dead,
    /// because this one holds the file's lock.
    pub(in crate::store) async fn register(&self, now: UnixMillis) -> Result<(), StoreError> {
        let alive_since = if self.exclusive() {
            UnixMillis::new(i64::MAX)
        } else {
            now.plus_ms(-DEAD_AFTER_MS)
        };
        let enter = Statement {
            text: "INSERT INTO nodes (id, started_at_ms, seen_at_ms) VALUES ($1, $2, $2) \
                ON CONFLICT (id) DO UPDATE SET seen_at_ms = excluded.seen_at_ms",
            values: vec![self.node_id().to_string().into(), now.as_i64().into()],
            returning: false,
        };
        self.inner
            .writer
            .run(vec![enter, self.left_open(now, alive_since)], true)
            .await?;
        Ok(())
    }

    /// Leaves in order.
    pub(in crate::store) async fn unregister(&self, now: UnixMillis) {
        let leave = Statement {
            text: "UPDATE nodes SET stopped_at_ms = $2 WHERE id = $1",
            values: vec![self.node_id().to_string().into(), now.as_i64().into()],
            returning: false,
        };
        if let Err(error) = self.inner.writer.run(vec![leave], true).await
            && error != StoreError::Closed
        {
            tracing::warn!(%error, "this process could not be entered as stopped");
        }
    }

    fn left_open(&self, now: UnixMillis, alive_since: UnixMillis) -> Statement {
        Statement {
            text: LEFT_OPEN,
            values: vec![
                now.as_i64().into(),
                NOTE.into(),
                self.node_id().to_string().into(),
                alive_since.as_i64().into(),
            ],
            returning: false,
        }
    }

    /// Starts the tasks that give signs of life and prune: two, because other nodes take one that is
    /// busy pruning for dead. They end with the store.
    pub(in crate::store) fn start_housekeeping(&self) {
        self.keep_up(LIFE_SIGN, |store| async move {
            store.register(SystemClock.now()).await
        });
        self.keep_up(PRUNING, |store| async move {
            store.prune(SystemClock.now()).await.map(drop)
        });
    }

    fn keep_up<W>(&self, every: Duration, work: impl Fn(Self) -> W + Send + 'static)
    where
        W: Future<Output = Result<(), StoreError>> + Send,
    {
        let inner = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let Some(inner) = inner.upgrade() else {
                    return;
                };
                match work(Self { inner }).await {
                    Ok(()) => {}
                    Err(StoreError::Closed) => return,
                    Err(error) => tracing::warn!(%error, "housekeeping of the store failed"),
                }
            }
        });
    }
}
