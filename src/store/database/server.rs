//! What payswitch needs of a PostgreSQL server, beyond that it answers: the encoding, and sessions of its own.

use std::fmt;

use super::Database;
use super::connection::NativeConnection;
use super::engine::Engine;
use super::fault::reading_error;
use crate::store::error::StoreError;

/// The encoding that holds every text that a merchant or a bank may send.
const ENCODING: &str = "UTF8";
/// How often each of two sessions is asked for its backend: a pooler that takes its backends in turn may give each
/// session the same one twice.
const ASKED: usize = 3;

/// The server or the way to it does not do, although it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unfit {
    Encoding,
    Pooler,
}

impl Unfit {
    const fn expected(self) -> &'static str {
        match self {
            Self::Encoding => "a database in UTF8 (`createdb -T template0 -E UTF8 NAME`)",
            Self::Pooler => {
                "sessions of its own on the PostgreSQL server: the server's own host and port in store.url, or a pooler \
                 in session mode"
            }
        }
    }

    fn got(self, got: impl fmt::Display) -> StoreError {
        StoreError::Configuration {
            expected: self.expected(),
            got: got.to_string(),
        }
    }
}

/// Refuses a database whose encoding can't hold every text, and a pooler that gives the sessions of payswitch to
/// others between two transactions: with them go the settings and prepared statements that each session has.
///
/// It sets nothing in the sessions that it opens, because a pooler would hand that on.
pub(in crate::store) async fn check(database: &Database) -> Result<(), StoreError> {
    if database.engine == Engine::Sqlite {
        return Ok(());
    }
    let mut one = database.connect_unset().await?;
    let mut other = database.connect_unset().await?;
    let encoding = ask(&mut one, "SELECT current_setting('server_encoding')").await?;
    if encoding != ENCODING {
        return Err(Unfit::Encoding.got(encoding));
    }
    let mut backends = Vec::with_capacity(ASKED);
    for _ in 0..ASKED {
        backends.push((backend(&mut one).await?, backend(&mut other).await?));
    }
    // What was asked is answered, whatever closing says.
    let _ = (one.close().await, other.close().await);
    if are_own(&backends) {
        Ok(())
    } else {
        Err(Unfit::Pooler.got(format!(
            "a pooler in transaction mode: two sessions were on the backends {}",
            shown(&backends)
        )))
    }
}

/// Whether both sessions kept one backend each.
fn are_own(backends: &[(String, String)]) -> bool {
    let Some((one, other)) = backends.first() else {
        return false;
    };
    one != other
        && backends
            .iter()
            .all(|pair| (&pair.0, &pair.1) == (one, other))
}

fn shown(backends: &[(String, String)]) -> String {
    let pairs = backends
        .iter()
        .map(|(one, other)| format!("{one} and {other}"));
    pairs.collect::<Vec<_>>().join(", then ")
}

async fn backend(connection: &mut NativeConnection) -> Result<String, StoreError> {
    ask(connection, "SELECT CAST(pg_backend_pid() AS TEXT)").await
}

/// The one text that a statement gives. It is not prepared, because a pooler may lose it meanwhile.
pub(in crate::store) async fn ask(
    connection: &mut NativeConnection,
    text: &'static str,
) -> Result<String, StoreError> {
    let asked = connection.ask_text(text).await;
    asked.map_err(|error| reading_error(Engine::Postgres, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::testing::{TestDatabase, migrate, open, server};

    #[test]
    fn sessions_that_share_or_change_backends_are_a_poolers() {
        let pairs = |backends: &[(&str, &str)]| {
            let owned = |(one, other): &(&str, &str)| ((*one).to_owned(), (*other).to_owned());
            backends.iter().map(owned).collect::<Vec<_>>()
        };
        for (backends, own) in [
            (&[("1", "2"), ("1", "2"), ("1", "2")][..], true),
            (&[("1", "1"), ("1", "1"), ("1", "1")], false),
            (&[("1", "2"), ("1", "2"), ("2", "1")], false),
            (&[("1", "2"), ("3", "1"), ("2", "3")], false),
            (&[], false),
        ] {
            assert_eq!(are_own(&pairs(backends)), own, "{backends:?}");
        }
    }

    #[tokio::test]
    async fn a_database_in_another_encoding_is_refused() {
        let template = "template0\" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE \"C";
        let database = TestDatabase::postgres_from(server(), template).await;
        let expected = Unfit::Encoding.got("LATIN1");
        assert_eq!(migrate(&database.config).await, Err(expected.clone()));
        let opened: Result<Store, _> = open(&database.config).await;
        assert_eq!(opened.err(), Some(expected));
    }

    #[tokio::test]
    async fn a_server_that_does_is_taken() {
        let database = TestDatabase::postgres().await;
        let database = Database::of(&database.config).unwrap();
        assert_eq!(check(&database).await, Ok(()));
    }
}
