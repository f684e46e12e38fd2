//! Who is and was connected to the merchant API. What happens to connections is put on a queue of its
//! own and written in lots by a background task, so that it costs a payment nothing.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::Store;
use super::error::StoreError;
use super::item::Statement;
use super::records::{ClientConnection, ConnectionRecord};
use super::rows::Columns;
use super::writer::Writer;
use crate::payment::ids::{ConnectionId, NodeId};
use crate::payment::moment::UnixMillis;

/// The most events that wait to be written.
const QUEUED_EVENTS: usize = 8192;
/// The most events that are written in one transaction.
const EVENTS_IN_A_LOT: usize = 64;
/// How often a lot is tried before it is given up.
const LOT_ATTEMPTS: u32 = 6;
/// Before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// How long closing may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
enum Event {
    Opened(ClientConnection),
    Identified(ConnectionId, String),
    Closed(ConnectionId, UnixMillis),
    /// Everything before it is written.
    End(oneshot::Sender<()>),
}

/// The way to the task that records connections.
#[derive(Debug)]
pub(super) struct Recorder {
    events: mpsc::Sender<Event>,
}

impl Recorder {
    /// Starts the task. It ends when the recorder is dropped or closed.
    pub(super) fn start(writer: Writer, node_id: NodeId) -> Self {
        let (events, waiting) = mpsc::channel(QUEUED_EVENTS);
        tokio::spawn(record(writer, node_id, waiting));
        Self { events }
    }

    fn note(&self, event: Event) -> Result<(), StoreError> {
        self.events.try_send(event).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy {
                waiting: QUEUED_EVENTS,
            },
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })
    }

    /// Writes what waits, then ends the task.
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

async fn record(writer: Writer, node_id: NodeId, mut waiting: mpsc::Receiver<Event>) {
    let mut lot = Vec::with_capacity(EVENTS_IN_A_LOT);
    while waiting.recv_many(&mut lot, EVENTS_IN_A_LOT).await > 0 {
        let mut statements = Vec::with_capacity(lot.len());
        let mut end = None;
        for event in lot.drain(..) {
            match statement(event, node_id) {
                Ok(statement) => statements.push(statement),
                Err(sender) => end = Some(sender),
            }
        }
        write_lot(&writer, statements).await;
        if let Some(end) = end {
            waiting.close();
            // Who asked may have stopped waiting.
            let _ = end.send(());
        }
    }
}

/// A full queue or an absent database is waited out; the payments go first.
async fn write_lot(writer: &Writer, statements: Vec<Statement>) {
    if statements.is_empty() {
        return;
    }
    let mut pause = FIRST_PAUSE;
    for attempt in 1..=LOT_ATTEMPTS {
        match writer.work(statements.clone(), true).await {
            Ok(_) => return,
            Err(error) if attempt == LOT_ATTEMPTS => {
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

impl Store {
    /// Records that a client connected. It returns at once; the row appears a little later.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when too many events wait, [`StoreError::Closed`] when the store is.
    pub fn connection_opened(&self, connection: ClientConnection) -> Result<(), StoreError> {
        self.inner.recorder.note(Event::Opened(connection))
    }

    /// Records who a connected client turned out to be.
    ///
    /// # Errors
    /// As [`Self::connection_opened`].
    pub fn connection_identified(
        &self,
        id: ConnectionId,
        identity: &str,
    ) -> Result<(), StoreError> {
        self.inner
            .recorder
            .note(Event::Identified(id, identity.to_owned()))
    }

    /// Records that a client left.
    ///
    /// # Errors
    /// As [`Self::connection_opened`].
    pub fn connection_closed(&self, id: ConnectionId, at: UnixMillis) -> Result<(), StoreError> {
        self.inner.recorder.note(Event::Closed(id, at))
    }

    /// Client connections, newest first, going on after `after`; `limit` is 1 to [`super::records::MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list_connections(
        &self,
        limit: usize,
        after: Option<ConnectionId>,
    ) -> Result<Vec<ConnectionRecord>, StoreError> {
        let rows = self
            .newest_first("client_connections", limit, after.map(|id| id.to_string()))
            .await?;
        rows.iter().map(connection).collect()
    }
}

fn connection(row: &sqlx::any::AnyRow) -> Result<ConnectionRecord, StoreError> {
    let columns = Columns::of(row, "client_connections", "id")?;
    Ok(ConnectionRecord {
        connection: ClientConnection {
            id: columns.parsed("id")?,
            peer_address: columns.text("peer_address")?.to_owned(),
            peer_port: columns.number("peer_port")?,
            identity: columns.optional_text("identity")?,
            connected_at: columns.moment("connected_at_ms")?,
        },
        node_id: columns.parsed("node_id")?,
        disconnected_at: columns
            .optional_integer("disconnected_at_ms")?
            .map(UnixMillis::new),
        note: columns.optional_text("note")?,
    })
}
