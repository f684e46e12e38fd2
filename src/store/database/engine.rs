//! The two databases, and the words of SQL that are for one of them only.

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::store) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// Begins a comment whose content is SQL for this database: how a table is stored, what a failed statement
    /// leaves behind, what only one of them can say. The other one reads a comment.
    const fn comment(self) -> &'static str {
        match self {
            Self::Sqlite => "/*SQLITE ",
            Self::Postgres => "/*POSTGRES ",
        }
    }
}

/// `text` with the SQL in the comments for this database uncovered.
pub(in crate::store) fn for_engine(engine: Engine, text: &str) -> String {
    let mut parts = text.split(engine.comment());
    let mut uncovered = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("*/") {
            Some((marked, rest)) => uncovered.extend([marked, rest]),
            None => uncovered.extend([engine.comment(), part]),
        }
    }
    uncovered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_for_one_database_is_a_comment_elsewhere() {
        let text = "CREATE TABLE a (b TEXT) /*SQLITE WITHOUT ROWID */; /* c */ /*POSTGRES d*/";
        assert_eq!(
            for_engine(Engine::Sqlite, text),
            "CREATE TABLE a (b TEXT) WITHOUT ROWID ; /* c */ /*POSTGRES d*/"
        );
        assert_eq!(
            for_engine(Engine::Postgres, text),
            "CREATE TABLE a (b TEXT) /*SQLITE WITHOUT ROWID */; /* c */ d"
        );
    }
}
