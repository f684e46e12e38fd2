//! Records client connections of the merchant API and of the operators' API. Their events have a queue of
//! their own, and a background task writes them in batches of rows: one batch at a time, of three statements, whatever
//! is connected and how often, so that no payment waits for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::database::connection::Statement;
use super::database::engine::Engine;
use super::database::many_rows::ManyRows;
use super::database::value::Value;
use super::error::StoreError;
use super::housekeeping::Housekeeping;
use super::records::callers::ClientConnection;
use crate::payment::ids::{ConnectionId, NodeId};
use crate::payment::moment::UnixMillis;

/// The most events that wait.
const QUEUED_EVENTS: usize = 8192;
/// The most events that are written in one transaction.
const BATCH_EVENTS: usize = 128;
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
        let mut changes = Changes::default();
        let (mut end, events) = (None, batch.len());
        for event in batch.drain(..) {
            if let Err(sender) = changes.add(event) {
                end = Some(sender);
            }
        }
        let (engine, node_id) = (housekeeping.database.engine, housekeeping.node_id);
        write_batch(&housekeeping, changes.statements(engine, node_id), events).await;
        if let Some(end) = end {
            waiting.close();
            // The caller may have stopped waiting.
            let _ = end.send(());
        }
    }
}

/// It waits while the writer's queue is full or the database is away.
async fn write_batch(housekeeping: &Housekeeping, statements: Vec<Statement>, events: usize) {
    if statements.is_empty() {
        return;
    }
    let mut pause = FIRST_PAUSE;
    for attempt in 1..=BATCH_ATTEMPTS {
        match housekeeping.run(statements.clone()).await {
            Ok(_) => return,
            Err(error) if attempt == BATCH_ATTEMPTS => {
                tracing::error!(%error, lost = events, "client connections could not be recorded");
            }
            Err(_) => {
                sleep(pause).await;
                pause *= 2;
            }
        }
    }
}

const OPENED: ManyRows = ManyRows {
    name: "opened connections",
    before: "INSERT INTO client_connections (id, node_id, peer_address, peer_port, identity, \
        connected_at_ms, disconnected_at_ms) VALUES ",
    row: "(?, ?, ?, ?, ?, ?, ?)",
    after: " ON CONFLICT (id) DO NOTHING",
    returning: "",
};
const IDENTIFIED: ManyRows = ManyRows {
    name: "identified connections",
    before: "WITH changed (id, identity) AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS TEXT))",
    after: ") UPDATE client_connections SET identity = changed.identity FROM changed \
        WHERE client_connections.id = changed.id",
    returning: "",
};
const CLOSED: ManyRows = ManyRows {
    name: "closed connections",
    before: "WITH changed (id, disconnected_at_ms) AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS BIGINT))",
    after: ") UPDATE client_connections SET disconnected_at_ms = changed.disconnected_at_ms, \
        note = NULL FROM changed WHERE client_connections.id = changed.id",
    returning: "",
};

/// What the events of one batch come to.
#[derive(Default)]
struct Changes {
    /// New connections, and when they ended where they have.
    opened: BTreeMap<ConnectionId, (ClientConnection, Option<UnixMillis>)>,
    /// Who has come on a connection that is recorded.
    identified: BTreeMap<ConnectionId, String>,
    /// When one that is recorded ended.
    closed: BTreeMap<ConnectionId, UnixMillis>,
}

impl Changes {
    /// # Errors
    /// The end of the log, and whom to tell of it.
    fn add(&mut self, event: Event) -> Result<(), oneshot::Sender<()>> {
        match event {
            Event::Opened(connection) => {
                self.opened.insert(connection.id, (connection, None));
            }
            Event::Identified(id, identity) => match self.opened.get_mut(&id) {
                Some((connection, _)) => connection.identity = Some(identity),
                None => drop(self.identified.insert(id, identity)),
            },
            Event::Closed(id, at) => match self.opened.get_mut(&id) {
                Some((_, disconnected_at)) => *disconnected_at = Some(at),
                None => drop(self.closed.insert(id, at)),
            },
            Event::End(sender) => return Err(sender),
        }
        Ok(())
    }

    /// The statements that write it. They have the same effect when they are run twice.
    fn statements(self, engine: Engine, node_id: NodeId) -> Vec<Statement> {
        let node_id: Value = node_id.to_string().into();
        let opened = self.opened.into_values().map(|(connection, closed_at)| {
            vec![
                connection.id.to_string().into(),
                node_id.clone(),
                connection.peer_address.into(),
                i64::from(connection.peer_port).into(),
                connection.identity.into(),
                connection.connected_at.as_i64().into(),
                closed_at.map(UnixMillis::as_i64).into(),
            ]
        });
        let identified = self.identified.into_iter();
        let identified =
            identified.map(|(id, identity)| vec![id.to_string().into(), identity.into()]);
        let closed = self.closed.into_iter();
        let closed = closed.map(|(id, at)| vec![id.to_string().into(), at.as_i64().into()]);
        [
            OPENED.statements(engine, opened.collect()),
            IDENTIFIED.statements(engine, identified.collect()),
            CLOSED.statements(engine, closed.collect()),
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(number: u8) -> ClientConnection {
        let connected_at = UnixMillis::new(1_763_757_000_000);
        ClientConnection {
            id: ConnectionId::from_parts(connected_at, [number; 10]),
            peer_address: "192.0.2.1".into(),
            peer_port: 4000,
            identity: None,
            connected_at,
        }
    }

    /// However many come and go, a batch is a few statements, and who has left within it is one row.
    #[test]
    fn a_batch_of_connections_is_a_few_statements() {
        let node_id = NodeId::from_parts(UnixMillis::new(0), [1; 10]);
        let at = UnixMillis::new(1_763_757_000_500);
        let mut changes = Changes::default();
        for number in 0..32 {
            let opened = connection(number);
            let id = opened.id;
            for event in [
                Event::Opened(opened),
                Event::Identified(id, "shop".into()),
                Event::Closed(id, at),
                // One that an earlier batch has recorded.
                Event::Closed(connection(number + 100).id, at),
            ] {
                changes.add(event).unwrap();
            }
        }
        let before = connection(200).id;
        changes
            .add(Event::Identified(before, "other".into()))
            .unwrap();
        for engine in [Engine::Sqlite, Engine::Postgres] {
            let changes = Changes {
                opened: changes.opened.clone(),
                identified: changes.identified.clone(),
                closed: changes.closed.clone(),
            };
            let statements = changes.statements(engine, node_id);
            let values: Vec<usize> = statements.iter().map(|it| it.values.len()).collect();
            assert_eq!(values, [32 * 7, 2, 32 * 2], "{engine:?}");
            assert!(
                statements[0]
                    .values
                    .contains(&Value::OptionalText(Some("shop".into())))
            );
            assert!(
                statements[0]
                    .values
                    .contains(&Value::OptionalInteger(Some(at.as_i64())))
            );
        }
    }
}
