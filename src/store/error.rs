//! What can go wrong in the store, and what each error of a database means.

use super::engine::Engine;

/// Why the store did not do what was asked. Where nothing else is said, nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The settings name no database that can be used.
    #[error("expected {expected}, got {got:?}")]
    Configuration {
        /// What the setting should look like.
        expected: &'static str,
        /// What it was, without any password.
        got: String,
    },
    /// The database's schema is not the one this program was built for.
    #[error("the database has schema version {found}, this program needs {needed}: {advice}")]
    Schema {
        /// The version found, 0 when there is none.
        found: i64,
        /// The version needed.
        needed: i64,
        /// What to do.
        advice: &'static str,
    },
    /// A migration that was applied is not the one this program carries.
    #[error(
        "migration {version} of the database has the checksum {found}, this program carries {carried}"
    )]
    MigrationChanged {
        /// The migration's number.
        version: i64,
        /// The checksum in the database.
        found: String,
        /// The checksum of the text in the program.
        carried: String,
    },
    /// Another process has the SQLite file open.
    #[error("another gateway holds {path}; one SQLite file serves one gateway at a time")]
    Locked {
        /// The lock file.
        path: String,
    },
    /// A file could not be made or opened.
    #[error("could not {what} {path}: {reason}")]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: String,
        /// What the operating system said.
        reason: String,
    },
    /// The database can't be reached or does not work at the moment.
    #[error("the database is not available: {reason}")]
    Unavailable {
        /// What it said.
        reason: String,
    },
    /// More records wait than the settings allow.
    #[error("{waiting} records wait for the database already")]
    Busy {
        /// How many wait.
        waiting: usize,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A row holds something that no version of this program wrote.
    #[error("table {table}, row {row}: column {column} holds {got:?}; {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
        /// The value, cut to 60 characters.
        got: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something with this identity is there already.
    #[error("{what} is there already: {reason}")]
    Conflict {
        /// What was to be written.
        what: &'static str,
        /// What the database said.
        reason: String,
    },
    /// There is no such row.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Its identity.
        id: String,
    },
    /// The record is not one that may be written.
    #[error("expected {expected}, got {got}")]
    Invalid {
        /// What it should be.
        expected: &'static str,
        /// What it is.
        got: String,
    },
    /// The database refused a statement, and would again.
    #[error("the database refused the record: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
    /// The numbers of a host are used up for a business date.
    #[error("the numbers of host {host} for {date} are used up")]
    SequenceExhausted {
        /// The host.
        host: String,
        /// The business date.
        date: String,
    },
    /// The record may or may not have been written: the database went away while it committed.
    #[error("the record may or may not have been written: {reason}")]
    OutcomeUnknown {
        /// What happened.
        reason: String,
    },
}

/// What an error of the database calls for.
#[derive(Debug)]
pub(super) enum Fault {
    /// The same transaction may succeed at once: a deadlock, a lock held too long.
    Again(String),
    /// The connection or the database is gone. The transaction was not committed.
    Lost(String),
    /// The COMMIT was sent and not confirmed.
    Uncertain(String),
    /// A statement was refused, and would be again.
    Refused(StoreError),
    /// Of an outcome's two rows only one could be changed.
    Torn,
    /// Something stands in a record's way, and what it is was not asked.
    Hindered,
}

const SQLITE_BUSY: i64 = 5;
const SQLITE_LOCKED: i64 = 6;
const SQLITE_READONLY: i64 = 8;
const SQLITE_IOERR: i64 = 10;
const SQLITE_CORRUPT: i64 = 11;
const SQLITE_FULL: i64 = 13;
const SQLITE_CANTOPEN: i64 = 14;
const SQLITE_NOTADB: i64 = 26;

/// What an error before COMMIT means.
pub(super) fn fault(engine: Engine, error: &sqlx::Error) -> Fault {
    let reason = error.to_string();
    let Some(database) = error.as_database_error() else {
        return match error {
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::Encode(_)
            | sqlx::Error::RowNotFound => Fault::Refused(StoreError::Refused { reason }),
            _ => Fault::Lost(reason),
        };
    };
    let code = database.code().unwrap_or_default();
    let meaning = match engine {
        Engine::Sqlite => sqlite_meaning(code.parse::<i64>().unwrap_or_default()),
        Engine::Postgres => postgres_meaning(&code),
    };
    match meaning {
        Meaning::Again => Fault::Again(reason),
        Meaning::Lost => Fault::Lost(reason),
        Meaning::Refused if database.is_unique_violation() => {
            Fault::Refused(StoreError::Conflict {
                what: "a record with this identity",
                reason,
            })
        }
        Meaning::Refused => Fault::Refused(StoreError::Refused { reason }),
    }
}

impl Fault {
    /// What it means to a reader.
    pub(super) fn into_reading_error(self) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Again(reason) | Self::Lost(reason) | Self::Uncertain(reason) => {
                StoreError::Unavailable { reason }
            }
            Self::Torn | Self::Hindered => StoreError::Unavailable {
                reason: "a record was in two states at once".into(),
            },
        }
    }
}

/// What an error that a reader met means.
pub(super) fn reading_error(engine: Engine, error: &sqlx::Error) -> StoreError {
    fault(engine, error).into_reading_error()
}

enum Meaning {
    Again,
    Lost,
    Refused,
}

/// Primary result codes are the low byte of the extended ones (sqlite.org/rescode.html).
fn sqlite_meaning(code: i64) -> Meaning {
    match code & 0xff {
        SQLITE_BUSY | SQLITE_LOCKED => Meaning::Again,
        SQLITE_READONLY | SQLITE_IOERR | SQLITE_CORRUPT | SQLITE_FULL | SQLITE_CANTOPEN
        | SQLITE_NOTADB => Meaning::Lost,
        _ => Meaning::Refused,
    }
}

/// SQLSTATE classes for which only another connection, or another state of the server, can help
/// (PostgreSQL 15 manual, appendix A): 08 connection, 28 and 3D not let in, 53 no resources, 55 not
/// in a state to serve, 57 shutting down, 58 and XX faults of its own. 25006 is a node that was
/// demoted to read only.
const LOST_CLASSES: [&str; 8] = ["08", "28", "3D", "53", "55", "57", "58", "XX"];

fn postgres_meaning(code: &str) -> Meaning {
    match code {
        // Serialization failure, deadlock, lock timeout, statement timeout.
        "40001" | "40P01" | "55P03" | "57014" => Meaning::Again,
        "25006" => Meaning::Lost,
        _ if LOST_CLASSES.iter().any(|class| code.starts_with(class)) => Meaning::Lost,
        _ => Meaning::Refused,
    }
}
