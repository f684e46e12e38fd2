//! A database for each test: a SQLite file, or one on a PostgreSQL that is started once for the test
//! process and stops with it, however that ends.
//!
//! Where `PAYSWITCH_TEST_POSTGRES` is set (`postgres://USER@HOST:PORT/DATABASE`, a superuser), that
//! server is used instead. A test that finds no PostgreSQL fails: nothing is skipped.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::str::FromStr as _;
use std::sync::OnceLock;

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::harness::{TempFolder, unique};

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

/// Every table that a payment may leave something in.
const TABLES_OF_PAYMENTS: [&str; 7] = [
    "payments",
    "operations",
    "idempotency",
    "used_envelopes",
    "reversals",
    "late_responses",
    "quarantine",
];

impl Database {
    pub(crate) async fn fresh(engine: Engine, folder: &Path) -> Self {
        sqlx::any::install_default_drivers();
        match engine {
            Engine::Sqlite => Self::Sqlite(folder.join("payswitch.db")),
            Engine::Postgres => {
                let server = server();
                let name = format!("test-{}-{}", std::process::id(), unique());
                let text = format!("CREATE DATABASE \"{name}\" TEMPLATE template0");
                execute(&server.url("postgres"), text).await;
                Self::Postgres(server, name)
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

    /// How many rows the payments have left, in each table that they may leave some in.
    pub(crate) async fn rows_of_payments(&self) -> Vec<(&'static str, i64)> {
        let mut rows = Vec::new();
        for table in TABLES_OF_PAYMENTS {
            rows.push((table, self.count(table).await));
        }
        rows
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Self::Postgres(server, name) = self {
            let url = server.url("postgres");
            let text = format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)");
            // A thread of its own, because this one may be inside a runtime already. What can't be
            // dropped goes with the server.
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

async fn connect(url: &str) -> AnyConnection {
    AnyConnectOptions::from_str(url)
        .expect("a URL")
        .connect()
        .await
        .expect("a connection to the database")
}

async fn execute(url: &str, text: String) {
    let mut connection = connect(url).await;
    sqlx::raw_sql(AssertSqlSafe(text.clone()))
        .execute(&mut connection)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    connection.close().await.expect("a connection closes");
}

/// Starts a server in `$1` with the programs in `$2`, says "ready", and stops it when its standard
/// input ends.
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
"$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w \
    -o "-k $dir -c listen_addresses= -c max_connections=300 -c fsync=off" \
    start >"$dir/start" 2>&1 || { cat "$dir/start" "$dir/log"; exit 1; }
echo ready
cat >/dev/null || true
"#;

/// A running PostgreSQL.
#[derive(Debug)]
pub(crate) struct Server {
    /// What comes before and after the database's name.
    before: String,
    after: String,
    /// While it is open the server runs.
    _running: Option<(Child, ChildStdin)>,
}

/// The one server of this process.
fn server() -> &'static Server {
    static RUNNING: OnceLock<Server> = OnceLock::new();
    RUNNING.get_or_init(|| match std::env::var("PAYSWITCH_TEST_POSTGRES") {
        Ok(url) => Server::given(&url),
        Err(_) => Server::start(),
    })
}

impl Server {
    fn url(&self, database: &str) -> String {
        format!("{}{database}{}", self.before, self.after)
    }

    fn given(url: &str) -> Self {
        let (rest, query) = url.split_once('?').unwrap_or((url, ""));
        let (before, _) = rest
            .rsplit_once('/')
            .expect("postgres://USER@HOST:PORT/DATABASE");
        let query = Some(query).filter(|query| !query.is_empty());
        Self {
            before: format!("{before}/"),
            after: query.map_or(String::new(), |query| format!("?{query}")),
            _running: None,
        }
    }

    fn start() -> Self {
        let folder = TempFolder::name_for("postgres");
        // PostgreSQL refuses to run as root; its Debian package has made a user for it.
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        let mut child = command
            .args(["-c", SERVER, "sh"])
            .args([folder.as_os_str(), programs().as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("a shell to start PostgreSQL from");
        let stdin = child.stdin.take().expect("the shell's standard input");
        let output = child.stdout.take().expect("the shell's standard output");
        let mut said = String::new();
        let mut lines = BufReader::new(output);
        while !said.ends_with("ready\n") {
            let read = lines.read_line(&mut said).expect("what the shell says");
            if read == 0 {
                let status = child.wait();
                panic!("PostgreSQL did not start, and the tests need it: {status:?}\n{said}");
            }
        }
        Self {
            before: "postgres://payswitch@localhost/".into(),
            after: format!("?host={}", folder.display()),
            _running: Some((child, stdin)),
        }
    }
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

/// Where `initdb` and `pg_ctl` are: the newest of Debian's versions.
fn programs() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("the tests need PostgreSQL (Debian package postgresql); scripts/test installs it")
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop().expect("initdb in /usr/lib/postgresql/*/bin")
}
