//! Ends statements that nobody waits for any more. SQLite interrupts them by itself; a PostgreSQL server is asked to cancel
//! them, over another connection, because it does not notice that a caller has gone before the statement has ended.

use std::pin::Pin;
use std::time::Duration;

use sqlx::SqlSafeStr;
use tokio::sync::Mutex;
use tokio::time::{Instant, interval_at, timeout};

use super::Database;
use super::connection::NativeConnection;
use super::engine::Engine;
use super::fault::reading_error;
use crate::store::error::StoreError;

/// How long a statement may go on that nobody waits for: most have ended by themselves until then.
const CANCELLED_AFTER: Duration = Duration::from_millis(10);
/// How soon that is asked again. The server forgets it where the statement has not begun yet.
const CANCELLED_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// How long the server may take to say that it was asked.
const ASKED_WITHIN: Duration = Duration::from_secs(1);

/// Asks the server to cancel statements.
#[derive(Debug)]
pub(in crate::store) struct Canceller {
    database: Database,
    /// The connection that asks, once it was needed.
    connection: Mutex<Option<NativeConnection>>,
}

impl Canceller {
    pub(in crate::store) fn new(database: Database) -> Self {
        Self {
            database,
            connection: Mutex::default(),
        }
    }

    /// By which the server knows a connection; none on SQLite.
    pub(super) async fn backend_of(
        &self,
        connection: &mut NativeConnection,
    ) -> Result<Option<i64>, StoreError> {
        let engine = self.database.engine;
        if engine == Engine::Sqlite {
            return Ok(None);
        }
        let asked = connection.ask_text("SELECT CAST(pg_backend_pid() AS TEXT)");
        let answered = asked.await.map_err(|error| reading_error(engine, &error))?;
        Ok(answered.parse().ok())
    }

    /// What comes of a statement that nobody waits for, when it has ended, and whether the server was asked to cancel it.
    pub(super) async fn end<T>(
        &self,
        backend: Option<i64>,
        mut statement: Pin<&mut impl Future<Output = T>>,
    ) -> (T, bool) {
        let Some(backend) = backend else {
            return (statement.await, false);
        };
        let first = Instant::now() + CANCELLED_AFTER;
        let mut asking = interval_at(first, CANCELLED_AGAIN_AFTER);
        let mut is_asked = false;
        loop {
            tokio::select! {
                biased;
                ended = &mut statement => return (ended, is_asked),
                _ = asking.tick() => {
                    is_asked = true;
                    if timeout(ASKED_WITHIN, self.ask_to_cancel(backend)).await.is_err() {
                        tracing::debug!("the database did not take a cancellation in time");
                    }
                }
            }
        }
    }

    async fn ask_to_cancel(&self, backend: i64) {
        let mut place = self.connection.lock().await;
        // What does not answer is not put back.
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => match self.database.connect_reader(|| true).await {
                Ok(connection) => connection,
                Err(error) => {
                    tracing::debug!(%error, "no connection to cancel a statement");
                    return;
                }
            },
        };
        let text = "SELECT CAST(pg_cancel_backend(CAST($1 AS INTEGER)) AS TEXT)".into_sql_str();
        match connection.fetch(text, &[backend.into()]).await {
            Ok(_) => *place = Some(connection),
            Err(error) => tracing::debug!(%error, "a statement could not be cancelled"),
        }
    }

    /// Closes its connection.
    pub(in crate::store) async fn close(&self) {
        if let Some(connection) = self.connection.lock().await.take() {
            // It goes in any case.
            let _ = connection.close().await;
        }
    }
}
