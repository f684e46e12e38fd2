//! A PostgreSQL that is started once for the test process and stops with it, however that ends.
//!
//! Where `PAYSWITCH_TEST_POSTGRES` is set (`postgres://USER@HOST:PORT/DATABASE`, a superuser), that server is used
//! instead. A test that finds no PostgreSQL fails: nothing is skipped. The tests of the whole program have this file,
//! too.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::str::FromStr as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, AssertSqlSafe, ConnectOptions as _, Connection as _};

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
"$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -o "-k $dir -c listen_addresses= -c max_connections=300 -c fsync=off" \
    start >"$dir/start" 2>&1 || { cat "$dir/start" "$dir/log"; exit 1; }
echo ready
cat >/dev/null || true
"#;

/// It begins above the numbers that databases of earlier versions in tests hold.
static COUNTER: AtomicU64 = AtomicU64::new(1_000);

/// A number that no other call in this process gets.
pub(crate) fn unique() -> u64 {
    COUNTER.fetch_add(1, Ordering::Relaxed)
}

/// A name that nothing else on this machine has.
pub(crate) fn fresh_name(what: &str) -> String {
    format!("payswitch-{what}-{}-{}", std::process::id(), unique())
}

/// A running PostgreSQL.
#[derive(Debug)]
pub(crate) struct Server {
    /// What comes before and after the database's name.
    before: String,
    after: String,
    /// While it is open the server runs.
    _running: Option<(Child, ChildStdin)>,
}

impl Server {
    pub(crate) fn url(&self, database: &str) -> String {
        format!("{}{database}{}", self.before, self.after)
    }

    /// Makes a database as a copy of `template`, which may go on with options of its own.
    pub(crate) async fn create_database(&self, template: &str) -> String {
        let name = fresh_name("test");
        let text = format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\"");
        execute(&self.url("postgres"), text).await;
        name
    }

    /// Drops a database. What can't be dropped goes with the server.
    pub(crate) fn drop_database(&self, name: &str) {
        let url = self.url("postgres");
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

    fn start() -> Self {
        let directory = folder().join(fresh_name("postgres"));
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
            .args([directory.as_os_str(), programs().as_os_str()])
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
                    _running: Some((child, stdin)),
                };
            }
        }
        let ended = child.wait();
        panic!("PostgreSQL did not start ({ended:?}), and the tests need it:\n{said}");
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
}

/// The one server of this process.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| match std::env::var("PAYSWITCH_TEST_POSTGRES") {
        Ok(url) => Server::given(&url),
        Err(_) => Server::start(),
    })
}

/// Where the server keeps its files: in memory if there is room, for each database is hundreds of files that are made and
/// removed.
fn folder() -> PathBuf {
    const KIB_IN_MEMORY: u64 = 4 * 1024 * 1024;
    let mut df = Command::new("df");
    let df = df.args(["-k", "--output=avail", "/dev/shm"]).output();
    let free = df.ok().and_then(|df| {
        let said = String::from_utf8(df.stdout).ok()?;
        said.lines().last()?.trim().parse::<u64>().ok()
    });
    match free {
        Some(free) if free >= KIB_IN_MEMORY => "/dev/shm".into(),
        _ => std::env::temp_dir(),
    }
}

pub(crate) fn is_root() -> bool {
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

/// A connection to SQLite or PostgreSQL.
pub(crate) async fn connect(url: &str) -> AnyConnection {
    AnyConnectOptions::from_str(url)
        .expect("a URL")
        .connect()
        .await
        .expect("a connection to the database")
}

/// Runs one statement on a connection of its own.
pub(crate) async fn execute(url: &str, text: String) {
    let mut connection = connect(url).await;
    sqlx::raw_sql(AssertSqlSafe(text.clone()))
        .execute(&mut connection)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    connection.close().await.expect("a connection closes");
}
