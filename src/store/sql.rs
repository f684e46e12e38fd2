//! Statements that take many rows: one text for both databases, but for how a parameter is written, for
//! what SQLite alone is told in a comment, and that SQLite takes several at once.
//!
//! `QueryBuilder<Any>` writes `?`, which PostgreSQL refuses, so the texts are written here, once for
//! each number of rows: with `$1, $2, …` for PostgreSQL, and with `?` for SQLite, where a number is a
//! name, and the driver's search for each name costs the square of how many there are. Only a few
//! numbers of rows are used, so that the prepared statements stay in the connection's cache.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::engine::Engine;
use super::write_connection::WriteTransaction;

/// A value to bind. Texts are shared, so that the writer, which everybody waits for and which may
/// have to write twice, copies none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(Arc<str>),
    OptionalText(Option<Arc<str>>),
    Integer(i64),
    OptionalInteger(Option<i64>),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Self::Text(text)
    }
}

impl From<&Arc<str>> for Value {
    fn from(text: &Arc<str>) -> Self {
        Self::Text(Arc::clone(text))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::OptionalText(text.map(Arc::from))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::OptionalInteger(number)
    }
}

pub(super) type Query<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

/// Binds `value` to the next number of a statement that reads.
pub(super) fn bind<'q>(query: Query<'q>, value: &Value) -> Query<'q> {
    match value {
        Value::Text(text) => query.bind(String::from(&**text)),
        Value::OptionalText(text) => query.bind(text.as_deref().map(String::from)),
        Value::Integer(number) => query.bind(*number),
        Value::OptionalInteger(number) => query.bind(*number),
    }
}

/// A statement with a list of rows in it.
#[derive(Debug)]
pub(super) struct ManyRows {
    /// Names it in the cache.
    pub(super) name: &'static str,
    /// What comes before the rows; may hold what SQLite alone is told ([`for_engine`]).
    pub(super) before: &'static str,
    /// One row: each `?` is the next parameter.
    pub(super) row: &'static str,
    /// What comes after the rows; may hold what SQLite alone is told.
    pub(super) after: &'static str,
    /// What makes it say which rows it wrote; empty when nobody asks.
    pub(super) returning: &'static str,
}

/// The numbers of rows that statements are made for: so many that few pieces are needed, since each
/// is a way to the database's thread or process and back, and so few that all are kept prepared.
const SIZES: [usize; 26] = [
    128, 112, 96, 80, 64, 56, 48, 40, 32, 24, 20, 16, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1,
];

/// The texts that a connection for writing keeps prepared: for each size seven statements, three of
/// them with rows in return too, and three texts of several; and some others.
pub(super) const KEPT_PREPARED: usize = SIZES.len() * 13 + 40;

/// The texts made so far.
#[derive(Debug)]
pub(super) struct Texts {
    engine: Engine,
    /// By the statements' names, how many rows each has, and whether they return rows.
    made: HashMap<(Names, usize, bool), Arc<str>>,
}

/// The names of statements that go together; empty behind the last.
type Names = [&'static str; MOST_TOGETHER];

/// The most statements that go together.
const MOST_TOGETHER: usize = 4;

/// A statement and its rows.
pub(super) struct Part<'r> {
    pub(super) statement: &'static ManyRows,
    pub(super) rows: Vec<&'r [Value]>,
}

/// What a statement with many rows did.
#[derive(Default)]
pub(super) struct Ran {
    /// How many rows it wrote.
    pub(super) count: usize,
    /// What it returned, when that was asked for.
    pub(super) returned: Vec<AnyRow>,
}

impl Texts {
    pub(super) fn new(engine: Engine) -> Self {
        Self {
            engine,
            made: HashMap::new(),
        }
    }

    fn text<'s>(
        &mut self,
        statements: impl Iterator<Item = &'s ManyRows> + Clone,
        rows: usize,
        returning: bool,
    ) -> Arc<str> {
        let engine = self.engine;
        let mut names = Names::default();
        for (name, statement) in names.iter_mut().zip(statements.clone()) {
            *name = statement.name;
        }
        let made = || {
            let texts: Vec<String> = statements
                .clone()
                .map(|statement| many_rows_text(engine, statement, rows, returning))
                .collect();
            texts.join("; ").into()
        };
        self.made
            .entry((names, rows, returning))
            .or_insert_with(made)
            .clone()
    }

    /// Runs the statements of all `parts`, which have as many rows each, and gives how many rows they
    /// wrote in all. They go together, as a text of several statements, which only SQLite takes: each
    /// text is a way to its thread and back, on which everybody waits.
    pub(super) async fn run_together(
        &mut self,
        transaction: &mut WriteTransaction<'_>,
        parts: &[Part<'_>],
    ) -> Result<usize, sqlx::Error> {
        let all = parts.first().map_or(0, |part| part.rows.len());
        debug_assert!(
            parts.len() <= MOST_TOGETHER && parts.iter().all(|part| part.rows.len() == all),
            "statements that go together have as many rows each"
        );
        let (mut begin, mut count) = (0, 0);
        while begin < all {
            let end = begin + piece_of(all - begin);
            let statements = parts.iter().map(|part| part.statement);
            let text = AssertSqlSafe(self.text(statements, end - begin, false));
            let rows: Vec<&[Value]> = parts
                .iter()
                .flat_map(|part| part.rows.get(begin..end).unwrap_or_default())
                .copied()
                .collect();
            let written = transaction.execute(text, &rows).await?;
            count += usize::try_from(written).unwrap_or(usize::MAX);
            begin = end;
        }
        Ok(count)
    }

    /// Runs `statement` for all `rows`, in as many pieces as needed. Rows in return are asked for
    /// only when they are needed: each is a message between two threads or processes.
    pub(super) async fn run(
        &mut self,
        transaction: &mut WriteTransaction<'_>,
        statement: &ManyRows,
        rows: &[&[Value]],
        returning: bool,
    ) -> Result<Ran, sqlx::Error> {
        let mut ran = Ran::default();
        let mut rest = rows;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(piece_of(rest.len()));
            rest = after;
            let statement = std::iter::once(statement);
            let text = AssertSqlSafe(self.text(statement, piece.len(), returning));
            if returning {
                let returned = transaction.fetch(text, piece).await?;
                ran.count += returned.len();
                ran.returned.extend(returned);
            } else {
                let count = transaction.execute(text, piece).await?;
                ran.count += usize::try_from(count).unwrap_or(usize::MAX);
            }
        }
        Ok(ran)
    }
}

/// What SQLite is told and PostgreSQL is not stands in a comment that begins so: how a table lies on the
/// disk, what a statement leaves behind when it fails.
const FOR_SQLITE: &str = "/*SQLITE ";

/// The text as the database is told it.
pub(super) fn for_engine(engine: Engine, text: &str) -> String {
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

/// How many of `rows` go into the next statement.
pub(super) fn piece_of(rows: usize) -> usize {
    SIZES.into_iter().find(|size| *size <= rows).unwrap_or(rows)
}

fn many_rows_text(engine: Engine, statement: &ManyRows, rows: usize, returning: bool) -> String {
    let mut text = for_engine(engine, statement.before);
    let mut number = 0_usize;
    for row in 0..rows {
        if row > 0 {
            text.push_str(", ");
        }
        for character in statement.row.chars() {
            if character == '?' && engine == Engine::Postgres {
                number += 1;
                // Writing to a String can't fail.
                let _ = write!(text, "${number}");
            } else {
                text.push(character);
            }
        }
    }
    text.push_str(&for_engine(engine, statement.after));
    if returning {
        text.push_str(statement.returning);
    }
    text
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

/// The bytes of lower-case hex; `None` for anything else.
pub(super) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair.first()?)? << 4 | digit(pair.get(1)?)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_gets_its_own_parameters() {
        let statement = ManyRows {
            name: "x",
            before: "INSERT INTO t (a, b, c) VALUES ",
            row: "(?, ?, 0)",
            after: " ON CONFLICT DO NOTHING",
            returning: " RETURNING a",
        };
        for (engine, rows) in [
            (Engine::Postgres, "($1, $2, 0), ($3, $4, 0)"),
            (Engine::Sqlite, "(?, ?, 0), (?, ?, 0)"),
        ] {
            let without = format!("INSERT INTO t (a, b, c) VALUES {rows} ON CONFLICT DO NOTHING");
            let text = |returning| many_rows_text(engine, &statement, 2, returning);
            assert_eq!(text(false), without);
            assert_eq!(text(true), format!("{without} RETURNING a"));
        }
    }

    #[test]
    fn what_is_for_sqlite_is_a_comment_elsewhere() {
        let text = "CREATE TABLE a (b TEXT) /*SQLITE WITHOUT ROWID */; /* c */ /*SQLITE d*/";
        assert_eq!(
            for_engine(Engine::Sqlite, text),
            "CREATE TABLE a (b TEXT) WITHOUT ROWID ; /* c */ d"
        );
        assert_eq!(for_engine(Engine::Postgres, text), text);
    }

    #[test]
    fn hex_reads_back_and_nothing_else_does() {
        assert_eq!(from_hex::<3>(&hex(&[0, 171, 255])), Some([0, 171, 255]));
        for text in ["", "00ab", "00ABff", "00ab+f", "00abfff"] {
            assert_eq!(from_hex::<3>(text), None, "{text}");
        }
    }
}
