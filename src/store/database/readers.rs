//! The connections that read. Each is lent to one caller at a time and kept afterwards; one whose
//! answer did not come, or was not waited for, is thrown away, so that nobody gets another's answer
//! or waits for a database that has gone silent.
//!
//! sqlx's own pool is not used: it asks each connection for a sign of life whenever it is lent and
//! given back, which is two more ways to the server and back for each read, and it waits for the
//! second without bound.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection, SqlStr};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::Database;
use super::fault::{Fault, fault};
use super::value::{Value, bind};
use crate::store::error::StoreError;

/// How long a reader waits for its answer, waiting and connecting included; a little longer than the
/// server may take for a statement.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long running reads may take when the store is closed, and after them letting the connections
/// go.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection that nobody used for this long is not used again: something between here and the
/// server may have forgotten it.
const IDLE_KEPT: Duration = Duration::from_secs(120);
/// How many connections there may be.
const CONNECTIONS: std::ops::RangeInclusive<u32> = 1..=64;

#[derive(Debug)]
pub(in crate::store) struct Readers {
    database: Database,
    most: u32,
    /// One permit for each connection that may be in use.
    permits: Semaphore,
    /// The connections that are not in use, and since when.
    idle: Mutex<Vec<(AnyConnection, Instant)>>,
}

impl Readers {
    /// Begins with the `first` of `most` (1 to 64) connections.
    pub(in crate::store) fn new(
        database: Database,
        most: u32,
        first: AnyConnection,
    ) -> Result<Self, StoreError> {
        let permits = usize::try_from(most)
            .ok()
            .filter(|_| CONNECTIONS.contains(&most))
            .ok_or_else(|| StoreError::Configuration {
                expected: "1 to 64 read connections",
                got: most.to_string(),
            })?;
        Ok(Self {
            database,
            most,
            permits: Semaphore::new(permits),
            idle: Mutex::new(vec![(first, Instant::now())]),
        })
    }

    /// All rows that `text` gives.
    pub(in crate::store) async fn read(
        &self,
        text: SqlStr,
        values: &[Value],
    ) -> Result<Vec<AnyRow>, StoreError> {
        timeout(READ_TIMEOUT, self.lend_and_ask(text, values))
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::Unavailable {
                    reason: format!("no answer within {} s", READ_TIMEOUT.as_secs()),
                })
            })
    }

    async fn lend_and_ask(
        &self,
        text: SqlStr,
        values: &[Value],
    ) -> Result<Vec<AnyRow>, StoreError> {
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|_| StoreError::Closed)?;
        if let Some(connection) = self.take_idle() {
            match self.ask(connection, text.clone(), values).await {
                // It may have broken while nobody used it, and the others with it.
                Err(Fault::Lost(_)) => self.idle().clear(),
                answered => return answered.map_err(Fault::into_reading_error),
            }
        }
        let connection = self.database.connect_reader().await?;
        self.ask(connection, text, values)
            .await
            .map_err(Fault::into_reading_error)
    }

    /// Keeps the connection unless it is lost, or whoever waits for the answer goes away.
    async fn ask(
        &self,
        mut connection: AnyConnection,
        text: SqlStr,
        values: &[Value],
    ) -> Result<Vec<AnyRow>, Fault> {
        let query = values.iter().fold(sqlx::query(text), bind);
        let answer = query
            .fetch_all(&mut connection)
            .await
            .map_err(|error| fault(self.database.engine, &error));
        if !matches!(answer, Err(Fault::Lost(_))) && !self.permits.is_closed() {
            self.idle().push((connection, Instant::now()));
        }
        answer
    }

    fn take_idle(&self) -> Option<AnyConnection> {
        let mut idle = self.idle();
        // The one used last comes first; when that one is too old, all are.
        let (connection, since) = idle.pop()?;
        if since.elapsed() > IDLE_KEPT {
            idle.clear();
            return None;
        }
        Some(connection)
    }

    /// Nothing panics while the lock is held, so that a poisoned one still holds what it should.
    fn idle(&self) -> MutexGuard<'_, Vec<(AnyConnection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets running reads end and the connections go, within bounds. Reads that come later get
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
        let idle = std::mem::take(&mut *self.idle());
        let closing = async {
            for (connection, _) in idle {
                // It goes in any case.
                let _ = connection.close().await;
            }
        };
        if timeout(CLOSE_TIMEOUT, closing).await.is_err() {
            tracing::warn!("the database did not take leave of all its readers");
        }
    }
}
