//! Outcomes: written once, with the reversal that they owe.

use futures_util::future::join_all;

use super::make::{COMMITTED, NOW, approved, intent, operation_at, random, unknown};
use super::on_both;
use super::payments::answer;
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::capture::Capture;
use crate::payment::custody::CustodyEnd;
use crate::payment::event::PaymentEvent;
use crate::payment::ids::CaptureId;
use crate::payment::money::Money;
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Operation, Payment};
use crate::payment::samples;
use crate::store::Store;
use crate::store::change::{Change, PaymentChange, Verdict};
use crate::store::testing::TestDatabase;

on_both!(
    a_second_outcome_changes_nothing,
    an_outcome_of_nothing_is_not_written,
    an_outcome_whose_payment_moved_on_is_recorded_all_the_same,
    two_outcomes_at_once_are_written_once,
    a_pending_payment_owes_one_reversal,
    of_changes_that_rest_on_an_unmoved_payment_one_is_written,
    the_newest_captures_of_each_payment_are_read,
);

async fn a_second_outcome_changes_nothing(database: TestDatabase) {
    let store = database.open().await;
    let intent = intent("shop");
    store.record_intent(&intent).await.unwrap();
    let first = approved(&intent);
    store.record_outcome(&first).await.unwrap();
    let again = store.record_outcome(&first).await.unwrap();
    assert_eq!(again, COMMITTED, "the very same one");
    let second = store.record_outcome(&unknown(&intent)).await.unwrap();
    assert_eq!(second, Verdict::OperationMoved);
    let merchant = &intent.payment.merchant_id;
    let standing = store.payment(merchant, intent.payment.id).await.unwrap();
    assert_eq!(standing, Some(first.payment.clone()));
    let told = answer(&store, &intent).await.unwrap().answer.unwrap();
    assert_eq!((*told.0, *told.1), (first.payment, first.operation));
    assert_eq!(store.owed().await, vec![]);
    store.close().await;
}

async fn an_outcome_of_nothing_is_not_written(database: TestDatabase) {
    let store = database.open().await;
    let verdict = store.record_outcome(&unknown(&intent("shop"))).await;
    assert_eq!(verdict, Ok(Verdict::OperationMoved));
    assert_eq!(store.owed().await, vec![]);
    store.close().await;
}

/// The payment's version is no fence: an outcome is recorded whatever else has changed the payment, and the
/// merchant is told of the payment as it is.
async fn an_outcome_whose_payment_moved_on_is_recorded_all_the_same(database: TestDatabase) {
    let store = database.open().await;
    let moved = intent("shop");
    store.record_intent(&moved).await.unwrap();
    let id = moved.payment.id;
    database
        .execute(&format!(
            "UPDATE payments SET version = 9, disputed_minor = 3 WHERE id = '{id}'"
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
            tokio::spawn(async move { (store.record_outcome(&outcome).await.unwrap(), outcome) })
        })
        .collect();
    for task in tasks {
        let (verdict, outcome) = task.await.unwrap();
        let Verdict::Committed { payment } = verdict else {
            panic!("{verdict:?}")
        };
        let expected = Payment {
            version: if outcome.payment.id == id { 10 } else { 2 },
            amounts: Amounts {
                disputed_minor: if outcome.payment.id == id { 3 } else { 0 },
                ..Amounts::ZERO
            },
            ..outcome.payment.clone()
        };
        let told = payment.map_or(outcome.payment, |payment| *payment);
        assert_eq!(told, expected);
        let merchant = &told.merchant_id;
        let standing = store.payment(merchant, told.id).await.unwrap();
        assert_eq!(standing, Some(expected));
    }
    let (told, _) = answer(&store, &moved).await.unwrap().answer.unwrap();
    assert_eq!((told.version, told.amounts.disputed_minor), (10, 3));
    assert_eq!(store.owed().await.len(), 6);
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
        .filter(|verdict| matches!(verdict, Verdict::Committed { .. }))
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
        vec![(intent.payment.clone(), intent.operation.clone())]
    );
    assert_eq!(unfinished(intent.operation.deadline).await, vec![]);

    let outcome = unknown(&intent);
    store.record_outcome(&outcome).await.unwrap();
    assert_eq!(store.owed().await, vec![outcome.reversal.clone().unwrap()]);
    assert_eq!(unfinished(overdue).await, vec![]);
    let (told, _) = answer(&store, &intent).await.unwrap().answer.unwrap();
    assert_eq!(*told, outcome.payment);
    store.close().await;
}

/// An authorized payment.
async fn held(store: &Store) -> Payment {
    let intent = intent("shop");
    store.record_intent(&intent).await.unwrap();
    let held = approved(&intent);
    store.record_outcome(&held).await.unwrap();
    held.payment
}

/// A capture of 1.00 EUR, of `payment` as it was read.
fn capture_of(payment: &Payment) -> (Adjustment, Payment, Operation) {
    let adjustment = Adjustment {
        event: PaymentEvent::Captured,
        change: Amounts {
            captured_minor: 100,
            ..Amounts::ZERO
        },
        at: NOW.plus_ms(200),
        custody: CustodyEnd::Unchanged,
    };
    let after = *adjustment.apply(Box::new(payment.clone())).unwrap();
    let operation = Operation {
        kind: OperationKind::Capture,
        payment_id: payment.id,
        amount: Money::new(100, payment.amount.currency()).unwrap(),
        ..operation_at(NOW)
    };
    (adjustment, after, operation)
}

async fn of_changes_that_rest_on_an_unmoved_payment_one_is_written(database: TestDatabase) {
    let store = database.open().await;
    let held = held(&store).await;
    for (unmoved, written) in [(true, 1), (false, 9)] {
        let captures: Vec<_> = (0..8).map(|_| capture_of(&held)).collect();
        let changes: Vec<_> = captures
            .iter()
            .map(|(adjustment, after, operation)| Change {
                payment: Some(PaymentChange::Adjusted {
                    expected: after,
                    adjustment,
                }),
                unmoved,
                new_operation: Some(operation),
                ..Change::default()
            })
            .collect();
        let committed = join_all(changes.iter().map(|change| store.commit(change))).await;
        for verdict in committed {
            let verdict = verdict.unwrap();
            let refused = unmoved && verdict == Verdict::PaymentRefused;
            let taken = matches!(verdict, Verdict::Committed { .. });
            assert!(taken || refused, "{verdict:?}");
        }
        let standing = store.payment(&held.merchant_id, held.id).await.unwrap();
        assert_eq!(standing.unwrap().amounts.captured_minor, 100 * written);
        let operations = store.operations_of(held.id).await.unwrap();
        assert_eq!(operations.len(), 1 + usize::try_from(written).unwrap());
    }
    store.close().await;
}

async fn the_newest_captures_of_each_payment_are_read(database: TestDatabase) {
    let store = database.open().await;
    let mut payments = [held(&store).await, held(&store).await];
    let mut made = Vec::new();
    for _ in 0..3 {
        for payment in &mut payments {
            let (adjustment, after, operation) = capture_of(payment);
            let capture = Capture {
                id: CaptureId::from_parts(NOW, random()),
                ..samples::capture_of(&operation)
            };
            let change = Change {
                payment: Some(PaymentChange::Adjusted {
                    expected: &after,
                    adjustment: &adjustment,
                }),
                new_operation: Some(&operation),
                new_capture: Some(&capture),
                ..Change::default()
            };
            assert_eq!(store.commit(&change).await, Ok(COMMITTED));
            *payment = after;
            made.push((capture, operation));
        }
    }
    let ids = payments.map(|payment| payment.id);
    let newest = store.newest_captures(&ids, 2).await.unwrap();
    let expected: Vec<_> = made.drain(2..).rev().collect();
    assert_eq!(newest, expected);
    assert_eq!(
        store.newest_captures(&ids[..1], 100).await.unwrap().len(),
        3
    );
    store.close().await;
}
