//! The two databases, and the few words of SQL that only one of them is told.

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Engine {
    Sqlite,
    Postgres,
}

/// What SQLite is told and PostgreSQL is not stands in a comment that begins so: how a table lies on the
/// disk, what a statement leaves behind when it fails.
const FOR_SQLITE: &str = "/*SQLITE ";

/// The text as the database is told it.
pub(in crate::store) fn for_engine(engine: Engine, text: &str) -> String {
    let mut parts = text.split(FOR_SQLITE);
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match (engine, part.split_once("*/")) {
            (Engine::Sqlite, Some((marked, rest))) => told.extend([marked, rest]),
            _ => told.extend([FOR_SQLITE, part]),
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_sqlite_is_a_comment_elsewhere() {
        let text = "CREATE TABLE a (b TEXT) /*SQLITE WITHOUT ROWID */; /* c */ /*SQLITE d*/";
        assert_eq!(
            for_engine(Engine::Sqlite, text),
            "CREATE TABLE a (b TEXT) WITHOUT ROWID ; /* c */ d"
        );
        assert_eq!(for_engine(Engine::Postgres, text), text);
    }
}
