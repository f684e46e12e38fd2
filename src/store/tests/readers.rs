//! The connections that read: who waits for one is neither held up nor given another's answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use sqlx::{Row, SqlSafeStr};
use tokio::time::timeout;

use super::wire::{PASS, SWALLOW, config_on_a_wire};
use crate::config::store::StoreConfig;
use crate::store::database::Database;
use crate::store::database::canceller::Canceller;
use crate::store::database::readers::Readers;
use crate::store::error::StoreError;
use crate::store::testing::TestDatabase;

fn one_reader(config: &StoreConfig) -> Readers {
    let database = Database::of(config).unwrap();
    let canceller = Arc::new(Canceller::new(database.clone()));
    Readers::new(database, canceller, 1)
}

/// A database that swallows what it is told holds up neither a reader for good nor the next one, and
/// not the end of the program.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_database_holds_up_no_reader() {
    sqlx::any::install_default_drivers();
    let database = TestDatabase::postgres().await;
    let (config, plan) = config_on_a_wire(&database).await;
    let readers = one_reader(&config);
    let read = || readers.read("SELECT 1".into_sql_str(), &[]);
    assert!(read().await.is_ok());

    plan.store(SWALLOW, Ordering::SeqCst);
    let error = read().await.err().unwrap();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");

    plan.store(PASS, Ordering::SeqCst);
    assert!(
        read().await.is_ok(),
        "on a connection that was not used yet"
    );

    plan.store(SWALLOW, Ordering::SeqCst);
    let ((), held_up) = tokio::join!(
        async {
            tokio::task::yield_now().await;
            readers.close().await;
        },
        read(),
    );
    assert!(held_up.is_err());
    assert_eq!(read().await.err(), Some(StoreError::Closed));
}

/// A reader that goes away while it waits leaves nothing behind that the next one could trip over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_goes_away_leaves_no_answer_behind() {
    for database in [TestDatabase::sqlite().await, TestDatabase::postgres().await] {
        let readers = one_reader(&database.config);
        for number in 0..50_i64 {
            let values = [number.into()];
            let text = || "SELECT CAST($1 AS BIGINT)".into_sql_str();
            let given_up = readers.read(text(), &values);
            // Polled once and dropped, answered or not.
            drop(given_up.now_or_never());
            let values = [(-number).into()];
            let rows = readers.read(text(), &values).await.unwrap();
            assert_eq!(rows[0].get::<i64, _>(0), -number);
        }
        readers.close().await;
    }
}

/// A statement that nobody waits for is interrupted on SQLite, and cancelled at a PostgreSQL that would go on with it.
/// Its place is free only then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_was_given_up_is_ended_in_the_database() {
    let cases = [
        (
            TestDatabase::sqlite().await,
            "SELECT 1",
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n",
        ),
        (
            TestDatabase::postgres().await,
            "SELECT set_config('statement_timeout', '0', false)",
            "SELECT CAST(pg_sleep(600) AS TEXT)",
        ),
    ];
    for (database, without_limit, endless) in cases {
        let readers = one_reader(&database.config);
        for _ in 0..3 {
            // Settings are of the one connection that there is.
            let set = readers.read(without_limit.into_sql_str(), &[]);
            assert!(set.await.is_ok());
            let given_up = readers.read(endless.into_sql_str(), &[]);
            assert!(timeout(Duration::from_millis(100), given_up).await.is_err());
            assert!(readers.read("SELECT 1".into_sql_str(), &[]).await.is_ok());
            if database.config.url.starts_with("postgres") {
                let running = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
                    AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()";
                let running = readers.read(running.into_sql_str(), &[]).await;
                assert_eq!(running.unwrap().len(), 0, "{endless}");
            }
        }
        readers.close().await;
    }
}
