//! The two databases, and the words of SQL that are for SQLite only.

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Engine {
    Sqlite,
    Postgres,
}

/// Begins a comment whose content is SQL for SQLite: how a table is stored, what a failed statement
/// leaves behind. PostgreSQL reads a comment.
const FOR_SQLITE: &str = "/*SQLITE ";

/// `text` with the SQL in its SQLite comments uncovered, on SQLite.
pub(in crate::store) fn for_engine(engine: Engine, text: &str) -> String {
    let mut parts = text.split(FOR_SQLITE);
    let mut uncovered = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match (engine, part.split_once("*/")) {
            (Engine::Sqlite, Some((marked, rest))) => uncovered.extend([marked, rest]),
            _ => uncovered.extend([FOR_SQLITE, part]),
        }
    }
    uncovered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_for_sqlite_is_a_comment_elsewhere() {
        let text = "CREATE TABLE a (b TEXT) /*SQLITE WITHOUT ROWID */; /* c */ /*SQLITE d*/";
        assert_eq!(
            for_engine(Engine::Sqlite, text),
            "CREATE TABLE a (b TEXT) WITHOUT ROWID ; /* c */ d"
        );
        assert_eq!(for_engine(Engine::Postgres, text), text);
    }
}
