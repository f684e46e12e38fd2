//! Statements that take many rows. The text is one for both databases, with three exceptions: how a
//! parameter is written, comments with SQL for one of them, and that SQLite takes several statements at once.
//!
//! `QueryBuilder<Any>` writes `?`, which PostgreSQL refuses. So the texts are built here, once for each
//! number of rows: with `$1, $2, …` for PostgreSQL and with `?` for SQLite. (On SQLite a number is a name,
//! and the driver's search for names takes the square of their count.) Only a few numbers of rows are
//! used, so that the prepared statements stay in the connection's cache.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::connection::{NativeTransaction, Statement};
use super::engine::{Engine, for_engine};
use super::fault::{Fault, fault};
use super::value::Value;
use crate::random::{HashMap, HashSet};

/// A statement with a list of rows in it.
#[derive(Debug)]
pub(in crate::store) struct ManyRows {
    /// Names it in the cache.
    pub(in crate::store) name: &'static str,
    /// The text before the rows, with comments for one database ([`for_engine`]); `{rows}` is how many rows there
    /// are.
    pub(in crate::store) before: &'static str,
    /// One row: each `?` is the next parameter, `#` the row's number, from 0.
    pub(in crate::store) row: &'static str,
    /// The text after the rows, as the one before them.
    pub(in crate::store) after: &'static str,
    /// The clause that returns the written rows; empty when no caller asks for them.
    pub(in crate::store) returning: &'static str,
}

impl ManyRows {
    /// The statements that write `rows` beside the writer's own.
    pub(in crate::store) fn statements(
        &'static self,
        engine: Engine,
        mut rows: Vec<Vec<Value>>,
    ) -> Vec<Statement> {
        let mut statements = Vec::new();
        while !rows.is_empty() {
            let rest = rows.split_off(rows_per_statement(rows.len()));
            statements.push(Statement {
                text: self.lasting_text(engine, rows.len()),
                values: rows.into_iter().flatten().collect(),
                returning: false,
            });
            rows = rest;
        }
        statements
    }

    /// The text for so many rows. It stays: there is one for each of [`SIZES`].
    fn lasting_text(&'static self, engine: Engine, rows: usize) -> &'static str {
        type Built = HashMap<(&'static str, usize, Engine), &'static str>;
        static BUILT: LazyLock<Mutex<Built>> = LazyLock::new(Mutex::default);
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        let text = || &*many_rows_text(engine, self, rows, false).leak();
        built.entry((self.name, rows, engine)).or_insert_with(text)
    }
}

/// The numbers of rows that statements are built for: enough that most batches need one statement, since
/// each costs a round trip to the database, and few enough that all stay prepared.
const SIZES: [usize; 26] = [
    128, 112, 96, 80, 64, 56, 48, 40, 32, 24, 20, 16, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1,
];

/// The statements that the writer's connection keeps prepared: for each size twelve statements, five of them
/// also with RETURNING, three that only guarded payments need, three of events and journals, four of settlement
/// items, and nine texts of several statements; and some others.
pub(in crate::store) const KEPT_PREPARED: usize = SIZES.len() * 36 + 40;

/// The texts built so far.
#[derive(Debug)]
pub(in crate::store) struct Texts {
    engine: Engine,
    /// By the statements' names, how many rows each has, and whether they return rows.
    built: HashMap<(Names, usize, bool), Arc<str>>,
}

/// The names of statements that share a text; empty after the last.
type Names = [&'static str; MAX_STATEMENTS];

/// The most statements that share a text.
const MAX_STATEMENTS: usize = 4;

/// A statement and its rows.
pub(in crate::store) struct Part<'r> {
    pub(in crate::store) statement: &'static ManyRows,
    pub(in crate::store) rows: Vec<&'r [Value]>,
}

/// The result of a statement with many rows.
#[derive(Default)]
pub(in crate::store) struct ManyRowsResult {
    /// How many rows it wrote.
    pub(in crate::store) count: usize,
    /// The rows that it returned, if asked for.
    pub(in crate::store) returned: Vec<AnyRow>,
}

impl Texts {
    pub(in crate::store) fn new(engine: Engine) -> Self {
        Self {
            engine,
            built: HashMap::default(),
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
        let build = || {
            let texts: Vec<String> = statements
                .clone()
                .map(|statement| many_rows_text(engine, statement, rows, returning))
                .collect();
            texts.join("; ").into()
        };
        self.built
            .entry((names, rows, returning))
            .or_insert_with(build)
            .clone()
    }

    /// Runs the statements of all `parts` in their order, and returns how many rows they wrote in all. On
    /// SQLite the parts have the same number of rows. A part that does not write all its rows may be the last
    /// that runs.
    pub(in crate::store) async fn run_all(
        &mut self,
        transaction: &mut NativeTransaction<'_>,
        parts: &[Part<'_>],
    ) -> Result<usize, sqlx::Error> {
        let mut count = 0;
        match self.engine {
            Engine::Sqlite => {
                for parts in parts.chunks(MAX_STATEMENTS) {
                    count += self.run_together(transaction, parts).await?;
                }
            }
            Engine::Postgres => {
                for part in parts {
                    let ran = self.run(transaction, part.statement, &part.rows, false);
                    let written = ran.await?.count;
                    count += written;
                    if written < part.rows.len() {
                        break;
                    }
                }
            }
        }
        Ok(count)
    }

    /// Runs the statements of all `parts`, which have the same number of rows, and returns how many rows
    /// they wrote in all. The statements share a text, which only SQLite takes: each text costs a round
    /// trip to SQLite's thread.
    async fn run_together(
        &mut self,
        transaction: &mut NativeTransaction<'_>,
        parts: &[Part<'_>],
    ) -> Result<usize, sqlx::Error> {
        let all = parts.first().map_or(0, |part| part.rows.len());
        debug_assert!(
            parts.len() <= MAX_STATEMENTS && parts.iter().all(|part| part.rows.len() == all),
            "statements that share a text have the same number of rows"
        );
        let (mut begin, mut count) = (0, 0);
        while begin < all {
            let end = begin + rows_per_statement(all - begin);
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

    /// Runs `statement` for all `rows`, several times if needed. `returning` costs a message between two
    /// threads or processes for each row.
    pub(in crate::store) async fn run(
        &mut self,
        transaction: &mut NativeTransaction<'_>,
        statement: &ManyRows,
        rows: &[&[Value]],
        returning: bool,
    ) -> Result<ManyRowsResult, sqlx::Error> {
        let mut ran = ManyRowsResult::default();
        let mut rest = rows;
        while !rest.is_empty() {
            let (now, after) = rest.split_at(rows_per_statement(rest.len()));
            rest = after;
            let statement = std::iter::once(statement);
            let text = AssertSqlSafe(self.text(statement, now.len(), returning));
            if returning {
                let returned = transaction.fetch(text, now).await?;
                ran.count += returned.len();
                ran.returned.extend(returned);
            } else {
                let count = transaction.execute(text, now).await?;
                ran.count += usize::try_from(count).unwrap_or(usize::MAX);
            }
        }
        Ok(ran)
    }
}

/// The first column of each row.
pub(in crate::store) fn first_texts(
    engine: Engine,
    rows: &[AnyRow],
) -> Result<HashSet<Arc<str>>, Fault> {
    rows.iter()
        .map(|row| {
            row.try_get::<String, _>(0)
                .map(Arc::from)
                .map_err(|error| fault(engine, &error))
        })
        .collect()
}

/// How many of `rows` waiting rows the next statement takes.
pub(in crate::store) fn rows_per_statement(rows: usize) -> usize {
    SIZES.into_iter().find(|size| *size <= rows).unwrap_or(rows)
}

fn many_rows_text(engine: Engine, statement: &ManyRows, rows: usize, returning: bool) -> String {
    let around = |text| for_engine(engine, text).replace("{rows}", &rows.to_string());
    let mut text = around(statement.before);
    let mut number = 0_usize;
    for row in 0..rows {
        if row > 0 {
            text.push_str(", ");
        }
        for character in statement.row.chars() {
            // Writing to a String can't fail.
            let _ = match character {
                '?' if engine == Engine::Postgres => {
                    number += 1;
                    write!(text, "${number}")
                }
                '#' => write!(text, "{row}"),
                _ => text.write_char(character),
            };
        }
    }
    text.push_str(&around(statement.after));
    if returning {
        text.push_str(statement.returning);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_gets_its_own_parameters() {
        let statement = ManyRows {
            name: "x",
            before: "INSERT INTO t (a, b, c) VALUES ",
            row: "(?, ?, #)",
            after: " ON CONFLICT DO NOTHING /* {rows} */",
            returning: " RETURNING a",
        };
        for (engine, rows) in [
            (Engine::Postgres, "($1, $2, 0), ($3, $4, 1)"),
            (Engine::Sqlite, "(?, ?, 0), (?, ?, 1)"),
        ] {
            let without =
                format!("INSERT INTO t (a, b, c) VALUES {rows} ON CONFLICT DO NOTHING /* 2 */");
            let text = |returning| many_rows_text(engine, &statement, 2, returning);
            assert_eq!(text(false), without);
            assert_eq!(text(true), format!("{without} RETURNING a"));
        }
    }
}
