//! The connections that read: a bounded number, each lent to one statement at a time. A caller waits for a
//! bounded time. When it goes away, its statement is ended in the database, and its place is taken until that is so.
//!
//! sqlx's own pool is not used, because it can't end the statement of a caller that went away, and
//! pings each connection when it is given back, without a time limit.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::SqlStr;
use sqlx::any::AnyRow;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::Database;
use super::canceller::Canceller;
use super::connection::NativeConnection;
use super::fault::{Fault, fault};
use super::value::Value;
use crate::store::error::StoreError;

/// How long a caller waits for its answer, for a place and connecting included. A statement takes no longer:
/// PostgreSQL ends it before, SQLite is interrupted.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long running reads may take when the store is closed, and after them closing the connections.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection that nobody used for this long is not used again: something between here and the
/// server may have forgotten it.
const IDLE_KEPT: Duration = Duration::from_secs(120);

/// The connections for one kind of read.
#[derive(Debug)]
pub(in crate::store) struct Readers {
    most: u32,
    /// One permit for each connection that may be in use.
    permits: Arc<Semaphore>,
    connections: Arc<Connections>,
}

#[derive(Debug)]
struct Connections {
    database: Database,
    canceller: Arc<Canceller>,
    /// The connections that are not in use, the one used last at the end.
    idle: Mutex<Vec<ReadConnection>>,
}

#[derive(Debug)]
struct ReadConnection {
    connection: NativeConnection,
    /// Whether the caller of its statement has stopped waiting.
    given_up: Arc<Mutex<GivenUp>>,
    /// By which PostgreSQL knows it.
    backend: Option<i64>,
    idle_since: Instant,
}

/// Set when the caller of one read has stopped waiting; it interrupts a statement of SQLite.
type GivenUp = CancellationToken;

impl Readers {
    /// At most `most` connections, of which none is open yet.
    pub(in crate::store) fn new(database: Database, canceller: Arc<Canceller>, most: u32) -> Self {
        let permits = usize::try_from(most).unwrap_or(1);
        Self {
            most,
            permits: Arc::new(Semaphore::new(permits)),
            connections: Arc::new(Connections {
                database,
                canceller,
                idle: Mutex::default(),
            }),
        }
    }

    /// All rows that `text` gives.
    pub(in crate::store) async fn read(
        &self,
        text: SqlStr,
        values: &[Value],
    ) -> Result<Vec<AnyRow>, StoreError> {
        let reading = async {
            let permit = Arc::clone(&self.permits).acquire_owned();
            let permit = permit.await.map_err(|_| StoreError::Closed)?;
            // The task goes on when the caller stops waiting, until the statement has ended.
            let connections = Arc::clone(&self.connections);
            let given_up = GivenUp::new();
            let _caller = given_up.clone().drop_guard();
            let task = tokio::spawn(connections.ask(permit, text, values.to_vec(), given_up));
            task.await.unwrap_or_else(|error| {
                Err(StoreError::Unavailable {
                    reason: error.to_string(),
                })
            })
        };
        timeout(READ_TIMEOUT, reading)
            .await
            .unwrap_or_else(|_| Err(no_answer()))
    }

    /// Lets running reads end and closes the connections, within bounds. Reads that come later get
    /// [`StoreError::Closed`].
    pub(in crate::store) async fn close(&self) {
        // The permits come in turn: reads that come now wait behind this.
        let ended = timeout(CLOSE_TIMEOUT, self.permits.acquire_many(self.most));
        if ended.await.is_err() {
            tracing::warn!("the store was closed before all reads were answered");
        }
        self.permits.close();
        let idle = std::mem::take(&mut *self.connections.idle());
        let closing = async {
            for idle in idle {
                // It goes in any case.
                let _ = idle.connection.close().await;
            }
        };
        if timeout(CLOSE_TIMEOUT, closing).await.is_err() {
            tracing::warn!("the database did not close all connections that read");
        }
    }
}

impl Connections {
    async fn ask(
        self: Arc<Self>,
        permit: OwnedSemaphorePermit,
        text: SqlStr,
        values: Vec<Value>,
        given_up: GivenUp,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let asking = async {
            if let Some(idle) = self.take_idle() {
                match self.ask_on(idle, text.clone(), &values, &given_up).await {
                    // It may have broken while nobody used it, and the others with it.
                    Err(Fault::Lost(_)) => self.idle().clear(),
                    answered => return answered,
                }
            }
            let new = self.connect().await.map_err(Fault::Refused)?;
            self.ask_on(new, text, &values, &given_up).await
        };
        let answered = timeout(READ_TIMEOUT, asking).await;
        drop(permit);
        answered
            .map_err(|_| no_answer())?
            .map_err(Fault::into_reading_error)
    }

    async fn connect(&self) -> Result<ReadConnection, StoreError> {
        let given_up = Arc::<Mutex<GivenUp>>::default();
        let watched = Arc::clone(&given_up);
        let goes_on = move || !lock(&watched).is_cancelled();
        let mut connection = self.database.connect_reader(goes_on).await?;
        Ok(ReadConnection {
            backend: self.canceller.backend_of(&mut connection).await?,
            connection,
            given_up,
            idle_since: Instant::now(),
        })
    }

    /// Keeps the connection unless it is lost or its statement was cancelled: a cancellation that came too late for
    /// that one would be for the next.
    async fn ask_on(
        &self,
        mut reader: ReadConnection,
        text: SqlStr,
        values: &[Value],
        given_up: &GivenUp,
    ) -> Result<Vec<AnyRow>, Fault> {
        *lock(&reader.given_up) = given_up.clone();
        let (answer, is_cancelled) = {
            let mut asked = pin!(reader.connection.fetch(text, values));
            tokio::select! {
                answer = &mut asked => (answer, false),
                () = given_up.cancelled() => self.canceller.end(reader.backend, asked).await,
            }
        };
        let answer = answer.map_err(|error| fault(self.database.engine, &error));
        if is_cancelled {
            // It goes in any case.
            let _ = reader.connection.close().await;
        } else if !matches!(answer, Err(Fault::Lost(_))) {
            reader.idle_since = Instant::now();
            self.idle().push(reader);
        }
        answer
    }

    fn take_idle(&self) -> Option<ReadConnection> {
        let mut idle = self.idle();
        // The one used last comes first; when that one is too old, all are.
        let last = idle.pop()?;
        if last.idle_since.elapsed() > IDLE_KEPT {
            idle.clear();
            return None;
        }
        Some(last)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<ReadConnection>> {
        lock(&self.idle)
    }
}

/// Nothing panics while a lock is held, so that a poisoned one still holds what it should.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn no_answer() -> StoreError {
    StoreError::Unavailable {
        reason: format!("no answer within {} s", READ_TIMEOUT.as_secs()),
    }
}
