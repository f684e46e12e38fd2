//! Keeps what was intended and what was answered; all SQL of the program is here.
//!
//! - [`error`]: what can go wrong; [`records`]: what is kept and what is answered, as values.
//! - [`database`]: SQLite and PostgreSQL: connections, migrations, the meaning of their errors.
//! - `writer`: the group-commit writer: the queue, the batch, its transaction.
//! - `tables`: one file for each table: its columns, its rows as records, what reads and writes it.
//! - [`reads`]: what reads payments, their operations, what is owed, and what merchants were told.
//! - [`merchant_money`]: what is kept of merchants' terms, fees and payouts.
//! - [`change`]: what the writer knows: a change of the records; `commit`: its way to the writer.
//! - `index_walk`: how lists go along an index, and look at a bounded number of rows.
//! - [`numbers`]: blocks of STANs and RRNs, handed out from memory.
//! - [`inspection`]: a look at the database that changes nothing.
//! - `connection_log`: client connections, recorded in the background.
//! - `housekeeping`: heartbeats and the store's other own work, on PostgreSQL over a connection of its own.
//! - `retention`: tables that callers can grow are pruned.

pub mod change;
mod commit;
mod connection_log;
pub mod database;
pub mod error;
mod housekeeping;
mod index_walk;
pub mod inspection;
pub mod merchant_money;
pub mod numbers;
pub mod reads;
pub mod records;
mod retention;
mod tables;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::AssertSqlSafe;
use tokio::sync::watch;

use self::connection_log::ConnectionLog;
use self::database::Database;
use self::database::connection::Statement;
use self::database::engine::Engine;
use self::database::read_kinds::{ReadKind, ReadersByKind};
use self::database::schema::{self, MigrationReport, WATCH_NODES_FOR};
use self::database::server;
use self::database::value::Value;
use self::error::StoreError;
use self::housekeeping::Housekeeping;
use self::records::lists::MAX_PAGE_SIZE;
use self::retention::{PRUNE_EVERY, prune};
use self::writer::Writer;
use crate::clock::Clock;
use crate::config::store::StoreConfig;
use crate::payment::ids::NodeId;
use crate::random::Random;

/// How long the database may take to say that it is well.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a caller waits for its record before it is told that the outcome is not known.
pub const ANSWER_TIMEOUT: Duration = writer::ANSWER_TIMEOUT;

/// The records. Cloning is cheap: all clones are the same store.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// Whose connections it reads over.
    reads: ReadKind,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    writer: Writer,
    readers: ReadersByKind,
    housekeeping: Arc<Housekeeping>,
    connection_log: ConnectionLog,
}

impl Store {
    /// Opens the store and registers this process in it. On SQLite the file is this process's alone
    /// from now on.
    ///
    /// # Errors
    /// When the settings are out of their ranges, the database can't be reached, its schema is not
    /// exactly the one this program needs, or another process holds the SQLite file. A PostgreSQL whose
    /// encoding is not UTF8, or that is reached through a pooler in transaction mode, is refused.
    pub async fn open(
        config: &StoreConfig,
        clock: Arc<dyn Clock>,
        random: &Random,
    ) -> Result<Self, StoreError> {
        check_range("1 to 1000 records in a batch", config.batch_records, 1000)?;
        check_range("1 to 100000 queued records", config.queued_records, 100_000)?;
        let database = Database::of(config)?;
        let lock = database.lock().await?;
        let readers = ReadersByKind::new(&database, config.read_connections)?;
        server::check(&database).await?;
        let mut checking = database.connect_reader(|| true).await?;
        schema::check(database.engine, &mut checking).await?;
        drop(checking);
        let connection = database.connect_writer().await?;
        let engine = database.engine;
        let writer = Writer::start(
            database.clone(),
            connection,
            lock,
            config.batch_records,
            config.queued_records,
        );
        let now = clock.now();
        let random = random.bytes().map_err(|error| StoreError::Unavailable {
            reason: error.to_string(),
        })?;
        let node_id = NodeId::from_parts(now, random);
        let housekeeping = Arc::new(Housekeeping::new(database, writer.clone(), node_id, clock));
        housekeeping.start(now).await?;
        housekeeping.run_every(PRUNE_EVERY, |housekeeping| async move {
            prune(&housekeeping, housekeeping.clock.now())
                .await
                .map(drop)
        });
        Ok(Self {
            inner: Arc::new(Inner {
                engine,
                connection_log: ConnectionLog::start(Arc::clone(&housekeeping)),
                writer,
                readers,
                housekeeping,
            }),
            reads: ReadKind::Payments,
        })
    }

    /// The same store, read over the connections of this kind; at first it is [`ReadKind::Payments`].
    #[must_use]
    pub fn reading(&self, kind: ReadKind) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            reads: kind,
        }
    }

    /// Brings the database's schema up to date, and makes the SQLite file, readable by its owner
    /// only, when it is missing.
    ///
    /// # Errors
    /// When the database can't be reached, is newer than this program, holds a migration with another text,
    /// or a gateway uses it ([`StoreError::InUse`], [`StoreError::Locked`]). Gateways that did not stop in
    /// order are watched for twelve seconds.
    pub async fn migrate(
        config: &StoreConfig,
        clock: &dyn Clock,
    ) -> Result<MigrationReport, StoreError> {
        schema::migrate(config, WATCH_NODES_FOR, clock).await
    }

    /// Refuses a database that a gateway uses. Gateways that did not stop in order are watched for twelve seconds.
    ///
    /// # Errors
    /// [`StoreError::InUse`], or when the database can't be reached or has another schema.
    pub async fn expect_no_gateway(config: &StoreConfig) -> Result<(), StoreError> {
        schema::expect_no_gateway(config).await
    }

    /// Writes what waits, within bounds, and lets the database go. Later calls get
    /// [`StoreError::Closed`].
    pub async fn close(&self) {
        self.inner.connection_log.close().await;
        self.inner.housekeeping.stop().await;
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

    /// Whether the database answers, and new payments can be recorded in it.
    pub async fn healthy(&self) -> bool {
        let answers = tokio::time::timeout(HEALTH_TIMEOUT, self.read("SELECT 1", &[])).await;
        matches!(answers, Ok(Ok(_)))
            && self.inner.writer.is_up()
            && self.inner.housekeeping.check_schema().is_ok()
    }

    /// The name of this process, from opening the store to closing it.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.inner.housekeeping.node_id
    }

    /// Until when this node may send what it owes: no other one has found it dead before. A moment that is over
    /// when its heartbeats don't reach the database. Where the store is exclusive there is no other node.
    #[must_use]
    pub fn owns_until(&self) -> tokio::time::Instant {
        if self.exclusive() {
            return tokio::time::Instant::now() + ANSWER_TIMEOUT;
        }
        self.inner.housekeeping.owns_until()
    }

    /// Changes with each batch that this process commits; what other nodes commit does not show here.
    #[must_use]
    pub fn committed(&self) -> watch::Receiver<()> {
        self.inner.writer.committed()
    }

    /// How many events of each kind this process has committed to payments. Those of a COMMIT that was not confirmed
    /// are missing.
    #[must_use]
    pub fn committed_events(&self) -> BTreeMap<&'static str, u64> {
        self.inner.writer.committed_events()
    }

    /// How many changes and other statements wait for the writer.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.inner.writer.waiting()
    }

    /// How often the writer has connected again.
    fn reconnects(&self) -> u64 {
        self.inner.writer.reconnects()
    }

    /// Runs an UPDATE that may be run twice.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it changes no row.
    async fn update_one(
        &self,
        statement: Statement,
        what: &'static str,
        id: &str,
    ) -> Result<(), StoreError> {
        let done = self.inner.writer.run(vec![statement], true).await?;
        if done.iter().all(|done| done.rows_affected == 0) {
            return Err(StoreError::NotFound {
                what,
                id: id.to_owned(),
            });
        }
        Ok(())
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
        let readers = self.inner.readers.of(self.reads);
        readers.read(text.into_sql_str(), values).await
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
