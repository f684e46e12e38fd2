//! The connections that read: who waits for one is neither held up nor given another's answer.

use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use sqlx::{Row, SqlSafeStr};

use super::wire::{PASS, SWALLOW, config_on_a_wire};
use crate::config::store::StoreConfig;
use crate::store::database::Database;
use crate::store::database::readers::Readers;
use crate::store::error::StoreError;
use crate::store::testing::TestDatabase;

async fn one_reader(config: &StoreConfig) -> Readers {
    let database = Database::of(config).unwrap();
    let first = database.connect_reader().await.unwrap();
    Readers::new(database, 1, first).unwrap()
}

/// A database that swallows what it is told holds up neither a reader for good nor the next one, and
/// not the end of the program.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_database_holds_up_no_reader() {
    sqlx::any::install_default_drivers();
    let database = TestDatabase::postgres().await;
    let (config, plan) = config_on_a_wire(&database).await;
    let readers = one_reader(&config).await;
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
        let readers = one_reader(&database.config).await;
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
