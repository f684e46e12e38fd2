//! A look at the database that changes nothing: for whoever asks whether it will do, also while a gateway uses it.

use std::fs::{File, TryLockError};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::Row as _;
use sqlx::any::AnyRow;
use tokio::time::Instant;

use super::database::connection::NativeConnection;
use super::database::engine::Engine;
use super::database::fault::reading_error;
use super::database::schema::{self, NEEDED};
use super::database::{Database, server};
use super::error::StoreError;
use crate::clock::Clock;
use crate::config::store::StoreConfig;

/// A node that was seen within this time is taken for alive: heartbeats come every two seconds.
const SEEN_WITHIN: Duration = Duration::from_secs(12);

/// The header of a SQLite file up to the version of the format for those who write (sqlite.org/fileformat.html, 1.3).
const HEADER_BYTES: usize = 19;
/// That version where the journal is a write-ahead log.
const OF_WAL: u8 = 2;

/// The database that the settings name.
#[derive(Debug)]
pub struct Inspection {
    database: Database,
    connection: NativeConnection,
}

/// The time at the database's server against this machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockDifference {
    /// How far the server is ahead, in milliseconds; behind when negative.
    pub ahead_ms: i64,
    /// How far that may be off, because asking took its time.
    pub uncertain_ms: i64,
}

/// Gateways that use the database, by what they have written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nodes {
    /// Those that were seen a moment ago.
    pub alive: usize,
    /// Those that did not stop in order, and were not seen since.
    pub silent: usize,
}

/// How the server's commits reach its standbys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replication {
    /// Standbys that are connected.
    pub standbys: usize,
    /// Whether commits wait for one of them.
    pub synchronous: bool,
    /// Whether this server is a standby itself, which takes no writes.
    pub is_standby: bool,
}

impl Inspection {
    /// Connects. A SQLite file that is missing is not made, nor is anything beside it.
    ///
    /// # Errors
    /// When the settings name no database, or it can't be reached.
    pub async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let database = Database::of(config)?;
        let connection = database.connect_to_look().await?;
        Ok(Self {
            database,
            connection,
        })
    }

    /// The SQLite file that the settings name; none on PostgreSQL.
    ///
    /// # Errors
    /// When the settings name no database.
    pub fn file(config: &StoreConfig) -> Result<Option<PathBuf>, StoreError> {
        Ok(Database::of(config)?.file().map(Path::to_path_buf))
    }

    /// Whether a gateway holds the SQLite file; none on PostgreSQL.
    #[must_use]
    pub fn is_held(&self) -> Option<bool> {
        let path = self.database.lock_path()?;
        // Where there is no such file, nobody has ever opened the database.
        let Ok(file) = File::open(path) else {
            return Some(false);
        };
        Some(matches!(
            file.try_lock_shared(),
            Err(TryLockError::WouldBlock)
        ))
    }

    /// The engine and its version, as it names them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn version(&mut self) -> Result<String, StoreError> {
        let (engine, text) = match self.database.engine {
            Engine::Sqlite => ("SQLite", "SELECT sqlite_version()"),
            Engine::Postgres => ("PostgreSQL", "SELECT current_setting('server_version')"),
        };
        Ok(format!("{engine} {}", self.ask(text).await?))
    }

    /// Refuses a PostgreSQL as opening the store does: its encoding, and a pooler in front of it.
    ///
    /// # Errors
    /// When it does not do.
    pub async fn check_server(&self) -> Result<(), StoreError> {
        server::check(&self.database).await
    }

    /// Refuses another schema as opening the store does. Gives the schema's version.
    ///
    /// # Errors
    /// When the schema is not exactly the one that this program needs.
    pub async fn check_schema(&mut self) -> Result<i64, StoreError> {
        schema::check(self.database.engine, &mut self.connection).await?;
        Ok(NEEDED)
    }

    /// The newest data key of cards in custody, its version and itself, wrapped; none before a gateway has made one.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn newest_data_key(&mut self) -> Result<Option<(i64, String)>, StoreError> {
        let engine = self.database.engine;
        let text =
            "SELECT key_version, wrapped FROM custody_keys ORDER BY key_version DESC LIMIT 1";
        let rows = self.connection.fetch(text, &[]).await;
        let rows = rows.map_err(|error| reading_error(engine, &error))?;
        let key = |row: &AnyRow| Ok((row.try_get(0)?, row.try_get(1)?));
        let key = rows.first().map(key).transpose();
        key.map_err(|error| reading_error(engine, &error))
    }

    /// How SQLite keeps its journal, as the file says: `wal`, as payswitch sets it, or `rollback`; none on PostgreSQL.
    /// SQLite itself does not tell of a file that it opens as one that nobody changes.
    ///
    /// # Errors
    /// When the file can't be read, or is no database.
    pub fn journal(&self) -> Result<Option<&'static str>, StoreError> {
        let Some(path) = self.database.file() else {
            return Ok(None);
        };
        let mut header = [0; HEADER_BYTES];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
        read.map_err(|error| StoreError::File {
            what: "read",
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        let [.., write_version] = header;
        Ok(Some(if write_version == OF_WAL {
            "wal"
        } else {
            "rollback"
        }))
    }

    /// The server's clock against this one; none on SQLite.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn clock_difference(
        &mut self,
        clock: &dyn Clock,
    ) -> Result<Option<ClockDifference>, StoreError> {
        if self.database.engine == Engine::Sqlite {
            return Ok(None);
        }
        let (began, here) = (Instant::now(), clock.now().as_i64());
        let there = self
            .number(
                "SELECT CAST(CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS TEXT)",
            )
            .await?;
        let took = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        // The server looked at its clock at some moment between the question and the answer.
        Ok(Some(ClockDifference {
            ahead_ms: there.saturating_sub(here.saturating_add(took / 2)),
            uncertain_ms: took / 2 + 1,
        }))
    }

    /// The gateways that use it, on PostgreSQL.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn nodes(&mut self, clock: &dyn Clock) -> Result<Nodes, StoreError> {
        let seen = schema::nodes(&mut self.connection).await?;
        let since = i64::try_from(SEEN_WITHIN.as_millis()).unwrap_or(i64::MAX);
        let since = clock.now().as_i64().saturating_sub(since);
        let alive = seen.iter().filter(|(_, seen_at)| *seen_at >= since).count();
        Ok(Nodes {
            alive,
            silent: seen.len() - alive,
        })
    }

    /// How its commits reach standbys; none on SQLite.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replication(&mut self) -> Result<Option<Replication>, StoreError> {
        if self.database.engine == Engine::Sqlite {
            return Ok(None);
        }
        let standbys = self
            .number("SELECT CAST(COUNT(*) AS TEXT) FROM pg_stat_replication")
            .await?;
        let names = self
            .ask("SELECT current_setting('synchronous_standby_names')")
            .await?;
        let standby = self.ask("SELECT CAST(pg_is_in_recovery() AS TEXT)").await?;
        Ok(Some(Replication {
            standbys: usize::try_from(standbys).unwrap_or(usize::MAX),
            synchronous: !names.trim().is_empty(),
            is_standby: standby == "true",
        }))
    }

    /// Ends the connection.
    pub async fn close(self) {
        // What was seen stands whatever closing says.
        let _ = self.connection.close().await;
    }

    async fn ask(&mut self, text: &'static str) -> Result<String, StoreError> {
        let engine = self.database.engine;
        let asked = self.connection.ask_text(text).await;
        asked.map_err(|error| reading_error(engine, &error))
    }

    async fn number(&mut self, text: &'static str) -> Result<i64, StoreError> {
        let got = self.ask(text).await?;
        got.parse().map_err(|_| StoreError::Invalid {
            expected: "a number from the database",
            got,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, SystemClock};
    use crate::payment::moment::UnixMillis;
    use crate::store::testing::TestDatabase;

    #[tokio::test]
    async fn a_sqlite_file_is_looked_at_and_nothing_is_made_beside_it() {
        let database = TestDatabase::sqlite().await;
        let folder = database.path().parent().unwrap().to_owned();
        let files = || {
            let entries = std::fs::read_dir(&folder).unwrap();
            let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let (before, bytes) = (files(), std::fs::read(database.path()).unwrap());
        let mut inspection = Inspection::open(&database.config).await.unwrap();
        assert!(inspection.version().await.unwrap().starts_with("SQLite 3."));
        assert_eq!(inspection.check_server().await, Ok(()));
        assert_eq!(inspection.check_schema().await, Ok(NEEDED));
        assert_eq!(inspection.journal(), Ok(Some("wal")));
        assert_eq!(inspection.is_held(), Some(false));
        assert_eq!(inspection.clock_difference(&SystemClock).await, Ok(None));
        assert_eq!(inspection.replication().await, Ok(None));
        inspection.close().await;
        assert_eq!(
            (files(), std::fs::read(database.path()).unwrap()),
            (before, bytes)
        );

        // While a gateway holds it.
        let store = database.open().await;
        let mut inspection = Inspection::open(&database.config).await.unwrap();
        assert_eq!(inspection.is_held(), Some(true));
        assert_eq!(inspection.check_schema().await, Ok(NEEDED));
        inspection.close().await;
        store.close().await;
    }

    #[tokio::test]
    async fn a_sqlite_file_that_is_missing_is_not_made() {
        let database = TestDatabase::empty_sqlite();
        let error = Inspection::open(&database.config).await.unwrap_err();
        assert!(error.to_string().contains("payswitch migrate"), "{error}");
        assert!(!database.path().exists());
    }

    #[tokio::test]
    async fn a_postgres_is_asked_for_its_clock_its_nodes_and_its_standbys() {
        let database = TestDatabase::postgres().await;
        let store = database.open().await;
        let mut inspection = Inspection::open(&database.config).await.unwrap();
        assert!(
            inspection
                .version()
                .await
                .unwrap()
                .starts_with("PostgreSQL ")
        );
        assert_eq!(inspection.check_schema().await, Ok(NEEDED));
        assert_eq!(
            (inspection.is_held(), inspection.journal()),
            (None, Ok(None))
        );
        let difference = inspection
            .clock_difference(&SystemClock)
            .await
            .unwrap()
            .unwrap();
        assert!(
            difference.ahead_ms.abs() <= difference.uncertain_ms + 1,
            "{difference:?}"
        );
        let behind = ManualClock::at(UnixMillis::new(SystemClock.now().as_i64() - 90_000));
        let difference = inspection.clock_difference(&behind).await.unwrap().unwrap();
        assert!(
            (difference.ahead_ms - 90_000).abs() <= difference.uncertain_ms + 1_000,
            "{difference:?}"
        );
        let nodes = inspection.nodes(&SystemClock).await.unwrap();
        assert_eq!(
            nodes,
            Nodes {
                alive: 1,
                silent: 0
            }
        );
        let replication = inspection.replication().await.unwrap().unwrap();
        assert!(
            !replication.is_standby && replication.standbys == 0,
            "{replication:?}"
        );
        store.close().await;
        let nodes = inspection.nodes(&SystemClock).await.unwrap();
        assert_eq!(
            nodes,
            Nodes {
                alive: 0,
                silent: 0
            }
        );
        inspection.close().await;
    }
}
