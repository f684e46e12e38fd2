//! What happens when the database is slow, away, or goes away at the worst moment.

use std::str::FromStr as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use sqlx::any::AnyConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::task::JoinSet;

use super::make::{COMMITTED, Intent, NOW, approved, intent, merchant, unknown};
use super::wire::{
    LOSE_ALL, LOSE_COMMIT, LOSE_CONFIRMATION, LOSE_CONFIRMATION_AND_A_TABLE, PASS, store_on_a_wire,
};
use super::{fails, on_both};
use crate::config::store::StoreConfig;
use crate::store::change::Verdict;
use crate::store::database::Database;
use crate::store::database::connection::Statement;
use crate::store::error::StoreError;
use crate::store::records::LateResponse;
use crate::store::testing::{TestDatabase, execute, open, server};

on_both!(a_full_queue_says_so_at_once);

async fn a_full_queue_says_so_at_once(database: TestDatabase) {
    let config = StoreConfig {
        batch_records: 1,
        queued_records: 4,
        ..database.config.clone()
    };
    let store = open(&config).await.unwrap();
    let options: AnyConnectOptions = database.url.parse().unwrap();
    let mut other = options.connect().await.unwrap();
    let blocking = if store.exclusive() {
        "BEGIN IMMEDIATE"
    } else {
        "BEGIN; LOCK TABLE idempotency IN ACCESS EXCLUSIVE MODE"
    };
    sqlx::raw_sql(blocking).execute(&mut other).await.unwrap();
    let intents: Vec<_> = (0..20).map(|_| intent("shop")).collect();
    let (mut accepted, mut refused) = (Vec::new(), 0);
    for intent in &intents {
        let mut recording = Box::pin(store.record_intent(intent));
        match recording.as_mut().now_or_never() {
            None => accepted.push(recording),
            Some(result) => {
                assert_eq!(result, Err(StoreError::Busy { waiting: 4 }));
                refused += 1;
            }
        }
    }
    // Four wait, and the writer may have taken another one in hand by then.
    assert!((15..=16).contains(&refused), "{refused} of 20");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    for result in join_all(accepted).await {
        assert_eq!(result, Ok(COMMITTED));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_with_one_request_record_it_once() {
    let database = TestDatabase::postgres().await;
    let stores = [database.open().await, database.open().await];
    // The same 25 requests at both, in opposite orders, so that their transactions meet.
    let keys: Vec<_> = (0..25).map(|_| intent("shop").claim).collect();
    let mut tasks = JoinSet::new();
    for (store, forwards) in stores.iter().zip([true, false]) {
        for index in 0..keys.len() {
            let index = if forwards {
                index
            } else {
                keys.len() - 1 - index
            };
            let intent = Intent {
                claim: keys[index].clone(),
                ..intent("shop")
            };
            let store = store.clone();
            tasks.spawn(async move {
                let id = intent.payment.id;
                (index, id, store.record_intent(&intent).await.unwrap())
            });
        }
    }
    let mut recorded = vec![Vec::new(); keys.len()];
    let mut existing = vec![0; keys.len()];
    while let Some(result) = tasks.join_next().await {
        match result.unwrap() {
            (index, id, COMMITTED) => recorded[index].push(id),
            (index, _, Verdict::RequestTaken) => existing[index] += 1,
            (_, _, other) => panic!("each has its own sealed card: {other:?}"),
        }
    }
    for (recorded, existing) in recorded.iter().zip(&existing) {
        assert_eq!((recorded.len(), *existing), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_callers_hear_so() {
    let database = TestDatabase::postgres().await;
    let store = database.open().await;
    let shop = "shop".parse().unwrap();
    let admin = server().url("postgres");
    let name = database.name();
    let away = format!(
        "ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS false; \
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    );
    // One statement at a time: ALTER DATABASE does not share a transaction with others.
    for statement in away.split("; ") {
        execute(&admin, statement.trim().to_owned()).await;
    }
    for _ in 0..3 {
        fails!(store.record_intent(&intent("shop")).await, Unavailable);
        fails!(
            store.payment(&shop, intent("shop").payment.id).await,
            Unavailable
        );
        assert!(!store.healthy().await);
    }
    execute(
        &admin,
        format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS true"),
    )
    .await;
    // The longest pause between two attempts to connect is a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(store.record_intent(&intent("shop")).await, Ok(COMMITTED));
    assert!(store.healthy().await);
}

/// It answers whoever reads and takes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_takes_nothing_is_not_well() {
    let database = TestDatabase::postgres().await;
    let store = database.open().await;
    let mut other = AnyConnectOptions::from_str(&database.url)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut holding = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE idempotency IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *holding)
        .await
        .unwrap();
    fails!(store.record_intent(&intent("shop")).await, Unavailable);
    assert!(!store.healthy().await);
    holding.rollback().await.unwrap();
    store.record_intent(&intent("shop")).await.unwrap();
    assert!(store.healthy().await);
}

#[test]
fn a_database_shown_holds_no_password() {
    let config = StoreConfig {
        url: "postgres://payswitch:tell-nobody@127.0.0.1/payments".to_owned(),
        ..StoreConfig::default()
    };
    let shown = format!("{:?}", Database::of(&config).unwrap());
    assert!(
        shown.contains("Postgres") && !shown.contains("tell-nobody"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_connection_is_opened_again() {
    let database = TestDatabase::postgres().await;
    let store = database.open().await;
    for _ in 0..3 {
        let name = database.name();
        let text = format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        execute(&server().url("postgres"), text).await;
        assert_eq!(store.record_intent(&intent("shop")).await, Ok(COMMITTED));
    }
}

/// SQLite ends a whole transaction by itself when it has no memory left for one of its statements. A
/// connection that does not know of it must not confirm what it never commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_whose_transaction_ended_by_itself_is_left() {
    let database = TestDatabase::sqlite().await;
    let store = database.open().await;
    let statement = |text| Statement {
        text,
        values: Vec::new(),
        returning: false,
    };
    let ending = vec![
        statement("ROLLBACK"),
        statement("INSERT INTO no_such_table VALUES (1)"),
    ];
    let failed = store.inner.writer.run(ending, true).await;
    assert!(failed.is_err());
    let first = [intent("shop"), intent("shop")];
    for first in &first {
        let recorded = store.record_intent(first).await;
        assert_eq!(recorded, Ok(COMMITTED));
        // The second finds the first in its way, and is rolled back.
        let repeated = Intent {
            claim: first.claim.clone(),
            ..intent("shop")
        };
        let again = store.record_intent(&repeated).await;
        assert!(matches!(again, Ok(Verdict::RequestTaken)), "{again:?}");
    }
    store.close().await;
    let reopened = database.open().await;
    for first in first {
        let payment = reopened
            .payment(&first.payment.merchant_id, first.payment.id)
            .await;
        assert_eq!(payment, Ok(Some(first.payment)));
    }
}

/// Promise 18: an error from COMMIT proves nothing; what happened is read again by key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_confirmation_is_read_again() {
    let database = TestDatabase::postgres().await;
    let (store, plan) = store_on_a_wire(&database).await;
    for at_commit in [LOSE_CONFIRMATION, LOSE_COMMIT] {
        let one = intent("shop");
        plan.store(at_commit, Ordering::SeqCst);
        assert_eq!(store.record_intent(&one).await, Ok(COMMITTED));
        assert_eq!(plan.load(Ordering::SeqCst), PASS, "the wire broke once");
        assert_eq!(
            store.operations_of(one.payment.id).await.unwrap(),
            vec![one.operation.clone()]
        );

        let outcome = unknown(&one);
        plan.store(at_commit, Ordering::SeqCst);
        let recorded = store.record_outcome(&outcome).await;
        assert_eq!(recorded, Ok(COMMITTED));
        let merchant = &one.payment.merchant_id;
        let standing = store.payment(merchant, one.payment.id).await.unwrap();
        assert_eq!(standing, Some(outcome.payment));
        assert!(store.owed().await.contains(&outcome.reversal.unwrap()));
    }
    assert_eq!(store.owed().await.len(), 2);

    // What can't be told apart from somebody else's is not guessed at.
    plan.store(LOSE_CONFIRMATION, Ordering::SeqCst);
    fails!(
        store.insert_merchant(&merchant("shop")).await,
        OutcomeUnknown
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_cannot_be_read_again_is_unknown() {
    let database = TestDatabase::postgres().await;
    let (store, plan) = store_on_a_wire(&database).await;
    let one = intent("shop");
    plan.store(LOSE_ALL, Ordering::SeqCst);
    fails!(store.record_intent(&one).await, OutcomeUnknown);
    fails!(store.record_intent(&intent("shop")).await, Unavailable);

    plan.store(PASS, Ordering::SeqCst);
    // The longest pause between two attempts to connect is a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    // It was written; asked again, it is somebody's running request, and nothing is sent twice.
    let again = store.record_intent(&one).await.unwrap();
    assert!(matches!(again, Verdict::RequestTaken), "{again:?}");
    assert_eq!(store.record_outcome(&approved(&one)).await, Ok(COMMITTED));
}

/// What was committed without confirmation is still one's own when something else in the same batch is
/// refused on the way to reading it again. One thread: all three wait before the writer wakes.
#[tokio::test]
async fn a_lot_that_is_halved_remembers_that_it_may_be_written() {
    let database = TestDatabase::postgres().await;
    let (store, plan) = store_on_a_wire(&database).await;
    let answered = intent("shop");
    store.record_intent(&answered).await.unwrap();
    let (before, after) = (intent("shop"), intent("shop"));
    let late = LateResponse {
        operation_id: answered.operation.id,
        host_id: "acquirer".parse().unwrap(),
        response_code: "05".parse().unwrap(),
        approval_code: None,
        amount_differs: false,
        received_at: NOW,
    };
    plan.store(LOSE_CONFIRMATION_AND_A_TABLE, Ordering::SeqCst);
    let (one, refused, other) = tokio::join!(
        store.record_intent(&before),
        store.record_late_response(late),
        store.record_intent(&after),
    );
    assert_eq!(plan.load(Ordering::SeqCst), PASS, "the wire broke once");
    assert_eq!(one, Ok(COMMITTED));
    assert_eq!(other, Ok(COMMITTED));
    fails!(refused, Refused);
}
