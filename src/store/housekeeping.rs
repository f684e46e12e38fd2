//! The store's own work beside the payments: heartbeats of this process, client connections, pruning.
//!
//! On PostgreSQL it has a connection of its own, so that a node whose writer is overloaded still sends its
//! heartbeats. On SQLite, where no other node watches, it goes through the writer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use sqlx::Row as _;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::database::Database;
use super::database::connection::{NativeConnection, Statement, StatementResult};
use super::database::engine::Engine;
use super::database::fault::{Fault, fault};
use super::database::schema;
use super::error::StoreError;
use super::writer::Writer;
use crate::clock::Clock;
use crate::payment::ids::NodeId;
use crate::payment::moment::UnixMillis;

/// Between two heartbeats of this process.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(2);
/// How long after a heartbeat a process may send what it owes, in milliseconds: a little less than the time after
/// which another node takes it for dead (`operations/node_liveness.rs`).
const OWNS_FOR_MS: i64 = 11_000;
/// How long one transaction may take on the connection of its own before the connection is given up. A
/// heartbeat waits for one other transaction at most, so that it is not late enough for this node to
/// look dead.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(2);
/// The most attempts at one transaction: the second one has a new connection.
const ATTEMPTS: u32 = 2;
/// Between two looks of a writer that is not well at whether it is again.
const PROBE_EVERY: Duration = Duration::from_secs(1);

const CLOSED_NOTE: &str = "the gateway process that held it stopped";

/// The store's own work. Its tasks end when it is dropped, or once the writer is closed.
#[derive(Debug)]
pub(super) struct Housekeeping {
    pub(super) node_id: NodeId,
    pub(super) database: Database,
    writer: Writer,
    /// The connection of its own, on PostgreSQL; none before it is needed, or after it was lost.
    connection: Mutex<Option<NativeConnection>>,
    /// The schema's version when this process last looked.
    schema_version: AtomicI64,
    stopped: AtomicBool,
    /// When the last heartbeat that the database took was on its way to it, and what the clock said then.
    heard_at: std::sync::Mutex<Option<(Instant, UnixMillis)>>,
    pub(super) clock: Arc<dyn Clock>,
    /// The heartbeats of the other nodes when rows were pruned last.
    pub(super) heartbeats: Mutex<BTreeMap<NodeId, i64>>,
}

impl Housekeeping {
    pub(super) fn new(
        database: Database,
        writer: Writer,
        node_id: NodeId,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            node_id,
            database,
            writer,
            connection: Mutex::default(),
            schema_version: AtomicI64::new(schema::NEEDED),
            stopped: AtomicBool::new(false),
            heard_at: std::sync::Mutex::default(),
            clock,
            heartbeats: Mutex::default(),
        }
    }

    /// Refuses new payments once another process has migrated the database to a schema that this program
    /// does not know.
    ///
    /// # Errors
    /// [`StoreError::SchemaMovedOn`].
    pub(super) fn check_schema(&self) -> Result<(), StoreError> {
        match self.schema_version.load(Ordering::Relaxed) {
            found if found > schema::NEEDED => Err(StoreError::SchemaMovedOn {
                found,
                needed: schema::NEEDED,
            }),
            _ => Ok(()),
        }
    }

    /// Runs statements that may run twice, in one transaction.
    ///
    /// # Errors
    /// When the database is not available or refuses a statement.
    pub(super) async fn run(
        &self,
        statements: Vec<Statement>,
    ) -> Result<Vec<StatementResult>, StoreError> {
        if self.database.engine == Engine::Sqlite {
            return self.writer.run(statements, true).await;
        }
        if self.stopped.load(Ordering::Relaxed) {
            return Err(StoreError::Closed);
        }
        let mut connection = self.connection.lock().await;
        let mut reason = String::new();
        for _ in 0..ATTEMPTS {
            let running = self.run_once(&mut connection, &statements);
            let ran = timeout(TRANSACTION_TIMEOUT, running)
                .await
                .unwrap_or_else(|_| {
                    let seconds = TRANSACTION_TIMEOUT.as_secs();
                    Err(Fault::Lost(format!("no answer within {seconds} s")))
                });
            match ran {
                Ok(results) => return Ok(results),
                Err(Fault::Refused(error)) => return Err(error),
                Err(Fault::Retryable(retryable)) => reason = retryable,
                Err(Fault::Lost(lost) | Fault::CommitUnknown(lost)) => {
                    *connection = None;
                    reason = lost;
                }
                Err(Fault::Conflict) => {}
            }
        }
        Err(StoreError::Unavailable { reason })
    }

    async fn run_once(
        &self,
        connection: &mut Option<NativeConnection>,
        statements: &[Statement],
    ) -> Result<Vec<StatementResult>, Fault> {
        let in_engine = |error: sqlx::Error| fault(self.database.engine, &error);
        let connection = match connection {
            Some(connection) => connection,
            None => {
                let opened = self.database.connect_housekeeping().await;
                connection.insert(opened.map_err(|error| Fault::Lost(error.to_string()))?)
            }
        };
        let mut transaction = connection.begin().await.map_err(in_engine)?;
        let results = transaction.run(statements).await.map_err(in_engine)?;
        transaction.commit().await.map_err(in_engine)?;
        Ok(results)
    }

    /// Records that this process has started. On SQLite all others have stopped, because this one holds the
    /// file's lock.
    pub(super) async fn start(self: &Arc<Self>, now: UnixMillis) -> Result<(), StoreError> {
        if self.database.engine == Engine::Sqlite {
            let (own, now) = (self.node_id.to_string(), now.as_i64());
            let stop_others = Statement {
                text: "UPDATE nodes SET stopped_at_ms = $2 \
                    WHERE stopped_at_ms IS NULL AND id <> $1",
                values: vec![own.as_str().into(), now.into()],
                returning: false,
            };
            let close_connections = Statement {
                text: "UPDATE client_connections SET disconnected_at_ms = $2, note = $3 \
                    WHERE disconnected_at_ms IS NULL AND node_id <> $1",
                values: vec![own.into(), now.into(), CLOSED_NOTE.into()],
                returning: false,
            };
            self.run(vec![stop_others, close_connections]).await?;
        }
        self.heartbeat(now).await?;
        self.run_every(HEARTBEAT_EVERY, |housekeeping| async move {
            housekeeping.heartbeat(housekeeping.clock.now()).await
        });
        self.run_every(PROBE_EVERY, |housekeeping| async move {
            housekeeping.probe().await
        });
        Ok(())
    }

    /// Writes this process's heartbeat. On PostgreSQL it also looks at the schema's version; a SQLite file
    /// can't be migrated while this process holds its lock.
    async fn heartbeat(&self, now: UnixMillis) -> Result<(), StoreError> {
        let mut statements = vec![self.heartbeat_statement(now)];
        if self.database.engine == Engine::Postgres {
            statements.push(Statement {
                text: "SELECT MAX(version) FROM schema_migrations",
                values: Vec::new(),
                returning: true,
            });
        }
        let asked_at = Instant::now();
        let results = self.run(statements).await?;
        *self.heard_at() = Some((asked_at, now));
        let version = results
            .get(1)
            .and_then(|result| result.rows.first())
            .and_then(|row| row.try_get::<i64, _>(0).ok());
        if let Some(version) = version {
            let before = self.schema_version.swap(version, Ordering::Relaxed);
            if version > schema::NEEDED && before != version {
                tracing::error!(
                    found = version,
                    needed = schema::NEEDED,
                    "The database was migrated by a newer payswitch; this one takes no more payments"
                );
            }
        }
        Ok(())
    }

    fn heard_at(&self) -> std::sync::MutexGuard<'_, Option<(Instant, UnixMillis)>> {
        // Nothing panics while it is held.
        self.heard_at
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Until when no other node can take this one for dead: until then what it owes is its own to send. Both
    /// clocks count, because one of them stands still while a machine sleeps.
    pub(super) fn owns_until(&self) -> Instant {
        let now = Instant::now();
        let Some((asked_at, wall)) = *self.heard_at() else {
            return now;
        };
        let awake = self.clock.now() <= wall.plus_ms(OWNS_FOR_MS);
        if awake {
            asked_at + Duration::from_millis(OWNS_FOR_MS.unsigned_abs())
        } else {
            now
        }
    }

    fn heartbeat_statement(&self, now: UnixMillis) -> Statement {
        Statement {
            text: "INSERT INTO nodes (id, started_at_ms, seen_at_ms, heartbeat) \
                VALUES ($1, $2, $2, 1) ON CONFLICT (id) DO UPDATE \
                SET seen_at_ms = excluded.seen_at_ms, heartbeat = nodes.heartbeat + 1",
            values: vec![self.node_id.to_string().into(), now.as_i64().into()],
            returning: false,
        }
    }

    /// Has a writer that is not well write something, because no payment comes while it is not.
    async fn probe(&self) -> Result<(), StoreError> {
        if self.writer.is_up() {
            return Ok(());
        }
        let statements = vec![self.heartbeat_statement(self.clock.now())];
        match self.writer.run(statements, true).await {
            // The writer has logged it.
            Ok(_) | Err(StoreError::Unavailable { .. } | StoreError::OutcomeUnknown { .. }) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Closes the connections that `nodes` left open.
    ///
    /// # Errors
    /// When the database is not available.
    pub(super) async fn close_connections_of(&self, nodes: &[NodeId]) -> Result<(), StoreError> {
        let now = self.clock.now();
        let close = |node: &NodeId| close_connections(*node, now);
        self.run(nodes.iter().map(close).collect()).await.map(drop)
    }

    /// Records that this process stops in order.
    pub(super) async fn stop(&self) {
        let now = self.clock.now();
        let stopped = Statement {
            text: "UPDATE nodes SET stopped_at_ms = $2 WHERE id = $1",
            values: vec![self.node_id.to_string().into(), now.as_i64().into()],
            returning: false,
        };
        let statements = vec![stopped, close_connections(self.node_id, now)];
        if let Err(error) = self.run(statements).await
            && error != StoreError::Closed
        {
            tracing::warn!(%error, "this process could not be recorded as stopped");
        }
        self.stopped.store(true, Ordering::Relaxed);
        // Everything is committed.
        drop(self.connection.lock().await.take());
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
            let mut failing = false;
            loop {
                tokio::time::sleep(every).await;
                let Some(housekeeping) = housekeeping.upgrade() else {
                    return;
                };
                match work(housekeeping).await {
                    Ok(()) => failing = false,
                    Err(StoreError::Closed) => return,
                    Err(error) if !failing => {
                        failing = true;
                        tracing::warn!(%error, "housekeeping of the store fails");
                    }
                    Err(_) => {}
                }
            }
        });
    }
}

fn close_connections(node: NodeId, now: UnixMillis) -> Statement {
    Statement {
        text: "UPDATE client_connections SET disconnected_at_ms = $2, note = $3 \
            WHERE disconnected_at_ms IS NULL AND node_id = $1",
        values: vec![
            node.to_string().into(),
            now.as_i64().into(),
            CLOSED_NOTE.into(),
        ],
        returning: false,
    }
}
