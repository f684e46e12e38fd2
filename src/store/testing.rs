//! What the store's tests need: databases of both kinds, one for each test.

mod postgres;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::any::AnyRow;
use tokio::sync::OnceCell;

pub(crate) use self::postgres::unique;
use self::postgres::{Server, fresh_name};
pub(super) use self::postgres::{execute, server};
use super::Store;
use super::database::engine::Engine;
use crate::clock::SystemClock;
use crate::config::store::StoreConfig;
use crate::net::Net;
use crate::payment::amounts::Amounts;
use crate::payment::moment::UnixMillis;
use crate::payment::state::PaymentState;
use crate::random::Random;
use crate::store::database::schema::MigrationReport;
use crate::store::error::StoreError;
use crate::store::tables::columns::{Columns, first_integer};

/// Bytes in both directions.
pub(super) trait Wire: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Wire for T {}

/// A connection to the server, without any protocol.
pub(super) async fn dial(server: &Server) -> Box<dyn Wire> {
    let url = server.url("");
    if let Some((_, folder)) = url.split_once("?host=") {
        let socket = Path::new(folder).join(".s.PGSQL.5432");
        #[expect(
            clippy::disallowed_methods,
            reason = "net.rs has no Unix sockets; only this test needs one"
        )]
        let stream = tokio::net::UnixStream::connect(socket).await;
        return Box::new(stream.expect("its socket"));
    }
    let (_, place) = url.rsplit_once('@').expect("a host");
    let (place, _) = place.split_once('/').expect("a host");
    Box::new(Net::SYSTEM.connect(place).await.expect("HOST:PORT"))
}

/// A database for one test; gone afterwards.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    pub(super) config: StoreConfig,
    /// What `execute` connects to.
    pub(super) url: String,
    leftovers: Leftovers,
}

#[derive(Debug)]
enum Leftovers {
    Directory(PathBuf),
    Database(&'static Server, String),
}

impl TestDatabase {
    /// A SQLite file that was not made yet.
    pub(super) fn empty_sqlite() -> Self {
        sqlx::any::install_default_drivers();
        let directory = std::env::temp_dir().join(fresh_name("sqlite"));
        std::fs::create_dir(&directory).expect("a directory for the test");
        let url = format!("sqlite://{}", directory.join("test.db").display());
        Self::new(url, Leftovers::Directory(directory))
    }

    /// A migrated SQLite file: a copy, because to migrate takes longer.
    pub(crate) async fn sqlite() -> Self {
        static MIGRATED: OnceCell<Vec<u8>> = OnceCell::const_new();
        let migrated = MIGRATED.get_or_init(|| async {
            let database = Self::empty_sqlite();
            migrate(&database.config).await.expect("a migration");
            std::fs::read(database.path()).expect("a migrated file")
        });
        let migrated = migrated.await;
        let database = Self::empty_sqlite();
        std::fs::write(database.path(), migrated).expect("a copy of the file");
        database
    }

    /// A PostgreSQL database without any table.
    pub(super) async fn empty_postgres() -> Self {
        // A language's collation, so that no test leans on the order of bytes; SQLite has that one.
        let template = "template0\" LOCALE_PROVIDER icu ICU_LOCALE \"en";
        Self::postgres_from(server(), template).await
    }

    /// A migrated PostgreSQL database.
    pub(crate) async fn postgres() -> Self {
        static TEMPLATE: OnceCell<TestDatabase> = OnceCell::const_new();
        let template = TEMPLATE
            .get_or_init(|| async {
                let database = Self::empty_postgres().await;
                migrate(&database.config).await.expect("a migration");
                database
            })
            .await;
        match &template.leftovers {
            Leftovers::Database(server, name) => Self::postgres_from(server, name).await,
            Leftovers::Directory(_) => panic!("the template is on PostgreSQL"),
        }
    }

    pub(super) async fn postgres_from(server: &'static Server, template: &str) -> Self {
        sqlx::any::install_default_drivers();
        let name = server.create_database(template).await;
        Self::new(server.url(&name), Leftovers::Database(server, name))
    }

    fn new(url: String, leftovers: Leftovers) -> Self {
        let config = StoreConfig {
            url: url.clone(),
            ..StoreConfig::default()
        };
        Self {
            config,
            url,
            leftovers,
        }
    }

    pub(super) fn engine(&self) -> Engine {
        match &self.leftovers {
            Leftovers::Database(..) => Engine::Postgres,
            Leftovers::Directory(_) => Engine::Sqlite,
        }
    }

    /// The SQLite file.
    pub(super) fn path(&self) -> PathBuf {
        Path::new(self.url.trim_start_matches("sqlite://")).to_owned()
    }

    /// The PostgreSQL database's name.
    pub(super) fn name(&self) -> &str {
        match &self.leftovers {
            Leftovers::Database(_, name) => name,
            Leftovers::Directory(_) => panic!("a file has no name"),
        }
    }

    pub(crate) async fn open(&self) -> Store {
        open(&self.config).await.expect("the store opens")
    }

    /// Another node; on SQLite, which has one node, the same one.
    pub(crate) async fn open_beside(&self, first: &Store) -> Store {
        match self.engine() {
            Engine::Postgres => self.open().await,
            Engine::Sqlite => first.clone(),
        }
    }

    /// Runs a statement on the server's own database.
    pub(super) async fn execute_as_admin(&self, text: &str) {
        match &self.leftovers {
            Leftovers::Database(server, _) => {
                execute(&server.url("postgres"), text.to_owned()).await;
            }
            Leftovers::Directory(_) => panic!("a file has no server"),
        }
    }

    pub(crate) async fn execute(&self, text: &str) {
        execute(&self.url, text.to_owned()).await;
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        match &self.leftovers {
            // What can't be removed is in the temporary directory, where it does no harm.
            Leftovers::Directory(directory) => drop(std::fs::remove_dir_all(directory)),
            Leftovers::Database(server, name) => server.drop_database(name),
        }
    }
}

/// Opens a store with the machine's clock.
pub(super) async fn open(config: &StoreConfig) -> Result<Store, StoreError> {
    Store::open(config, Arc::new(SystemClock), &Random::SYSTEM).await
}

/// Migrates a database with the machine's clock.
pub(super) async fn migrate(config: &StoreConfig) -> Result<MigrationReport, StoreError> {
    Store::migrate(config, &SystemClock).await
}

/// An event as it is kept: the payment right after it.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) position: i64,
    pub(crate) payment_id: String,
    pub(crate) sequence: i64,
    pub(crate) kind: String,
    pub(crate) at: UnixMillis,
    pub(crate) operation_id: String,
    pub(crate) state: PaymentState,
    pub(crate) amounts: Amounts,
}

/// The events after a position, and the position that is taken next.
pub(crate) async fn events_after(store: &Store, position: i64) -> (Vec<Event>, i64) {
    let text = "SELECT * FROM events WHERE stream = 0 AND position > $1 ORDER BY position";
    let rows = store.read(text, &[position.into()]).await.unwrap();
    let event = |row: &AnyRow| {
        let columns = Columns::named(row, "events", String::new());
        let text = |name| columns.text(name).unwrap().to_owned();
        Event {
            position: columns.integer("position").unwrap(),
            payment_id: text("payment_id"),
            sequence: columns.integer("payment_sequence").unwrap(),
            kind: text("kind"),
            at: columns.moment("at_ms").unwrap(),
            operation_id: text("operation_id"),
            state: columns.json("state_detail").unwrap(),
            amounts: columns.json("amounts").unwrap(),
        }
    };
    let next = store.read("SELECT next FROM positions WHERE stream = 0", &[]);
    let next = first_integer(&next.await.unwrap()[0], "positions", "next", "0").unwrap();
    (rows.iter().map(event).collect(), next)
}
