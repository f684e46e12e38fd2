//! Records client connections of the merchant API and of the operators' API. Their events have a queue of
//! their own, and a background task writes them in batches, so that no payment waits for them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::database::connection::Statement;
use super::error::StoreError;
use super::housekeeping::Housekeeping;
use super::records::callers::ClientConnection;
use crate::payment::ids::{ConnectionId, NodeId};
use crate::payment::moment::UnixMillis;

/// The most events that wait.
const QUEUED_EVENTS: usize = 8192;
/// The most events that are written in one transaction.
const BATCH_EVENTS: usize = 64;
/// How often a batch is tried before it is dropped.
const BATCH_ATTEMPTS: u32 = 6;
/// Before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// How long closing may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) enum Event {
    Opened(ClientConnection),
    Identified(ConnectionId, String),
    Closed(ConnectionId, UnixMillis),
    /// Everything before it is written.
    End(oneshot::Sender<()>),
}

/// The queue of the task that records connections.
#[derive(Debug)]
pub(super) struct ConnectionLog {
    events: mpsc::Sender<Event>,
}

impl ConnectionLog {
    /// Starts the task. It ends when the log is dropped or closed.
    pub(super) fn start(housekeeping: Arc<Housekeeping>) -> Self {
        let (events, waiting) = mpsc::channel(QUEUED_EVENTS);
        tokio::spawn(record(housekeeping, waiting));
        Self { events }
    }

    pub(super) fn append(&self, event: Event) -> Result<(), StoreError> {
        self.events.try_send(event).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy {
                waiting: QUEUED_EVENTS,
            },
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })
    }

    /// Writes all events that wait, then ends the task.
    pub(super) async fn close(&self) {
        let closing = async {
            let (ended, has_ended) = oneshot::channel();
            if self.events.send(Event::End(ended)).await.is_ok() {
                // An error means that the task has ended, which is what is waited for.
                let _ = has_ended.await;
            }
        };
        if timeout(CLOSE_TIMEOUT, closing).await.is_err() {
            tracing::warn!("not all connections were recorded before the store was closed");
        }
    }
}

async fn record(housekeeping: Arc<Housekeeping>, mut waiting: mpsc::Receiver<Event>) {
    let mut batch = Vec::with_capacity(BATCH_EVENTS);
    while waiting.recv_many(&mut batch, BATCH_EVENTS).await > 0 {
        let mut statements = Vec::with_capacity(batch.len());
        let mut end = None;
        for event in batch.drain(..) {
            match statement(event, housekeeping.node_id) {
                Ok(statement) => statements.push(statement),
                Err(sender) => end = Some(sender),
            }
        }
        write_batch(&housekeeping, statements).await;
        if let Some(end) = end {
            waiting.close();
            // The caller may have stopped waiting.
            let _ = end.send(());
        }
    }
}

/// It waits while the writer's queue is full or the database is away.
async fn write_batch(housekeeping: &Housekeeping, statements: Vec<Statement>) {
    if statements.is_empty() {
        return;
    }
    let mut pause = FIRST_PAUSE;
    for attempt in 1..=BATCH_ATTEMPTS {
        match housekeeping.run(statements.clone()).await {
            Ok(_) => return,
            Err(error) if attempt == BATCH_ATTEMPTS => {
                let lost = statements.len();
                tracing::error!(%error, lost, "client connections could not be recorded");
            }
            Err(_) => {
                sleep(pause).await;
                pause *= 2;
            }
        }
    }
}

/// Each statement has the same effect when it is run twice.
fn statement(event: Event, node_id: NodeId) -> Result<Statement, oneshot::Sender<()>> {
    let (text, values) = match event {
        Event::Opened(connection) => (
            "INSERT INTO client_connections (id, node_id, peer_address, peer_port, identity, \
                connected_at_ms) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING",
            vec![
                connection.id.to_string().into(),
                node_id.to_string().into(),
                connection.peer_address.into(),
                i64::from(connection.peer_port).into(),
                connection.identity.into(),
                connection.connected_at.as_i64().into(),
            ],
        ),
        Event::Identified(id, identity) => (
            "UPDATE client_connections SET identity = $2 WHERE id = $1",
            vec![id.to_string().into(), identity.into()],
        ),
        Event::Closed(id, at) => (
            "UPDATE client_connections SET disconnected_at_ms = $2, note = NULL WHERE id = $1",
            vec![id.to_string().into(), at.as_i64().into()],
        ),
        Event::End(sender) => return Err(sender),
    };
    Ok(Statement {
        text,
        values,
        returning: false,
    })
}
