//! What the database itself takes to load two files, to join them, and to write what comes out: nothing that reconciles can
//! be expected to be much faster. Its database is as durable as the gateway's.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokio::time::Instant;

use crate::database::{Database, Engine};
use crate::harness::TempFolder;
use crate::tools::{printed_by, tool};

/// The join. The order of the tables is the faster one for SQLite, which looks up the second one.
const JOIN: &str = "CREATE TABLE matched AS SELECT report.\"RRN\" AS rrn, ours.operation_id, report.\"Interchange\" \
    AS interchange, report.\"Scheme Fee\" AS scheme_fee, report.\"ARN\" AS acquirer_reference FROM ours JOIN report \
    ON report.\"RRN\" = ours.rrn AND report.\"Gross Credit\" = ours.amount AND report.\"Gross Currency\" = ours.currency";
const COUNT: &str = "SELECT COUNT(*) FROM matched";
/// As the gateway writes.
const DURABLE: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";

/// Does it where there is no `sqlite3`.
const IN_PYTHON: &str = r#"
import csv, sqlite3, sys
database, report, ours, join, count = sys.argv[1:]
connection = sqlite3.connect(database, isolation_level=None)
connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
for table, path in (("report", report), ("ours", ours)):
    with open(path, newline="") as lines:
        rows = csv.reader(lines)
        names = next(rows)
        columns = ", ".join(f'"{name}" TEXT' for name in names)
        connection.execute(f"CREATE TABLE {table} ({columns})")
        connection.execute("BEGIN")
        places = ", ".join("?" * len(names))
        connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)
        connection.execute("COMMIT")
connection.execute(join)
print(connection.execute(count).fetchone()[0])
"#;

/// By which program it is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bulk {
    Sqlite,
    Python,
    Psql,
}

impl Bulk {
    pub(super) fn new(engine: Engine) -> Self {
        if engine == Engine::Postgres {
            return Self::Psql;
        }
        match tool("sqlite3").arg("--version").output() {
            Ok(_) => Self::Sqlite,
            Err(_) => Self::Python,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite3 (.import, join, result)",
            Self::Python => "sqlite3 of Python (executemany, join, result)",
            Self::Psql => "psql (\\copy, join, result)",
        }
    }

    /// Does it in a database of its own, and says how long it took. So many lines must have found their item.
    pub(super) async fn run(self, report: &Path, ours: &Path, lines: u64) -> Duration {
        let folder = TempFolder::new("bulk");
        let engine = match self {
            Self::Psql => Engine::Postgres,
            Self::Sqlite | Self::Python => Engine::Sqlite,
        };
        let database = Database::fresh(engine, folder.path()).await;
        let mut command = self.command(&database, &folder, (report, ours));
        let began = Instant::now();
        let printed = printed_by(&mut command);
        let took = began.elapsed();
        let matched = printed.lines().last().and_then(|line| line.parse().ok());
        assert_eq!(matched, Some(lines), "{printed}");
        took
    }

    fn command(
        self,
        database: &Database,
        folder: &TempFolder,
        (report, ours): (&Path, &Path),
    ) -> Command {
        let (report, ours) = (report.display(), ours.display());
        let file = folder.path().join("payswitch.db");
        let script = folder.path().join("script.sql");
        let text = match self {
            Self::Python => {
                let mut command = tool("python3");
                command.args(["-c", IN_PYTHON]).arg(file);
                command.args([&report.to_string(), &ours.to_string(), JOIN, COUNT]);
                return command;
            }
            Self::Sqlite => format!(
                "{DURABLE}\n.mode csv\n.import '{report}' report\n.import '{ours}' ours\n{JOIN};\n{COUNT};\n"
            ),
            Self::Psql => {
                let mut names = String::new();
                let file = File::open(report.to_string()).expect("the report");
                BufReader::new(file)
                    .read_line(&mut names)
                    .expect("the names of its columns");
                let columns = names
                    .trim_end()
                    .split(',')
                    .map(|name| format!("\"{name}\" TEXT"));
                let columns = columns.collect::<Vec<_>>().join(", ");
                format!(
                    "CREATE TABLE report ({columns});\n\\copy report FROM '{report}' WITH (FORMAT csv, HEADER)\n\
                     CREATE TABLE ours (rrn TEXT, amount TEXT, currency TEXT, operation_id TEXT);\n\
                     \\copy ours FROM '{ours}' WITH (FORMAT csv, HEADER)\n{JOIN};\n{COUNT};\n"
                )
            }
        };
        std::fs::write(&script, text).expect("a script");
        let mut command;
        if self == Self::Psql {
            command = tool("psql");
            command.args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-d"]);
            command.arg(database.url()).arg("-f").arg(script);
        } else {
            command = tool("sqlite3");
            command
                .arg("-bail")
                .arg(file)
                .arg(format!(".read '{}'", script.display()));
        }
        command
    }
}
