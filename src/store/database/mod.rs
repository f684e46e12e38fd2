//! The database: where it is, how a connection to it is set up, and the lock that keeps a SQLite file to
//! one gateway. The statements are the same for both databases.
//!
//! - `engine`: SQLite and PostgreSQL; `value`: what statements bind.
//! - `connection`: a connection, of its database's own type; `many_rows`: statements with many rows.
//! - `readers`: the connections that read; [`read_kinds`]: each kind has its own. `canceller`: ends statements that nobody
//!   waits for.
//! - [`schema`]: the migrations, carried in the program. `server`: what is needed of a PostgreSQL server.
//! - `fault`: what an error of the database means.
//! - `plans`: in tests, whether a statement passes through a whole table.

pub(in crate::store) mod canceller;
pub(in crate::store) mod connection;
pub(in crate::store) mod engine;
pub(in crate::store) mod fault;
pub(in crate::store) mod many_rows;
#[cfg(test)]
mod plans;
pub mod read_kinds;
pub(in crate::store) mod readers;
pub mod schema;
pub(in crate::store) mod server;
pub(in crate::store) mod value;

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Once;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::time::Instant;

use self::connection::NativeConnection;
use self::engine::Engine;
use self::fault::reading_error;
use self::many_rows::KEPT_PREPARED;
use super::error::StoreError;
use crate::config::store::StoreConfig;

/// How long a connection may take to come up.
pub(in crate::store) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a lock that is taken is tried again before another gateway is believed to hold it.
const LOCK_WITHIN: Duration = Duration::from_secs(1);
/// In the answer of a pooler that knows fewer settings than the server. The server itself takes them all.
const REFUSED_BY_POOLER: &str = "unsupported startup parameter";
/// Between two such tries.
const LOCK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// WAL and synchronous=FULL: a commit is on the disk before it is confirmed. The cache is 8 MiB: SQLite
/// looks through all of it at most commits, and the pages that new payments touch take far less.
const SQLITE_WRITER: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA cache_size = -8192; \
    PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 4000";
/// Many connections read, so the cache of each is small: it holds the upper pages of the trees, and the system has the others
/// in memory once for all.
const SQLITE_READER: &str = "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; \
    PRAGMA cache_size = -1024";
/// Times are in milliseconds. The writer's updates join a short list with a large table by its key:
/// a plan made while the table was small must not scan it when it has grown, so only the plan that
/// uses the index is left. A node that is cut off in the middle of a transaction may hold the row of the
/// positions: its session ends sooner than others give up waiting for that row.
const POSTGRES_WRITER: &str = "SET synchronous_commit = on; SET statement_timeout = 4000; \
    SET lock_timeout = 3000; SET idle_in_transaction_session_timeout = 2000; \
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
    SET jit = off; SET client_min_messages = warning";
/// What is read is bounded by an index, and few rows are expected of filters: no plan may scan a table for them. Workers of
/// the server's own would be beyond the bound of readers.
const POSTGRES_READER: &str = "SET default_transaction_read_only = on; \
    SET statement_timeout = 4000; SET enable_seqscan = off; SET max_parallel_workers_per_gather = 0; \
    SET jit = off; SET client_min_messages = warning";

/// Shorter than the writer's: nobody waits for it, and one statement must not delay a heartbeat for long. A cutover
/// holds the row of the positions, as writers do.
const POSTGRES_HOUSEKEEPING: &str = "SET synchronous_commit = on; SET statement_timeout = 1500; \
    SET lock_timeout = 1000; SET idle_in_transaction_session_timeout = 2000; \
    SET jit = off; SET client_min_messages = warning";

/// A database that the settings name.
#[derive(Clone)]
pub(in crate::store) struct Database {
    pub(in crate::store) engine: Engine,
    /// The SQLite file.
    path: Option<PathBuf>,
    options: Options,
}

/// The options hold the password, so they are not shown.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("engine", &self.engine)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// How the connection that writes is opened.
#[derive(Clone)]
enum Options {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Box<PgConnectOptions>),
}

impl Database {
    /// Reads the settings' URL.
    pub(in crate::store) fn of(config: &StoreConfig) -> Result<Self, StoreError> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let wrong = |expected| StoreError::Configuration {
            expected,
            got: config.shown_url(),
        };
        let url = config.url.as_str();
        let (engine, path, url) = if let Some(path) = url.strip_prefix("sqlite://") {
            if path.is_empty() || path.contains(":memory:") || path.contains('?') {
                return Err(wrong(
                    "sqlite://PATH with the path of a file and no parameters",
                ));
            }
            let path = std::path::absolute(path)
                .map_err(|error| file_error("find", Path::new(path), &error))?;
            let url = format!("sqlite://{}?mode=rw", percent_encoded(&path));
            (Engine::Sqlite, Some(path), url)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            (Engine::Postgres, None, url.to_owned())
        } else {
            return Err(wrong("sqlite://PATH or postgres://USER@HOST/DATABASE"));
        };
        let unreadable = |_| wrong("a URL that can be read");
        let options = match engine {
            Engine::Sqlite => Options::Sqlite(Box::new(
                SqliteConnectOptions::from_str(&url)
                    .map_err(unreadable)?
                    .statement_cache_capacity(KEPT_PREPARED)
                    .disable_statement_logging(),
            )),
            Engine::Postgres => Options::Postgres(Box::new(
                PgConnectOptions::from_str(&url)
                    .map_err(unreadable)?
                    .statement_cache_capacity(KEPT_PREPARED)
                    .disable_statement_logging(),
            )),
        };
        Ok(Self {
            engine,
            path,
            options,
        })
    }

    /// Makes the SQLite file, readable by its owner only, when it is missing.
    pub(in crate::store) fn create_file(&self) -> Result<(), StoreError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        private_file(path).map(drop)
    }

    /// Holds the SQLite file for this process: `PATH.lock` stays locked until the file is dropped,
    /// also when the process is killed.
    ///
    /// A process that is starting a child shares its locks with it for a moment, until the child has
    /// become the other program; so a lock that is taken is tried again for [`LOCK_WITHIN`].
    pub(in crate::store) async fn lock(&self) -> Result<Option<File>, StoreError> {
        let give_up_at = Instant::now() + LOCK_WITHIN;
        loop {
            match self.try_lock() {
                Err(StoreError::Locked { .. }) if Instant::now() < give_up_at => {
                    tokio::time::sleep(LOCK_AGAIN_AFTER).await;
                }
                tried => return tried,
            }
        }
    }

    fn try_lock(&self) -> Result<Option<File>, StoreError> {
        let Some(path) = &self.path else {
            return Ok(None);
        };
        expect_file(path)?;
        let lock_path =
            beside_canonical(path, ".lock").map_err(|error| file_error("find", path, &error))?;
        let file = private_file(&lock_path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked {
                path: path.display().to_string(),
            }),
            Err(TryLockError::Error(error)) => Err(file_error("lock", &lock_path, &error)),
        }
    }

    /// The SQLite file.
    pub(in crate::store) fn file(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The file whose lock a process holds that uses the SQLite file.
    pub(in crate::store) fn lock_path(&self) -> Option<PathBuf> {
        beside_canonical(self.path.as_deref()?, ".lock").ok()
    }

    /// A connection that changes nothing, within [`CONNECT_TIMEOUT`]: no setting of a session that a pooler would hand
    /// on, and on SQLite no file beside the database. Where no log lies there, the file holds everything, and nobody
    /// writes to it; else SQLite reads the log, too.
    pub(in crate::store) async fn connect_to_look(&self) -> Result<NativeConnection, StoreError> {
        let (Options::Sqlite(options), Some(path)) = (&self.options, &self.path) else {
            return self.connect_unset().await;
        };
        expect_file(path)?;
        let log = beside_canonical(path, "-wal").and_then(std::fs::metadata);
        let has_log = log.is_ok_and(|log| log.len() > 0);
        let options = options.as_ref().clone().read_only(true).immutable(!has_log);
        self.within_time(async { Ok(NativeConnection::Sqlite(options.connect().await?)) })
            .await
    }

    /// The writer's connection, within [`CONNECT_TIMEOUT`].
    pub(in crate::store) async fn connect_writer(&self) -> Result<NativeConnection, StoreError> {
        self.connect_native(self.writer_settings()).await
    }

    /// The connection for housekeeping, on PostgreSQL, within [`CONNECT_TIMEOUT`].
    pub(in crate::store) async fn connect_housekeeping(
        &self,
    ) -> Result<NativeConnection, StoreError> {
        self.connect_native(POSTGRES_HOUSEKEEPING).await
    }

    /// A connection without settings of its session, within [`CONNECT_TIMEOUT`].
    pub(in crate::store) async fn connect_unset(&self) -> Result<NativeConnection, StoreError> {
        self.connect_native("").await
    }

    async fn connect_native(&self, settings: &'static str) -> Result<NativeConnection, StoreError> {
        self.within_time(async {
            let mut connection = match &self.options {
                Options::Sqlite(options) => NativeConnection::Sqlite(options.connect().await?),
                Options::Postgres(options) => NativeConnection::Postgres(options.connect().await?),
            };
            connection.set(settings).await?;
            Ok(connection)
        })
        .await
    }

    /// A connection that can't write, within [`CONNECT_TIMEOUT`]. A statement of SQLite is interrupted when it
    /// no longer `goes_on`.
    pub(in crate::store) async fn connect_reader(
        &self,
        goes_on: impl FnMut() -> bool + Send + 'static,
    ) -> Result<NativeConnection, StoreError> {
        let settings = match self.engine {
            Engine::Sqlite => SQLITE_READER,
            Engine::Postgres => POSTGRES_READER,
        };
        let mut connection = self.connect_native(settings).await?;
        let asked = connection.ask_whether(goes_on).await;
        asked.map_err(|error| self.connect_error(&error))?;
        Ok(connection)
    }

    fn writer_settings(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite => SQLITE_WRITER,
            Engine::Postgres => POSTGRES_WRITER,
        }
    }

    async fn within_time<C>(
        &self,
        connecting: impl Future<Output = Result<C, sqlx::Error>>,
    ) -> Result<C, StoreError> {
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.connect_error(&error)),
            Err(_) => Err(StoreError::Unavailable {
                reason: format!("no connection within {} ms", CONNECT_TIMEOUT.as_millis()),
            }),
        }
    }

    /// While connecting, nothing is the fault of a record.
    fn connect_error(&self, error: &sqlx::Error) -> StoreError {
        match reading_error(self.engine, error) {
            StoreError::Unavailable { reason } | StoreError::Refused { reason } => {
                let hint = if reason.contains(REFUSED_BY_POOLER) {
                    ": a pooler says that; put the server's own host and port into store.url, or let the pooler be in \
                     session mode and ignore that parameter"
                } else {
                    ""
                };
                StoreError::Unavailable {
                    reason: reason + hint,
                }
            }
            other => other,
        }
    }
}

fn file_error(what: &'static str, path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::File {
        what,
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}

fn expect_file(path: &Path) -> Result<(), StoreError> {
    if path.exists() {
        return Ok(());
    }
    Err(StoreError::File {
        what: "open",
        path: path.display().to_string(),
        reason: "there is no such file; `payswitch migrate` makes it".into(),
    })
}

/// The file beside `path` whose name has this at its end. Whatever links lead to a file, it is one.
fn beside_canonical(path: &Path, suffix: &str) -> std::io::Result<PathBuf> {
    let mut name = std::fs::canonicalize(path)?.into_os_string();
    name.push(suffix);
    Ok(PathBuf::from(name))
}

/// Opens a file that only its owner may read, and makes it when it is missing.
fn private_file(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| file_error("open", path, &error))
}

/// A path as it stands in a URL: what is no letter, digit or one of `/-._~` is percent-encoded.
fn percent_encoded(path: &Path) -> String {
    let mut encoded = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => encoded.push(char::from(*byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_name_no_durable_database_are_refused() {
        for url in [
            "",
            "mysql://x/y",
            "sqlite:x.db",
            "sqlite://",
            "sqlite://:memory:",
            "sqlite://x.db?mode=memory",
            "/tmp/x.db",
        ] {
            let config = StoreConfig {
                url: url.into(),
                ..StoreConfig::default()
            };
            let error = Database::of(&config).unwrap_err();
            assert!(
                matches!(error, StoreError::Configuration { .. }),
                "{url}: {error}"
            );
        }
    }

    #[test]
    fn odd_characters_of_a_path_survive_the_url() {
        assert_eq!(
            percent_encoded(Path::new("/tmp/a b#c%d?/é.db")),
            "/tmp/a%20b%23c%25d%3F/%C3%A9.db"
        );
    }
}
