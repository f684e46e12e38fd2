//! How SQLite goes about the statements of the tests: none may pass through the whole of a table that grows. SQLite is
//! asked and not PostgreSQL, because its plans hang on the statement and the indexes alone, however few rows there are.

use std::sync::{LazyLock, Mutex, PoisonError};

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use crate::random::HashSet;

/// The tables that grow with payments, callers, reports and statements.
const GROWING: [&str; 24] = [
    "audit",
    "bank_lines",
    "bank_statements",
    "captures",
    "client_connections",
    "difference_changes",
    "events",
    "idempotency",
    "item_fees",
    "journals",
    "late_responses",
    "ledger_lines",
    "operations",
    "payments",
    "payouts",
    "quarantine",
    "refunds",
    "report_lines",
    "settlement_batches",
    "settlement_differences",
    "settlement_imports",
    "settlement_items",
    "settlement_totals",
    "used_envelopes",
];

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
    // An INSERT looks at what refers to its rows only while a foreign key is violated, and of several statements
    // SQLite would explain the first.
    if !is_new || text.starts_with("INSERT") || text.contains("; ") {
        return;
    }
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
    // What can't be explained can't be run either, and says so itself.
    let plan = sqlx::query(explain).fetch_all(&mut *connection).await;
    for step in plan.unwrap_or_default() {
        let step: String = step.get("detail");
        assert!(
            !passes_through(connection, text, &step).await,
            "expected an index for each part of the statement, got {step:?} of {text}"
        );
    }
}

async fn passes_through(connection: &mut SqliteConnection, text: &str, step: &str) -> bool {
    // The first page of a list that is not filtered.
    let is_a_page = !text.contains(" WHERE ") && text.contains(" LIMIT ");
    match step.split(' ').collect::<Vec<_>>().as_slice() {
        ["SCAN", table, ..] if !GROWING.contains(table) || is_a_page => false,
        // The index may be of a part of the table.
        ["SCAN", _, "USING", .., index] => {
            let of_all =
                "SELECT COUNT(*) FROM sqlite_master WHERE name = $1 AND sql LIKE '% WHERE %'";
            let partial = sqlx::query(of_all).bind(*index).fetch_one(connection).await;
            partial.is_ok_and(|row| row.get::<i64, _>(0) == 0)
        }
        ["SCAN", ..] => true,
        // All rows are of this stream.
        ["SEARCH", table, .., "(stream=?)"] => {
            GROWING.contains(table) && !text.ends_with(" LIMIT 1")
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
