//! What the store's tests need: databases of both kinds, and records to put into them.
//!
//! PostgreSQL is started once for the test process and stops with it, however that ends; each test
//! gets a database of its own, copied from one that was migrated. Where `PAYSWITCH_TEST_POSTGRES` is
//! set (`postgres://USER@HOST:PORT/DATABASE`, a superuser), that server is used instead. A test that
//! finds no PostgreSQL fails: nothing is skipped.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use sqlx::any::AnyConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::sync::OnceCell;

use super::Store;
use super::database::engine::Engine;
use crate::clock::SystemClock;
use crate::config::store::StoreConfig;
use crate::net::Net;
use crate::random::Random;
use crate::store::database::schema::MigrationReport;
use crate::store::error::StoreError;

/// Starts a server in `$1` with the programs in `$2` and the option `$3`, says "ready", and stops it
/// when its standard input ends.
const SERVER: &str = r#"
set -e
dir=$1 bin=$2
mkdir -m 0755 "$dir"
stop() { "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$dir"; }
trap stop EXIT
trap 'exit 1' INT TERM HUP
cd "$dir"
"$bin/initdb" -D "$dir/data" -U payswitch -A trust --no-sync -E UTF8 --locale=C.UTF-8 >"$dir/log" 2>&1 ||
    { cat "$dir/log"; exit 1; }
"$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -o "-k $dir -c listen_addresses= -c max_connections=300 $3" \
    start >"$dir/start" 2>&1 || { cat "$dir/start" "$dir/log"; exit 1; }
echo ready
cat >/dev/null || true
"#;

/// It begins above the numbers that databases of earlier versions in tests hold.
static COUNTER: AtomicU64 = AtomicU64::new(1_000);

/// A number that no other call in this process gets.
pub(super) fn unique() -> u64 {
    COUNTER.fetch_add(1, Ordering::Relaxed)
}

fn fresh_name(what: &str) -> String {
    format!("payswitch-{what}-{}-{}", std::process::id(), unique())
}

/// Bytes in both directions.
pub(super) trait Wire: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Wire for T {}

/// A running PostgreSQL.
#[derive(Debug)]
pub(super) struct Server {
    /// The directory of its socket; none for a server that was there already.
    socket: Option<PathBuf>,
    /// What comes before and after the database's name.
    before: String,
    after: String,
    /// While it is open the server runs.
    _running: Option<(Child, ChildStdin)>,
}

impl Server {
    pub(super) fn url(&self, database: &str) -> String {
        format!("{}{database}{}", self.before, self.after)
    }

    /// Starts a server; `option` goes to `postgres`.
    pub(super) fn start(option: &str) -> Self {
        let directory = std::env::temp_dir().join(fresh_name("postgres"));
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        let mut child = command
            .args(["-c", SERVER, "sh"])
            .args([directory.as_os_str(), programs().as_os_str()])
            .arg(option)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("a shell to start PostgreSQL from");
        let stdin = child.stdin.take().expect("the shell's standard input");
        let mut said = String::new();
        let mut lines = BufReader::new(child.stdout.take().expect("the shell's standard output"));
        while lines.read_line(&mut said).expect("what the shell says") > 0 {
            if said.ends_with("ready\n") {
                return Self {
                    before: "postgres://payswitch@localhost/".into(),
                    after: format!("?host={}", directory.display()),
                    socket: Some(directory),
                    _running: Some((child, stdin)),
                };
            }
        }
        let ended = child.wait();
        panic!("PostgreSQL did not start ({ended:?}); the tests of the store need it:\n{said}");
    }

    /// A connection to it, without any protocol.
    pub(super) async fn dial(&self) -> Box<dyn Wire> {
        if let Some(socket) = &self.socket {
            let path = socket.join(".s.PGSQL.5432");
            #[expect(
                clippy::disallowed_methods,
                reason = "net.rs has no Unix sockets; only this test needs one"
            )]
            let stream = tokio::net::UnixStream::connect(path).await;
            return Box::new(stream.expect("its socket"));
        }
        let place = self
            .before
            .trim_end_matches('/')
            .rsplit('@')
            .next()
            .expect("a host");
        Box::new(Net::SYSTEM.connect(place).await.expect("HOST:PORT"))
    }

    fn given(url: &str) -> Self {
        let (rest, query) = url.split_once('?').unwrap_or((url, ""));
        let (before, _) = rest
            .rsplit_once('/')
            .expect("postgres://USER@HOST:PORT/DATABASE");
        Self {
            socket: None,
            before: format!("{before}/"),
            after: if query.is_empty() {
                String::new()
            } else {
                format!("?{query}")
            },
            _running: None,
        }
    }
}

/// The one server of this process.
pub(super) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| match std::env::var("PAYSWITCH_TEST_POSTGRES") {
        Ok(url) => Server::given(&url),
        Err(_) => Server::start("-c fsync=off"),
    })
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

/// Where `initdb` and `pg_ctl` are: the newest of Debian's versions.
fn programs() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("the tests of the store need PostgreSQL (Debian package postgresql)")
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop().expect("initdb in /usr/lib/postgresql/*/bin")
}

/// Runs one statement on a connection of its own.
pub(super) async fn execute(url: &str, text: String) {
    let mut connection = AnyConnectOptions::from_str(url)
        .expect("a URL")
        .connect()
        .await
        .expect("a connection");
    sqlx::raw_sql(AssertSqlSafe(text.clone()))
        .execute(&mut connection)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    connection.close().await.expect("a connection closes");
}

/// A database for one test; gone afterwards.
#[derive(Debug)]
pub(super) struct TestDatabase {
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

    /// A migrated SQLite file.
    pub(super) async fn sqlite() -> Self {
        let database = Self::empty_sqlite();
        migrate(&database.config).await.expect("a migration");
        database
    }

    /// A PostgreSQL database without any table.
    pub(super) async fn empty_postgres() -> Self {
        Self::empty_postgres_on(server()).await
    }

    /// The same on another server.
    pub(super) async fn empty_postgres_on(server: &'static Server) -> Self {
        // A language's collation, so that no test leans on the order of bytes; SQLite has that one.
        let template = "template0\" LOCALE_PROVIDER icu ICU_LOCALE \"en";
        Self::postgres_from(server, template).await
    }

    /// A migrated PostgreSQL database.
    pub(super) async fn postgres() -> Self {
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

    async fn postgres_from(server: &'static Server, template: &str) -> Self {
        sqlx::any::install_default_drivers();
        let name = fresh_name("test");
        let text = format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\"");
        execute(&server.url("postgres"), text).await;
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

    pub(super) async fn open(&self) -> Store {
        open(&self.config).await.expect("the store opens")
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

    pub(super) async fn execute(&self, text: &str) {
        execute(&self.url, text.to_owned()).await;
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        match &self.leftovers {
            // What can't be removed is in the temporary directory, where it does no harm.
            Leftovers::Directory(directory) => drop(std::fs::remove_dir_all(directory)),
            Leftovers::Database(server, name) => {
                let url = server.url("postgres");
                let text = format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)");
                // A thread of its own, because this one may be inside a runtime already.
                let dropping = std::thread::spawn(move || {
                    tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .expect("a runtime")
                        .block_on(execute(&url, text));
                });
                drop(dropping.join());
            }
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
