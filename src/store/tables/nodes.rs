//! Gateway processes: their heartbeats, and the connections that dead ones left open.

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

/// Between two heartbeats of this process.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);
/// A process without a heartbeat for this long is dead, in milliseconds.
const DEAD_AFTER_MS: i64 = 60_000;
/// Between two runs of pruning; at least twice as long as one run may take.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

const CLOSE_LEFT_OPEN: &str = "UPDATE client_connections SET disconnected_at_ms = $1, note = $2 \
    WHERE disconnected_at_ms IS NULL AND node_id <> $3 AND node_id NOT IN \
    (SELECT id FROM nodes WHERE stopped_at_ms IS NULL AND seen_at_ms >= $4)";
const NOTE: &str = "the gateway process that held it stopped";

impl Store {
    /// The last heartbeat of each process that has not stopped in order, the latest first; at most
    /// [`MAX_PAGE_SIZE`]. The moments are from the clocks of those processes.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn heartbeats(&self) -> Result<Vec<(NodeId, UnixMillis)>, StoreError> {
        let text = format!(
            "SELECT id, seen_at_ms FROM nodes WHERE stopped_at_ms IS NULL \
             ORDER BY seen_at_ms DESC LIMIT {MAX_PAGE_SIZE}"
        );
        let rows = self.read(AssertSqlSafe(text), &[]).await?;
        let heartbeat = |row| {
            let columns = Columns::of(row, "nodes", "id")?;
            Ok((columns.parsed("id")?, columns.moment("seen_at_ms")?))
        };
        rows.iter().map(heartbeat).collect()
    }

    /// Writes this process's heartbeat, and closes the connections that dead processes left open. On
    /// SQLite all others are dead, because this one holds the file's lock.
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

    /// Records that this process stops in order.
    pub(in crate::store) async fn unregister(&self, now: UnixMillis) {
        let leave = Statement {
            text: "UPDATE nodes SET stopped_at_ms = $2 WHERE id = $1",
            values: vec![self.node_id().to_string().into(), now.as_i64().into()],
            returning: false,
        };
        if let Err(error) = self.inner.writer.run(vec![leave], true).await
            && error != StoreError::Closed
        {
            tracing::warn!(%error, "this process could not be recorded as stopped");
        }
    }

    fn left_open(&self, now: UnixMillis, alive_since: UnixMillis) -> Statement {
        Statement {
            text: CLOSE_LEFT_OPEN,
            values: vec![
                now.as_i64().into(),
                NOTE.into(),
                self.node_id().to_string().into(),
                alive_since.as_i64().into(),
            ],
            returning: false,
        }
    }

    /// Starts the heartbeat and pruning. They are two tasks, because pruning must not delay a heartbeat.
    /// They end with the store.
    pub(in crate::store) fn start_housekeeping(&self) {
        self.run_every(HEARTBEAT_EVERY, |store| async move {
            store.register(SystemClock.now()).await
        });
        self.run_every(PRUNE_EVERY, |store| async move {
            store.prune(SystemClock.now()).await.map(drop)
        });
    }

    fn run_every<W>(&self, every: Duration, work: impl Fn(Self) -> W + Send + 'static)
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
