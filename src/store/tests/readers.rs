//! The connections that read: who waits for one is neither held up nor given another's answer.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use sqlx::{Row, SqlSafeStr};
use tokio::time::{Instant, timeout};

use super::wire::{PASS, SWALLOW, config_on_a_wire};
use crate::config::store::StoreConfig;
use crate::store::database::Database;
use crate::store::database::readers::Readers;
use crate::store::error::StoreError;
use crate::store::testing::TestDatabase;

fn one_reader(config: &StoreConfig) -> Readers {
    let database = Database::of(config).unwrap();
    Readers::new(database, 1).unwrap()
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

/// A statement that nobody waits for is interrupted on SQLite; PostgreSQL ends it after its own time. Either
/// way its place is free only then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_was_given_up_keeps_its_place_until_it_has_ended() {
    let cases = [
        (
            TestDatabase::sqlite().await,
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n",
            Duration::ZERO..Duration::from_secs(2),
        ),
        (
            TestDatabase::postgres().await,
            "SELECT CAST(pg_sleep(1) AS TEXT)",
            Duration::from_millis(600)..Duration::from_secs(3),
        ),
    ];
    for (database, endless, expected) in cases {
        let readers = one_reader(&database.config);
        let given_up = readers.read(endless.into_sql_str(), &[]);
        assert!(timeout(Duration::from_millis(200), given_up).await.is_err());
        let begun = Instant::now();
        assert!(readers.read("SELECT 1".into_sql_str(), &[]).await.is_ok());
        let waited = begun.elapsed();
        assert!(expected.contains(&waited), "{endless}: {waited:?}");
        readers.close().await;
    }
}
