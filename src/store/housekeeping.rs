//! What the store does by itself: heartbeats of this process, and whatever else runs every now and then.

use std::sync::Arc;
use std::time::Duration;

use super::error::StoreError;
use super::writer::Writer;
use super::writer::rows::{Statement, StatementResult};
use crate::clock::{Clock, SystemClock};
use crate::payment::ids::NodeId;
use crate::payment::moment::UnixMillis;

/// Between two heartbeats of this process.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(2);

const HEARTBEAT: &str = "INSERT INTO nodes (id, started_at_ms, seen_at_ms, heartbeat) \
    VALUES ($1, $2, $2, 1) ON CONFLICT (id) DO UPDATE SET seen_at_ms = excluded.seen_at_ms, \
    heartbeat = nodes.heartbeat + 1";
const CLOSE_ALL_OTHERS: &str = "UPDATE client_connections SET disconnected_at_ms = $1, note = $2 \
    WHERE disconnected_at_ms IS NULL AND node_id <> $3";
const CLOSE_OF_NODE: &str = "UPDATE client_connections SET disconnected_at_ms = $1, note = $2 \
    WHERE disconnected_at_ms IS NULL AND node_id = $3";
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

    /// Registers this process. Where it has the database for itself, all others are dead: what they left open
    /// is closed.
    pub(super) async fn register(&self, now: UnixMillis) -> Result<(), StoreError> {
        let mut statements = vec![self.heartbeat_at(now)];
        if self.exclusive {
            statements.push(closing(CLOSE_ALL_OTHERS, now, self.node_id));
        }
        self.run(statements).await.map(drop)
    }

    async fn heartbeat(&self, now: UnixMillis) -> Result<(), StoreError> {
        self.run(vec![self.heartbeat_at(now)]).await.map(drop)
    }

    fn heartbeat_at(&self, now: UnixMillis) -> Statement {
        Statement {
            text: HEARTBEAT,
            values: vec![self.node_id.to_string().into(), now.as_i64().into()],
            returning: false,
        }
    }

    /// Closes the connections that dead processes left open.
    pub(super) async fn close_connections_of(&self, dead: &[NodeId]) -> Result<(), StoreError> {
        let now = SystemClock.now();
        let statements = dead.iter().map(|node| closing(CLOSE_OF_NODE, now, *node));
        self.run(statements.collect()).await.map(drop)
    }

    /// Records that this process stops in order, and closes what it has left open.
    pub(super) async fn stop(&self, now: UnixMillis) {
        let stopped = Statement {
            text: "UPDATE nodes SET stopped_at_ms = $2 WHERE id = $1",
            values: vec![self.node_id.to_string().into(), now.as_i64().into()],
            returning: false,
        };
        let closed = closing(CLOSE_OF_NODE, now, self.node_id);
        if let Err(error) = self.run(vec![stopped, closed]).await
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

fn closing(text: &'static str, now: UnixMillis, node_id: NodeId) -> Statement {
    Statement {
        text,
        values: vec![now.as_i64().into(), NOTE.into(), node_id.to_string().into()],
        returning: false,
    }
}
