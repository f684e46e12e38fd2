//! How SQLite goes about the statements that the library's tests run: none may pass through the whole of a table that
//! grows, and a list counts its rows along an index that has its order. SQLite is asked and not PostgreSQL, because its plans hang on the statement and the indexes alone, however few
//! rows there are. Statements that share a text are not looked at.

use std::sync::{LazyLock, Mutex, PoisonError};

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use crate::random::HashSet;

/// What may be passed through: tables that grow with hosts, merchants, people, days and files, if at all, and rows that
/// a statement has of its own. Any other name is a table that grows, or stands for one.
const SMALL: [&str; 33] = [
    "api_keys",
    "business_days",
    "ledger_checkpoints",
    "ledger_seals",
    "merchant_account_changes",
    "merchants",
    "nodes",
    "operators",
    "payment_orders",
    "risk_nodes",
    "schema_migrations",
    "sealing_keys",
    "sequences",
    "stores",
    // Reports, one row a file.
    "imports",
    // Accounts of merchants that change.
    "changes",
    // Rows of the statement's own.
    "(subquery-3)",
    "(subquery-5)",
    "(subquery-6)",
    "changed",
    "days",
    "decided",
    "found",
    "leaving",
    "n",
    "new",
    "numbered",
    "page",
    "returning_items",
    "said",
    "told",
    "untold",
    "CONSTANT",
];

/// Lists that operators filter, and that are read in the order of their names until a page is full.
const FILTERED_LISTS: [&str; 1] = ["settlement_differences"];

/// Looks at each statement once.
///
/// # Panics
/// Where one passes through the whole of a table that grows.
pub(super) async fn check(connection: &mut SqliteConnection, text: &str) {
    static SEEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    let is_new = SEEN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(text.to_owned());
    // The plan of an INSERT of values shows who refers to its rows, which SQLite looks for only while a foreign key is
    // violated. Of several statements it would explain the first.
    let only_inserts = text.starts_with("INSERT") && !text.contains("SELECT");
    if !is_new || only_inserts || text.contains("; ") {
        return;
    }
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
    // What can't be explained can't be run either, and says so itself.
    let plan = sqlx::query(explain).fetch_all(&mut *connection).await;
    for step in plan.unwrap_or_default() {
        let step: String = step.get("detail");
        if passes_through(connection, text, &step).await {
            // Whoever tries again finds it again.
            let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
            seen.remove(text);
            drop(seen);
            panic!("expected an index for each part of the statement, got {step:?} of {text}");
        }
    }
}

async fn passes_through(connection: &mut SqliteConnection, text: &str, step: &str) -> bool {
    let is_a_page = text.contains(" LIMIT ");
    let words: Vec<&str> = step.split(' ').collect();
    match words.as_slice() {
        ["SCAN", rows, ..]
            if SMALL.contains(rows) || rows.starts_with(|it: char| it.is_ascii_digit()) =>
        {
            false
        }
        // The first page of a list that is not filtered, or of one that may be.
        ["SCAN", table, "USING", ..]
            if is_a_page && (!text.contains(" WHERE ") || FILTERED_LISTS.contains(table)) =>
        {
            false
        }
        // The index may be of a part of the table.
        ["SCAN", _, "USING", .., index] => {
            let of_a_part =
                "SELECT COUNT(*) FROM sqlite_master WHERE name = $1 AND sql LIKE '% WHERE %'";
            let partial = sqlx::query(of_a_part)
                .bind(*index)
                .fetch_one(connection)
                .await;
            !partial.is_ok_and(|row| row.get::<i64, _>(0) == 1)
        }
        ["SCAN", ..] => true,
        // The end of a look is found by counting along an index.
        ["USE", "TEMP", "B-TREE", ..] => text.contains(" OFFSET "),
        // All rows are of this stream; there is one row of positions.
        ["SEARCH", table, ..] if step.contains("(stream=?)") => {
            *table != "positions" && !text.ends_with(" LIMIT 1")
        }
        _ => false,
    }
}

mod tests {
    use sqlx::ConnectOptions as _;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;
    use crate::store::testing::TestDatabase;

    #[tokio::test]
    async fn a_statement_that_passes_through_a_table_is_found() {
        let database = TestDatabase::sqlite().await;
        let options = SqliteConnectOptions::new().filename(database.path());
        let mut connection = options.connect().await.unwrap();
        for (step, text, expected) in [
            (
                "SCAN payments",
                "SELECT id FROM payments WHERE state = $1",
                true,
            ),
            (
                "SCAN merchants",
                "SELECT id FROM merchants WHERE name = $1",
                false,
            ),
            (
                "SCAN audit USING INDEX sqlite_autoindex_audit_1",
                "SELECT * FROM audit ORDER BY id LIMIT 9",
                false,
            ),
            (
                "SCAN operations USING INDEX operations_payment",
                "SELECT payment_id FROM operations WHERE open = 2",
                true,
            ),
            (
                "SCAN operations USING INDEX operations_owed",
                "SELECT id FROM operations WHERE open = 2",
                false,
            ),
            (
                "SEARCH events USING PRIMARY KEY (stream=?)",
                "SELECT * FROM events WHERE stream = 0 AND kind = $1",
                true,
            ),
            (
                "SCAN batches",
                "SELECT * FROM settlement_batches AS batches",
                true,
            ),
        ] {
            let found = passes_through(&mut connection, text, step).await;
            assert_eq!(found, expected, "{step}: {text}");
        }
    }

    #[tokio::test]
    #[should_panic(expected = "expected an index")]
    async fn and_fails_its_test() {
        let database = TestDatabase::sqlite().await;
        let options = SqliteConnectOptions::new().filename(database.path());
        let mut connection = options.connect().await.unwrap();
        check(&mut connection, "SELECT id FROM payments WHERE state = $1").await;
    }
}
