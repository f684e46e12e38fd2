//! PgBouncer before the tests' PostgreSQL.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::database::Database;
use crate::demo::Process;
use crate::harness::{TempFolder, unique, until};
use crate::postgres::is_root;

/// A pooler that runs; it ends with the test.
pub(crate) struct Pooler {
    folder: PathBuf,
    _process: Process,
}

/// The name of its socket; it listens on no other address.
const PORT: &str = "6432";

impl Pooler {
    /// Starts one in this mode, which ignores these parameters of clients.
    pub(crate) async fn start(
        folder: &TempFolder,
        database: &Database,
        mode: &str,
        ignored: &str,
    ) -> Self {
        let own = folder.path().join(format!("pooler-{}", unique()));
        std::fs::create_dir(&own).expect("a folder");
        // PgBouncer refuses to run as root.
        std::fs::set_permissions(&own, PermissionsExt::from_mode(0o777)).expect("a folder");
        let at = |name: &str| own.join(name).display().to_string();
        std::fs::write(at("users"), "\"payswitch\" \"\"\n").expect("a file");
        let settings = format!(
            "[databases]\n* = {}\n[pgbouncer]\nlisten_port = {PORT}\nunix_socket_dir = {}\nauth_type = trust\n\
             auth_file = {}\npool_mode = {mode}\nignore_startup_parameters = {ignored}\n",
            server_of(database),
            own.display(),
            at("users"),
        );
        std::fs::write(at("pgbouncer.ini"), settings).expect("a file");
        let mut command = match is_root() {
            true => {
                // It becomes the pooler, so that the pooler ends with it.
                let mut command = Command::new("setpriv");
                command.args(["--reuid", "postgres", "--regid", "postgres"]);
                command.args(["--init-groups", "/usr/sbin/pgbouncer"]);
                command
            }
            false => Command::new("/usr/sbin/pgbouncer"),
        };
        let log = std::fs::File::create(at("log")).expect("a log");
        command
            .arg(at("pgbouncer.ini"))
            .stdout(Stdio::null())
            .stderr(log);
        let pooler = Self {
            _process: Process::start(&mut command),
            folder: own,
        };
        let socket = pooler.folder.join(format!(".s.PGSQL.{PORT}"));
        until("a pooler (Debian package pgbouncer)", async || {
            socket.exists()
        })
        .await;
        pooler
    }

    /// The database through it.
    pub(crate) fn url(&self, database: &Database) -> String {
        let url = database.url();
        let (url, _) = url.split_once('?').unwrap_or((&url, ""));
        let (_, name) = url.rsplit_once('/').expect("a name");
        format!(
            "postgres://payswitch@localhost:{PORT}/{name}?host={}",
            self.folder.display()
        )
    }
}

/// Where the server is, as the pooler's settings have it.
fn server_of(database: &Database) -> String {
    let url = database.url();
    if let Some((_, folder)) = url.split_once("?host=") {
        return format!("host={folder}");
    }
    let (_, place) = url.rsplit_once('@').expect("a host");
    let (place, _) = place.split_once('/').expect("a host");
    let (host, port) = place.rsplit_once(':').unwrap_or((place, "5432"));
    format!("host={host} port={port}")
}
