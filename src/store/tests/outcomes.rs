//! Outcomes: written once, with the reversal that they owe.

use super::make::{approved, intent, unknown};
use super::on_both;
use super::payments::answer;
use crate::store::error::StoreError;
use crate::store::records::OutcomeRecorded;
use crate::store::testing::TestDatabase;

on_both!(
    a_second_outcome_changes_nothing,
    an_outcome_of_nothing_is_not_found,
    an_outcome_whose_payment_moved_on_writes_neither_row,
    two_outcomes_at_once_are_written_once,
    a_pending_payment_owes_one_reversal,
);

async fn a_second_outcome_changes_nothing(database: TestDatabase) {
    let store = database.open().await;
    let intent = intent("shop");
    store.record_intent(&intent).await.unwrap();
    let first = approved(&intent);
    store.record_outcome(&first).await.unwrap();
    let again = store.record_outcome(&first).await.unwrap();
    assert_eq!(again, OutcomeRecorded::Recorded, "the very same one");
    let second = store.record_outcome(&unknown(&intent)).await.unwrap();
    assert_eq!(
        second,
        OutcomeRecorded::Superseded {
            current: first.payment.clone(),
            operation: first.operation.clone(),
        }
    );
    let merchant = &intent.payment.merchant_id;
    let standing = store.payment(merchant, intent.payment.id).await.unwrap();
    assert_eq!(standing, Some(*first.payment.clone()));
    assert_eq!(
        answer(&store, &intent).await.unwrap().answer,
        Some(*first.payment)
    );
    assert_eq!(store.owed_reversals(10).await.unwrap(), vec![]);
    store.close().await;
}

async fn an_outcome_of_nothing_is_not_found(database: TestDatabase) {
    let store = database.open().await;
    let error = store
        .record_outcome(&unknown(&intent("shop")))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
    assert_eq!(store.owed_reversals(10).await.unwrap(), vec![]);
    store.close().await;
}

async fn an_outcome_whose_payment_moved_on_writes_neither_row(database: TestDatabase) {
    let store = database.open().await;
    let moved = intent("shop");
    store.record_intent(&moved).await.unwrap();
    let id = moved.payment.id;
    database
        .execute(&format!(
            "UPDATE payments SET version = 9 WHERE id = '{id}'"
        ))
        .await;
    // Others that share the transaction are not touched by it.
    let others: Vec<_> = (0..5).map(|_| intent("shop")).collect();
    for other in &others {
        store.record_intent(other).await.unwrap();
    }
    let outcomes: Vec<_> = others.iter().chain([&moved]).map(unknown).collect();
    let tasks: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| {
            let store = store.clone();
            tokio::spawn(async move { store.record_outcome(&outcome).await.unwrap() })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    let last = results.pop().unwrap();
    assert!(
        results
            .iter()
            .all(|result| *result == OutcomeRecorded::Recorded)
    );
    let OutcomeRecorded::Superseded { current, operation } = last else {
        panic!("{last:?}")
    };
    assert_eq!(current.version, 9);
    assert_eq!(operation, moved.operation);
    assert_eq!(store.owed_reversals(10).await.unwrap().len(), 5);
    store.close().await;
}

async fn two_outcomes_at_once_are_written_once(database: TestDatabase) {
    let store = database.open().await;
    let intent = intent("shop");
    store.record_intent(&intent).await.unwrap();
    let outcomes = [approved(&intent), unknown(&intent)];
    let (one, two) = tokio::join!(
        store.record_outcome(&outcomes[0]),
        store.record_outcome(&outcomes[1]),
    );
    let recorded = [one.unwrap(), two.unwrap()]
        .iter()
        .filter(|outcome| **outcome == OutcomeRecorded::Recorded)
        .count();
    assert_eq!(recorded, 1);
    store.close().await;
}

async fn a_pending_payment_owes_one_reversal(database: TestDatabase) {
    let store = database.open().await;
    let intent = intent("shop");
    store.record_intent(&intent).await.unwrap();
    let overdue = intent.operation.deadline.plus_ms(1);
    let unfinished = async |older_than| {
        let part = store.unfinished_operations(older_than, 10, None).await;
        part.unwrap().found
    };
    assert_eq!(
        unfinished(overdue).await,
        vec![(*intent.payment.clone(), *intent.operation.clone())]
    );
    assert_eq!(unfinished(intent.operation.deadline).await, vec![]);

    let outcome = unknown(&intent);
    store.record_outcome(&outcome).await.unwrap();
    assert_eq!(
        store.owed_reversals(10).await.unwrap(),
        vec![outcome.reversal.clone().unwrap()]
    );
    assert_eq!(unfinished(overdue).await, vec![]);
    assert_eq!(
        answer(&store, &intent).await.unwrap().answer,
        Some(*outcome.payment)
    );
    store.close().await;
}
