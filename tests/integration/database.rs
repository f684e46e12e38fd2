//! A database for each test: a SQLite file, or one on a PostgreSQL that is started once for the test
//! process.

use std::path::{Path, PathBuf};

use payswitch::clock::SystemClock;
use payswitch::config::store::StoreConfig;
use payswitch::store::Store;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::sync::OnceCell;

use crate::harness::{TempFolder, write_private};
use crate::postgres::{Server, connect, server};

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A database that is gone after the test.
#[derive(Debug)]
pub(crate) enum Database {
    /// A file in the test's own folder, which goes with the folder.
    Sqlite(PathBuf),
    Postgres(&'static Server, String),
}

const SQLITE_FILE: &str = "payswitch.db";

/// Every table that a payment may leave something in.
const TABLES_OF_PAYMENTS: [&str; 6] = [
    "payments",
    "operations",
    "idempotency",
    "used_envelopes",
    "late_responses",
    "quarantine",
];

impl Database {
    pub(crate) async fn fresh(engine: Engine, folder: &Path) -> Self {
        sqlx::any::install_default_drivers();
        match engine {
            Engine::Sqlite => Self::Sqlite(folder.join(SQLITE_FILE)),
            Engine::Postgres => {
                let server = server();
                let name = server.create_database("template0").await;
                Self::Postgres(server, name)
            }
        }
    }

    /// The same with all its tables. It is a copy, because to migrate takes longer, and few tests are about that.
    pub(crate) async fn migrated(engine: Engine, folder: &Path) -> Self {
        static SQLITE: OnceCell<Vec<u8>> = OnceCell::const_new();
        static POSTGRES: OnceCell<String> = OnceCell::const_new();
        sqlx::any::install_default_drivers();
        match engine {
            Engine::Sqlite => {
                let migrated = SQLITE.get_or_init(|| async {
                    let folder = TempFolder::new("migrated");
                    let fresh = Self::fresh(engine, folder.path()).await;
                    migrate(fresh.url()).await;
                    std::fs::read(folder.path().join(SQLITE_FILE)).expect("a migrated file")
                });
                write_private(&folder.join(SQLITE_FILE), migrated.await);
                Self::fresh(engine, folder).await
            }
            Engine::Postgres => {
                let server = server();
                // It stays as long as the server does.
                let migrated = POSTGRES.get_or_init(|| async {
                    let name = server.create_database("template0").await;
                    migrate(server.url(&name)).await;
                    name
                });
                let name = server.create_database(migrated.await).await;
                Self::Postgres(server, name)
            }
        }
    }

    /// A copy of it, as a backup that is restored under another name. Nobody may use it meanwhile.
    pub(crate) async fn copy(&self) -> Self {
        match self {
            Self::Sqlite(path) => {
                let copy = path.with_extension("copy");
                std::fs::copy(path, &copy).expect("a copy of the file");
                Self::Sqlite(copy)
            }
            Self::Postgres(server, name) => {
                Self::Postgres(server, server.create_database(name).await)
            }
        }
    }

    /// What the gateway and the test connect to.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite://{}", path.display()),
            Self::Postgres(server, name) => server.url(name),
        }
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        self.number(format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {table}"))
            .await
    }

    /// How many reversals were ever owed.
    pub(crate) async fn reversals(&self) -> i64 {
        self.number(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM operations WHERE kind = 'REVERSAL'".into(),
        )
        .await
    }

    /// The one number that a statement gives.
    pub(crate) async fn number(&self, text: String) -> i64 {
        let mut connection = connect(&self.url()).await;
        let number = sqlx::query_scalar(AssertSqlSafe(text.clone()))
            .fetch_one(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        connection.close().await.expect("a connection closes");
        number
    }

    /// The one text that a statement gives.
    pub(crate) async fn text(&self, text: impl Into<String>) -> String {
        let text: String = text.into();
        let mut connection = connect(&self.url()).await;
        let found = sqlx::query_scalar(AssertSqlSafe(text.clone()))
            .fetch_one(&mut connection)
            .await;
        let found = found.unwrap_or_else(|error| panic!("{text}: {error}"));
        connection.close().await.expect("a connection closes");
        found
    }

    /// Carries out a statement that gives no row.
    pub(crate) async fn execute(&self, text: impl Into<String>) {
        let text: String = text.into();
        let mut connection = connect(&self.url()).await;
        let done = sqlx::query(AssertSqlSafe(text.clone()))
            .execute(&mut connection)
            .await;
        done.unwrap_or_else(|error| panic!("{text}: {error}"));
        connection.close().await.expect("a connection closes");
    }

    /// Every change of a payment has its one event, no position is missing or taken twice, and the journals say what
    /// the payments say. Each is one statement, because something may still be going on.
    pub(crate) async fn assert_books_are_whole(&self) {
        for (what, text) in [
            (
                "positions without an event",
                "SELECT CAST(ABS((SELECT next - 1 FROM positions WHERE stream = 0) - COUNT(*)) \
                    + ABS(COALESCE(MAX(position), 0) - COUNT(*)) AS BIGINT) FROM events",
            ),
            (
                "payments with other events",
                "SELECT CAST(COUNT(*) AS BIGINT) FROM payments LEFT JOIN \
                    (SELECT payment_id, COUNT(*) AS events, MAX(payment_sequence) AS last \
                        FROM events GROUP BY payment_id) AS told ON told.payment_id = payments.id \
                    WHERE COALESCE(told.events, 0) <> payments.version - 1 \
                        OR COALESCE(told.last, 1) <> payments.version",
            ),
            (
                "journals that do not sum to zero",
                "SELECT CAST(COUNT(*) AS BIGINT) FROM (SELECT 1 FROM ledger_lines \
                    GROUP BY position, currency HAVING SUM(amount_minor) <> 0) AS off_balance",
            ),
            (
                "minor units that payments have, and ledger and payouts have not",
                "SELECT CAST((SELECT COALESCE(SUM(captured_minor - captured_pending_minor \
                        - refunded_minor + refunded_pending_minor), 0) FROM payments) \
                    - (SELECT COALESCE(SUM(amount_minor), 0) FROM ledger_lines WHERE account = 'RECEIVABLE') \
                    - (SELECT COALESCE(SUM(amount_minor), 0) FROM payouts WHERE state = 'PAID') AS BIGINT)",
            ),
        ] {
            assert_eq!(self.number(text.into()).await, 0, "{what}");
        }
    }

    /// How many rows the payments have left, in each table that they may leave some in.
    pub(crate) async fn rows_of_payments(&self) -> Vec<(&'static str, i64)> {
        let mut rows = Vec::new();
        for table in TABLES_OF_PAYMENTS {
            rows.push((table, self.count(table).await));
        }
        rows
    }
}

async fn migrate(url: String) {
    let config = StoreConfig {
        url,
        ..StoreConfig::default()
    };
    let migrated = Store::migrate(&config, &SystemClock).await;
    migrated.expect("a new database is migrated");
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Self::Postgres(server, name) = self {
            server.drop_database(name);
        }
    }
}
