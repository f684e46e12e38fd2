//! Blocks of numbers: no number twice, whoever asks.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::make::{NOW, merchant};
use super::on_both;
use crate::payment::ids::HostId;
use crate::payment::moment::NumberDate;
use crate::payment::reference::{RRN_COUNT, SequenceNumber};
use crate::store::error::StoreError;
use crate::store::numbers::Numbers;
use crate::store::tables::sequences::MAX_BLOCK;
use crate::store::testing::{TestDatabase, execute, server};

on_both!(
    blocks_follow_each_other,
    a_used_up_day_is_an_error,
    no_number_is_given_twice,
);

/// Each would take as long to fail as the first, one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_numbers_fails_with_the_one_who_asked() {
    let database = TestDatabase::postgres().await;
    let store = database.open().await;
    let admin = server().url("postgres");
    let name = database.name();
    let allow = |yes: bool| format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS {yes}");
    execute(&admin, allow(false)).await;
    let away =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    execute(&admin, away).await;
    let numbers = Numbers::new(store.clone(), 10);
    let (host, today) = (host(), NumberDate::of(NOW));
    let asked = join_all((0..5).map(|_| numbers.next(&host, today))).await;
    let reasons: Vec<String> = asked
        .into_iter()
        .map(|answer| answer.unwrap_err().to_string())
        .collect();
    let waited = reasons
        .iter()
        .filter(|reason| reason.contains("another caller's reservation"));
    assert_eq!(waited.count(), 4, "{reasons:?}");
    execute(&admin, allow(true)).await;
    // The longest pause between two attempts to connect is a second.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(numbers.next(&host, today).await, Ok(number(0)));
    store.close().await;
}

/// After a failover the server that answers now may lack the last reservations, and would give them again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_that_were_reserved_over_a_lost_connection_are_not_given_out() {
    let database = TestDatabase::postgres().await;
    let store = database.open().await;
    let numbers = Numbers::new(store.clone(), 10);
    let (host, today) = (host(), NumberDate::of(NOW));
    assert_eq!(numbers.next(&host, today).await, Ok(number(0)));
    let name = database.name();
    let away =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    execute(&server().url("postgres"), away).await;
    store.insert_merchant(&merchant("shop")).await.unwrap();
    assert_eq!(numbers.next(&host, today).await, Ok(number(10)));
    store.close().await;
}

fn number(number: u64) -> SequenceNumber {
    SequenceNumber::new(number).unwrap()
}

fn host() -> HostId {
    "acquirer".parse().unwrap()
}

async fn blocks_follow_each_other(database: TestDatabase) {
    let today = NumberDate::of(NOW);
    let tomorrow = NumberDate::of(NOW.plus_ms(24 * 3_600_000));
    let other = "other".parse().unwrap();
    let store = database.open().await;
    assert_eq!(
        store.reserve_sequence(&host(), today, 100).await,
        Ok(0..100)
    );
    assert_eq!(
        store.reserve_sequence(&host(), today, 1).await,
        Ok(100..101)
    );
    assert_eq!(store.reserve_sequence(&host(), tomorrow, 5).await, Ok(0..5));
    assert_eq!(store.reserve_sequence(&other, today, 7).await, Ok(0..7));
    for count in [0, MAX_BLOCK + 1, u64::MAX] {
        let error = store
            .reserve_sequence(&host(), today, count)
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Invalid { .. }), "{error}");
    }
    store.close().await;
    let reopened = database.open().await;
    assert_eq!(
        reopened.reserve_sequence(&host(), today, 10).await,
        Ok(101..111)
    );
    reopened.close().await;
}

async fn a_used_up_day_is_an_error(database: TestDatabase) {
    let store = database.open().await;
    let date = NumberDate::of(NOW);
    database
        .execute(&format!(
            "INSERT INTO sequences VALUES ('acquirer', '{date}', {})",
            RRN_COUNT - 12
        ))
        .await;
    assert_eq!(
        store.reserve_sequence(&host(), date, 10).await,
        Ok(RRN_COUNT - 12..RRN_COUNT - 2)
    );
    let exhausted = StoreError::SequenceExhausted {
        host: "acquirer".into(),
        date: date.to_string(),
    };
    assert_eq!(
        store.reserve_sequence(&host(), date, 3).await,
        Err(exhausted.clone())
    );
    assert_eq!(
        store.reserve_sequence(&host(), date, 2).await,
        Ok(RRN_COUNT - 2..RRN_COUNT)
    );
    let numbers = Numbers::new(store.clone(), 1);
    assert_eq!(numbers.next(&host(), date).await, Err(exhausted));
    store.close().await;
}

async fn no_number_is_given_twice(database: TestDatabase) {
    let store = database.open().await;
    let date = NumberDate::of(NOW);
    let pairs = [
        Numbers::new(store.clone(), 7),
        Numbers::new(store.clone(), 64),
    ];
    let tasks: Vec<_> = (0..20)
        .map(|task| {
            let numbers = pairs[task % 2].clone();
            tokio::spawn(async move {
                let mut taken = Vec::new();
                for _ in 0..50 {
                    taken.push(numbers.next(&host(), date).await.unwrap());
                }
                taken
            })
        })
        .collect();
    let mut seen = BTreeSet::new();
    let mut references = BTreeSet::new();
    for task in tasks {
        for number in task.await.unwrap() {
            assert!(seen.insert(number), "{number:?}");
            assert!(references.insert((number.stan(), number.rrn(date))));
        }
    }
    assert_eq!(seen.len(), 1000);
    store.close().await;
}
