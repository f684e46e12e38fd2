//! Keeps what was intended and what was answered; all SQL of the program is here.
//!
//! - [`error`]: what can go wrong, and what an error of a database means.
//! - [`records`]: what is kept and what is answered, as values.
//! - `engine`: SQLite and PostgreSQL: connections, settings, the lock of a SQLite file.
//! - `readers`: the connections that read.
//! - [`schema`]: the migrations, carried in the program.
//! - `sql`: statements with many rows; `rows`: rows into records; `draft`: records into texts.
//! - `write_connection`: the connection that writes, of its database's own type.
//! - `item`, `inbox`, `lot`, `statements`, `batch`, `writer`: the group-commit writer: what is written,
//!   what waits, what goes together, what is said, one transaction, the task.
//! - `payments`: recording intents and outcomes, and reading payments.
//! - `merchants`: merchants and their API keys.
//! - [`numbers`]: blocks of STANs and RRNs.
//! - `responses`: late and quarantined responses.
//! - `connections`: who is and was connected.
//! - `recovery`: what a dead process left unfinished, and what is owed.
//! - `housekeeping`: the signs of life of this process; `pruning`: what is forgotten in time.

mod batch;
mod connections;
mod draft;
mod engine;
pub mod error;
mod housekeeping;
mod inbox;
mod item;
mod lot;
mod merchants;
pub mod numbers;
mod payments;
mod pruning;
mod readers;
pub mod records;
pub mod recovery;
mod responses;
mod rows;
pub mod schema;
mod sql;
mod statements;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod write_connection;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use sqlx::AssertSqlSafe;

use self::connections::Recorder;
use self::engine::{Database, Engine};
use self::error::StoreError;
use self::readers::Readers;
use self::records::MAX_PAGE_SIZE;
use self::schema::MigrationReport;
use self::sql::Value;
use self::writer::Writer;
use crate::clock::{Clock, SystemClock, random_bytes};
use crate::config::store::StoreConfig;
use crate::payment::ids::NodeId;

/// How long the database may take to say that it is well.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a caller waits for its record before it is told that the outcome is not known: longer than a
/// writer that has a database takes for what may wait before it.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// The records. Cloning is cheap: all clones are the same store.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    node_id: NodeId,
    writer: Writer,
    readers: Readers,
    recorder: Recorder,
}

impl Store {
    /// Opens the store and registers this process in it. On SQLite the file is this process's alone
    /// from now on.
    ///
    /// # Errors
    /// When the settings are out of their ranges, the database can't be reached, its schema is not
    /// exactly the one this program needs, or another process holds the SQLite file.
    pub async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        check_range("1 to 1000 records in a batch", config.batch_records, 1000)?;
        check_range("1 to 100000 queued records", config.queued_records, 100_000)?;
        let database = Database::of(config)?;
        let lock = database.lock().await?;
        let mut reader = database.connect_reader().await?;
        schema::check(database.engine, &mut reader).await?;
        let readers = Readers::new(database.clone(), config.read_connections, reader)?;
        let connection = database.connect_writer().await?;
        let engine = database.engine;
        let writer = Writer::start(
            database,
            connection,
            lock,
            config.batch_records,
            config.queued_records,
        );
        let now = SystemClock.now();
        let random = random_bytes().map_err(|error| StoreError::Unavailable {
            reason: error.to_string(),
        })?;
        let node_id = NodeId::from_parts(now, random);
        let store = Self {
            inner: Arc::new(Inner {
                engine,
                node_id,
                recorder: Recorder::start(writer.clone(), node_id),
                writer,
                readers,
            }),
        };
        store.register(now).await?;
        store.start_housekeeping();
        Ok(store)
    }

    /// Brings the database's schema up to date, and makes the SQLite file, readable by its owner
    /// only, when it is missing.
    ///
    /// # Errors
    /// When the database can't be reached, is newer than this program, or holds a migration with
    /// another text; for SQLite also when a gateway has the file open.
    pub async fn migrate(config: &StoreConfig) -> Result<MigrationReport, StoreError> {
        schema::migrate(config).await
    }

    /// Writes what waits, within bounds, and lets the database go. Later calls get
    /// [`StoreError::Closed`].
    pub async fn close(&self) {
        self.inner.recorder.close().await;
        self.unregister(SystemClock.now()).await;
        if !self.inner.writer.close().await {
            tracing::warn!("the store was closed before everything that waited was written");
        }
        self.inner.readers.close().await;
    }

    /// Whether this process alone may write: so on SQLite, where it holds the file's lock.
    #[must_use]
    pub fn exclusive(&self) -> bool {
        self.inner.engine == Engine::Sqlite
    }

    /// Whether the database answers.
    pub async fn healthy(&self) -> bool {
        let answers = tokio::time::timeout(HEALTH_TIMEOUT, self.read("SELECT 1", &[])).await;
        matches!(answers, Ok(Ok(_))) && self.inner.writer.is_up()
    }

    /// The name of this process, from opening the store to closing it.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.inner.node_id
    }

    /// Rows of `table`, by identifiers that sort by the time they were made, going on after `after`;
    /// `limit` is 1 to [`MAX_PAGE_SIZE`].
    async fn newest_first(
        &self,
        table: &'static str,
        limit: usize,
        after: Option<String>,
    ) -> Result<Vec<sqlx::any::AnyRow>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let mut values = vec![limit.into()];
        // No made-up identifier stands for "from the newest on": which texts come last is up to the
        // database's collation.
        let beyond = match after {
            Some(after) => {
                values.push(after.into());
                "WHERE id < $2"
            }
            None => "",
        };
        let text = format!("SELECT * FROM {table} {beyond} ORDER BY id DESC LIMIT $1");
        self.read(AssertSqlSafe(text), &values).await
    }

    async fn read(
        &self,
        text: impl sqlx::SqlSafeStr,
        values: &[Value],
    ) -> Result<Vec<sqlx::any::AnyRow>, StoreError> {
        self.inner.readers.read(text.into_sql_str(), values).await
    }
}

fn check_range(expected: &'static str, got: usize, most: usize) -> Result<(), StoreError> {
    if (1..=most).contains(&got) {
        Ok(())
    } else {
        Err(StoreError::Configuration {
            expected,
            got: got.to_string(),
        })
    }
}
