//! The connections that read: a bounded number, each lent to one statement at a time. A caller waits for a
//! bounded time; its place is taken until its statement has really ended, also when it stopped waiting.
//!
//! sqlx's own pool is not used, because it can't interrupt the statement of a caller that went away, and
//! pings each connection when it is given back, without a time limit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::SqlStr;
use sqlx::any::AnyRow;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::Database;
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
/// How many connections there may be.
const CONNECTIONS: std::ops::RangeInclusive<u32> = 1..=64;

/// The connections that read.
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
    /// The connections that are not in use, the one used last at the end.
    idle: Mutex<Vec<ReadConnection>>,
}

#[derive(Debug)]
struct ReadConnection {
    connection: NativeConnection,
    /// Whether the caller of its statement has stopped waiting.
    given_up: Arc<Mutex<GivenUp>>,
    idle_since: Instant,
}

/// Set when the caller of one read has stopped waiting; it interrupts a statement of SQLite.
type GivenUp = Arc<AtomicBool>;

/// Lives as long as the caller waits.
struct Caller(GivenUp);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Readers {
    /// At most `most` (1 to 64) connections, of which none is open yet.
    pub(in crate::store) fn new(database: Database, most: u32) -> Result<Self, StoreError> {
        let permits = usize::try_from(most)
            .ok()
            .filter(|_| CONNECTIONS.contains(&most))
            .ok_or_else(|| StoreError::Configuration {
                expected: "1 to 64 read connections",
                got: most.to_string(),
            })?;
        Ok(Self {
            most,
            permits: Arc::new(Semaphore::new(permits)),
            connections: Arc::new(Connections {
                database,
                idle: Mutex::default(),
            }),
        })
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
            // The task goes on when the caller stops waiting, and keeps its place until then.
            let connections = Arc::clone(&self.connections);
            let given_up = GivenUp::default();
            let _caller = Caller(Arc::clone(&given_up));
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
        if timeout(CLOSE_TIMEOUT, self.permits.acquire_many(self.most))
            .await
            .is_err()
        {
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
        let goes_on = move || !lock(&watched).load(Ordering::Relaxed);
        Ok(ReadConnection {
            connection: self.database.connect_reader(goes_on).await?,
            given_up,
            idle_since: Instant::now(),
        })
    }

    /// Keeps the connection unless it is lost or its statement was given up.
    async fn ask_on(
        &self,
        mut reader: ReadConnection,
        text: SqlStr,
        values: &[Value],
        given_up: &GivenUp,
    ) -> Result<Vec<AnyRow>, Fault> {
        *lock(&reader.given_up) = Arc::clone(given_up);
        let answer = reader.connection.fetch(text, values).await;
        let answer = answer.map_err(|error| fault(self.database.engine, &error));
        if !matches!(answer, Err(Fault::Lost(_))) && !given_up.load(Ordering::Relaxed) {
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
