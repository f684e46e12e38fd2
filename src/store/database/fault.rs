//! What an error of the database means to the writer and to a reader.

use super::engine::Engine;
use crate::store::error::StoreError;

/// What an error of the database calls for.
#[derive(Debug)]
pub(in crate::store) enum Fault {
    /// The same transaction may succeed at once: a deadlock, a lock held too long.
    Retryable(String),
    /// The connection or the database is gone. The transaction was not committed.
    Lost(String),
    /// The COMMIT was sent and not confirmed.
    CommitUnknown(String),
    /// A statement was refused, and would be again.
    Refused(StoreError),
    /// A row was not written, and the statement did not say which one.
    Conflict,
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
pub(in crate::store) fn fault(engine: Engine, error: &sqlx::Error) -> Fault {
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
        Meaning::Retryable => Fault::Retryable(reason),
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
    /// The error that a reader gets.
    pub(in crate::store) fn into_reading_error(self) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Retryable(reason) | Self::Lost(reason) | Self::CommitUnknown(reason) => {
                StoreError::Unavailable { reason }
            }
            Self::Conflict => StoreError::Unavailable {
                reason: "a record was in two states at once".into(),
            },
        }
    }
}

/// The error that a reader gets for an error of the database.
pub(in crate::store) fn reading_error(engine: Engine, error: &sqlx::Error) -> StoreError {
    fault(engine, error).into_reading_error()
}

enum Meaning {
    Retryable,
    Lost,
    Refused,
}

/// Primary result codes are the low byte of the extended ones (sqlite.org/rescode.html).
fn sqlite_meaning(code: i64) -> Meaning {
    match code & 0xff {
        SQLITE_BUSY | SQLITE_LOCKED => Meaning::Retryable,
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
        "40001" | "40P01" | "55P03" | "57014" => Meaning::Retryable,
        "25006" => Meaning::Lost,
        _ if LOST_CLASSES.iter().any(|class| code.starts_with(class)) => Meaning::Lost,
        _ => Meaning::Refused,
    }
}
