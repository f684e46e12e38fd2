//! A connection, of its database's own type: sqlx's `Any` copies each text twice more, and a payment binds
//! sixty values (docs/decisions/0008); nor can it interrupt a statement. The rows that statements return are
//! converted to `Any`'s, which are read the same way for both databases.

use std::sync::Arc;

use sqlx::any::AnyRow;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{
    Arguments as _, AssertSqlSafe, Connection as _, Executor as _, PgConnection, Postgres,
    Row as _, SqlSafeStr, Sqlite, SqliteConnection, Transaction,
};

#[cfg(test)]
use super::plans;
use super::value::Value;

/// About what a value takes on its way to PostgreSQL, its length included.
const TYPICAL_BYTES: usize = 24;

/// How many steps of its virtual machine SQLite takes before it asks whether it goes on: some tens of
/// microseconds.
const STEPS_UNASKED: i32 = 10_000;

/// A connection.
#[derive(Debug)]
pub(in crate::store) enum NativeConnection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl NativeConnection {
    /// Runs settings of a session: any number of statements.
    pub(in crate::store) async fn set(
        &mut self,
        settings: impl SqlSafeStr,
    ) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connection) => connection.execute(sqlx::raw_sql(settings)).await.map(drop),
            Self::Postgres(connection) => {
                connection.execute(sqlx::raw_sql(settings)).await.map(drop)
            }
        }
    }

    /// Has SQLite ask now and again, while a statement runs, whether it goes on.
    pub(in crate::store) async fn ask_whether(
        &mut self,
        goes_on: impl FnMut() -> bool + Send + 'static,
    ) -> Result<(), sqlx::Error> {
        if let Self::Sqlite(connection) = self {
            let mut handle = connection.lock_handle().await?;
            handle.set_progress_handler(STEPS_UNASKED, goes_on);
        }
        Ok(())
    }

    /// Runs a statement without preparing it, and gives the first text that it returns.
    pub(in crate::store) async fn ask_text(
        &mut self,
        text: &'static str,
    ) -> Result<String, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => connection.fetch_one(sqlx::raw_sql(text)).await?.try_get(0),
            Self::Postgres(connection) => {
                connection.fetch_one(sqlx::raw_sql(text)).await?.try_get(0)
            }
        }
    }

    /// Runs a statement outside a transaction and gives the rows that it returns. Its text stays prepared.
    pub(in crate::store) async fn fetch(
        &mut self,
        text: impl SqlSafeStr,
        values: &[Value],
    ) -> Result<Vec<AnyRow>, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => {
                let text = text.into_sql_str();
                #[cfg(test)]
                plans::check(connection, text.as_str()).await;
                let query = sqlx::query_with(text, sqlite_arguments(&[values])?);
                let rows = query.fetch_all(connection).await?;
                rows.iter().map(AnyRow::try_from).collect()
            }
            Self::Postgres(connection) => {
                let query = sqlx::query_with(text, postgres_arguments(&[values])?);
                let rows = query.fetch_all(connection).await?;
                rows.iter().map(AnyRow::try_from).collect()
            }
        }
    }

    pub(in crate::store) async fn begin(&mut self) -> Result<NativeTransaction<'_>, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(connection) => NativeTransaction::Sqlite(connection.begin().await?),
            Self::Postgres(connection) => NativeTransaction::Postgres(connection.begin().await?),
        })
    }

    pub(in crate::store) async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        }
    }
}

/// One statement and its values.
#[derive(Debug, Clone)]
pub(in crate::store) struct Statement {
    pub(in crate::store) text: &'static str,
    pub(in crate::store) values: Vec<Value>,
    /// Whether it returns rows.
    pub(in crate::store) returning: bool,
}

/// What a statement did.
pub(in crate::store) struct StatementResult {
    pub(in crate::store) rows_affected: u64,
    pub(in crate::store) rows: Vec<AnyRow>,
}

/// A transaction. A dropped one is rolled back before the connection's next statement.
pub(in crate::store) enum NativeTransaction<'c> {
    Sqlite(Transaction<'c, Sqlite>),
    Postgres(Transaction<'c, Postgres>),
}

impl NativeTransaction<'_> {
    /// Runs a statement with the values of all `rows` and gives how many rows it wrote. Its text stays
    /// prepared.
    pub(in crate::store) async fn execute(
        &mut self,
        text: impl SqlSafeStr,
        rows: &[&[Value]],
    ) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => {
                let text = text.into_sql_str();
                #[cfg(test)]
                plans::check(transaction, text.as_str()).await;
                let query = sqlx::query_with(text, sqlite_arguments(rows)?);
                let done = query.execute(&mut **transaction).await?;
                Ok(done.rows_affected())
            }
            Self::Postgres(transaction) => {
                let query = sqlx::query_with(text, postgres_arguments(rows)?);
                let done = query.execute(&mut **transaction).await?;
                Ok(done.rows_affected())
            }
        }
    }

    /// Runs a statement with the values of all `rows` and gives the rows that it returns. Its text
    /// stays prepared.
    pub(in crate::store) async fn fetch(
        &mut self,
        text: impl SqlSafeStr,
        rows: &[&[Value]],
    ) -> Result<Vec<AnyRow>, sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => {
                let text = text.into_sql_str();
                #[cfg(test)]
                plans::check(transaction, text.as_str()).await;
                let query = sqlx::query_with(text, sqlite_arguments(rows)?);
                let rows = query.fetch_all(&mut **transaction).await?;
                rows.iter().map(AnyRow::try_from).collect()
            }
            Self::Postgres(transaction) => {
                let query = sqlx::query_with(text, postgres_arguments(rows)?);
                let rows = query.fetch_all(&mut **transaction).await?;
                rows.iter().map(AnyRow::try_from).collect()
            }
        }
    }

    /// Runs statements in their order.
    pub(in crate::store) async fn run(
        &mut self,
        statements: &[Statement],
    ) -> Result<Vec<StatementResult>, sqlx::Error> {
        let mut results = Vec::with_capacity(statements.len());
        for Statement {
            text,
            values,
            returning,
        } in statements
        {
            results.push(if *returning {
                let rows = self.fetch(*text, &[values]).await?;
                let rows_affected = u64::try_from(rows.len()).unwrap_or(u64::MAX);
                StatementResult {
                    rows_affected,
                    rows,
                }
            } else {
                StatementResult {
                    rows_affected: self.execute(*text, &[values]).await?,
                    rows: Vec::new(),
                }
            });
        }
        Ok(results)
    }

    /// Runs any number of statements without values.
    pub(in crate::store) async fn script(&mut self, text: String) -> Result<(), sqlx::Error> {
        let script = sqlx::raw_sql(AssertSqlSafe(text));
        match self {
            Self::Sqlite(transaction) => script.execute(&mut **transaction).await.map(drop),
            Self::Postgres(transaction) => script.execute(&mut **transaction).await.map(drop),
        }
    }

    pub(in crate::store) async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.rollback().await,
            Self::Postgres(transaction) => transaction.rollback().await,
        }
    }

    pub(in crate::store) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        }
    }
}

fn all<'v>(rows: &[&'v [Value]]) -> impl Iterator<Item = &'v Value> {
    rows.iter().copied().flatten()
}

fn count(rows: &[&[Value]]) -> usize {
    rows.iter().map(|row| row.len()).sum()
}

/// A shared text goes to SQLite's thread without being copied. The driver copies a static one, twice; so the
/// few different names of a batch become shared texts first.
fn sqlite_arguments(rows: &[&[Value]]) -> Result<SqliteArguments, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(count(rows), 0);
    let mut names: Vec<Arc<str>> = Vec::new();
    let mut shared = |text: &'static str| -> Arc<str> {
        if let Some(name) = names.iter().find(|name| ***name == *text) {
            return Arc::clone(name);
        }
        let name: Arc<str> = text.into();
        names.push(Arc::clone(&name));
        name
    };
    for value in all(rows) {
        match value {
            Value::Text(text) => arguments.add(Arc::clone(text)),
            Value::Static(text) => arguments.add(shared(text)),
            Value::OptionalText(text) => arguments.add(text.clone()),
            Value::Integer(number) => arguments.add(*number),
            Value::OptionalInteger(number) => arguments.add(*number),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn postgres_arguments(rows: &[&[Value]]) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    arguments.reserve(count(rows), count(rows) * TYPICAL_BYTES);
    for value in all(rows) {
        match value {
            Value::Text(text) => arguments.add(&**text),
            Value::Static(text) => arguments.add(*text),
            Value::OptionalText(text) => arguments.add(text.as_deref()),
            Value::Integer(number) => arguments.add(*number),
            Value::OptionalInteger(number) => arguments.add(*number),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}
