//! What the store does by itself: heartbeats of this process, and whatever else runs every now and then.

use std::sync::Arc;
use std::time::Duration;

use super::error::StoreError;
use super::writer::Writer;
use super::writer::change::{Statement, StatementResult};
use crate::clock::{Clock, SystemClock};
use crate::payment::ids::NodeId;
use crate::payment::moment::UnixMillis;

/// Between two heartbeats of this process.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);
/// A process without a heartbeat for this long is dead, in milliseconds.
const DEAD_AFTER_MS: i64 = 60_000;

const CLOSE_LEFT_OPEN: &str = "UPDATE client_connections SET disconnected_at_ms = $1, note = $2 \
    WHERE disconnected_at_ms IS NULL AND node_id <> $3 AND node_id NOT IN \
    (SELECT id FROM nodes WHERE stopped_at_ms IS NULL AND seen_at_ms >= $4)";
const NOTE: &str = "the gateway process that held it stopped";

/// The store's own work. Its tasks end when it is dropped, or once the writer is closed.
#[derive(Debug)]
pub(super) struct Housekeeping {
    pub(super) node_id: NodeId,
    writer: Writer,
    /// Whether no other process can have the database open.
    exclusive: bool,
}

impl Housekeeping {
    pub(super) fn new(writer: Writer, node_id: NodeId, exclusive: bool) -> Self {
        Self {
            node_id,
            writer,
            exclusive,
        }
    }

    /// Runs statements that may run twice, in one transaction.
    pub(super) async fn run(
        &self,
        statements: Vec<Statement>,
    ) -> Result<Vec<StatementResult>, StoreError> {
        self.writer.run(statements, true).await
    }

    /// Writes this process's heartbeat, and closes the connections that dead processes left open. On
    /// SQLite all others are dead, because this one holds the file's lock.
    pub(super) async fn heartbeat(&self, now: UnixMillis) -> Result<(), StoreError> {
        let alive_since = if self.exclusive {
            UnixMillis::new(i64::MAX)
        } else {
            now.plus_ms(-DEAD_AFTER_MS)
        };
        let heartbeat = Statement {
            text: "INSERT INTO nodes (id, started_at_ms, seen_at_ms) VALUES ($1, $2, $2) \
                ON CONFLICT (id) DO UPDATE SET seen_at_ms = excluded.seen_at_ms",
            values: vec![self.node_id.to_string().into(), now.as_i64().into()],
            returning: false,
        };
        let close_left_open = Statement {
            text: CLOSE_LEFT_OPEN,
            values: vec![
                now.as_i64().into(),
                NOTE.into(),
                self.node_id.to_string().into(),
                alive_since.as_i64().into(),
            ],
            returning: false,
        };
        self.run(vec![heartbeat, close_left_open]).await.map(drop)
    }

    /// Records that this process stops in order.
    pub(super) async fn stop(&self, now: UnixMillis) {
        let stopped = Statement {
            text: "UPDATE nodes SET stopped_at_ms = $2 WHERE id = $1",
            values: vec![self.node_id.to_string().into(), now.as_i64().into()],
            returning: false,
        };
        if let Err(error) = self.run(vec![stopped]).await
            && error != StoreError::Closed
        {
            tracing::warn!(%error, "this process could not be recorded as stopped");
        }
    }

    /// Starts the heartbeats.
    pub(super) fn start_heartbeats(self: &Arc<Self>) {
        self.run_every(HEARTBEAT_EVERY, |housekeeping| async move {
            housekeeping.heartbeat(SystemClock.now()).await
        });
    }

    /// Starts a task of its own for `work`, so that no work delays another.
    pub(super) fn run_every<W>(
        self: &Arc<Self>,
        every: Duration,
        work: impl Fn(Arc<Self>) -> W + Send + 'static,
    ) where
        W: Future<Output = Result<(), StoreError>> + Send,
    {
        let housekeeping = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let Some(housekeeping) = housekeeping.upgrade() else {
                    return;
                };
                match work(housekeeping).await {
                    Ok(()) => {}
                    Err(StoreError::Closed) => return,
                    Err(error) => tracing::warn!(%error, "housekeeping of the store failed"),
                }
            }
        });
    }
}
