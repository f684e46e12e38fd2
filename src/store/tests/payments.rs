//! Intents, and the answers kept for repeated requests.

use super::make::{COMMITTED, Intent, METHOD, NOW, approved, declined, intent, unknown};
use super::{fails, on_both};
use crate::payment::money::Money;
use crate::store::Store;
use crate::store::change::{Change, EnvelopeUse, Verdict};
use crate::store::records::RecordedAnswer;
use crate::store::testing::TestDatabase;

on_both!(
    an_intent_reads_back,
    a_repeated_request_gets_the_first_answer,
    requests_differ_by_merchant_and_method,
    a_sealed_card_works_once,
    of_many_at_once_one_is_recorded,
    of_many_with_one_sealed_card_one_is_recorded,
    a_bad_record_spoils_no_other,
    another_merchants_payment_is_not_there,
);

pub(super) async fn answer(store: &Store, intent: &Intent) -> Option<RecordedAnswer> {
    let key = &intent.claim;
    store
        .find_answer(&key.merchant_id, METHOD, &key.request_id)
        .await
        .unwrap()
}

async fn is_stored(store: &Store, intent: &Intent) -> bool {
    let payment = store
        .payment(&intent.payment.merchant_id, intent.payment.id)
        .await
        .unwrap();
    let operation = store.operation(intent.operation.id).await.unwrap();
    assert_eq!(payment.is_some(), operation.is_some());
    payment.is_some()
}

async fn an_intent_reads_back(database: TestDatabase) {
    let store = database.open().await;
    let mut intent = intent("shop");
    intent.payment.customer_reference = Some("customer-1".into());
    let outcome = store.record_intent(&intent).await.unwrap();
    assert_eq!(outcome, COMMITTED);
    let Intent {
        payment, operation, ..
    } = intent.clone();
    let found = store
        .payment(&payment.merchant_id, payment.id)
        .await
        .unwrap();
    assert_eq!(found, Some(payment.clone()));
    assert_eq!(
        store.operation(operation.id).await.unwrap(),
        Some(operation.clone())
    );
    assert_eq!(
        store.operations_of(payment.id).await.unwrap(),
        vec![operation.clone()]
    );
    let by_reference = store
        .operations_by_reference(&operation.host_id, operation.rrn, operation.stan)
        .await
        .unwrap();
    assert_eq!(by_reference, vec![operation.clone()]);
    let elsewhere = store
        .operations_by_reference(&"other".parse().unwrap(), operation.rrn, operation.stan)
        .await
        .unwrap();
    assert_eq!(elsewhere, vec![]);
    let running = answer(&store, &intent).await.unwrap();
    assert_eq!(running.payment_id, payment.id);
    assert_eq!(running.body_hash, [7; 32]);
    assert_eq!(running.answer, None);
}

async fn a_repeated_request_gets_the_first_answer(database: TestDatabase) {
    let store = database.open().await;
    let first = intent("shop");
    store.record_intent(&first).await.unwrap();
    let mut again = intent("shop");
    again.claim = first.claim.clone();
    again.claim.body_hash = [8; 32];
    let taken = store.record_intent(&again).await;
    assert_eq!(taken, Ok(Verdict::RequestTaken));
    let running = answer(&store, &again).await.unwrap();
    assert_eq!(running.payment_id, first.payment.id);
    assert_eq!(running.body_hash, [7; 32], "the first request's body");
    assert_eq!(running.answer, None);
    assert!(!is_stored(&store, &again).await);

    let told = declined(&first);
    let recorded = store.record_outcome(&told).await.unwrap();
    assert_eq!(recorded, COMMITTED);
    assert_eq!(store.record_intent(&again).await, Ok(Verdict::RequestTaken));
    let done = answer(&store, &again).await.unwrap().answer.unwrap();
    assert_eq!(
        (*done.0, *done.1),
        (told.payment.clone(), told.operation.clone())
    );

    // Whatever becomes of the payment later, that answer stands.
    let id = first.payment.id;
    database
        .execute(&format!(
            "UPDATE payments SET version = 9, updated_at_ms = 1, authorized_minor = 3, \
             captured_minor = 2, refunded_minor = 1, disputed_minor = 1, state = 'EXPIRED', \
             state_detail = '{{\"state\":\"EXPIRED\"}}' WHERE id = '{id}'"
        ))
        .await;
    let told_again = answer(&store, &first).await.unwrap().answer.unwrap();
    assert_eq!(*told_again.0, told.payment);

    // The refused repetition has used up nothing: its sealed card still works elsewhere.
    let mut other = intent("shop");
    other.envelope = again.envelope;
    assert_eq!(store.record_intent(&other).await.unwrap(), COMMITTED);
    store.close().await;

    let reopened = database.open().await;
    let told_again = answer(&reopened, &first).await.unwrap().answer.unwrap();
    assert_eq!(
        (*told_again.0, *told_again.1),
        (told.payment, told.operation)
    );
}

async fn requests_differ_by_merchant_and_method(database: TestDatabase) {
    let store = database.open().await;
    let first = intent("shop");
    let mut other_merchant = intent("other-shop");
    other_merchant.claim.request_id = first.claim.request_id.clone();
    other_merchant.envelope = first.envelope.clone();
    let mut other_method = intent("shop");
    other_method.claim.request_id = first.claim.request_id.clone();
    other_method.claim.method = "CapturePayment";
    for intent in [first, other_merchant, other_method] {
        assert_eq!(store.record_intent(&intent).await.unwrap(), COMMITTED);
    }
}

async fn a_sealed_card_works_once(database: TestDatabase) {
    let store = database.open().await;
    let first = intent("shop");
    store.record_intent(&first).await.unwrap();
    let mut again = intent("shop");
    again.envelope = first.envelope.clone();
    let outcome = store.record_intent(&again).await.unwrap();
    assert_eq!(outcome, Verdict::EnvelopeUsed);
    assert!(!is_stored(&store, &again).await);
    assert_eq!(
        answer(&store, &again).await,
        None,
        "the request was taken back"
    );
    again.envelope = Some(EnvelopeUse {
        jti: "another".into(),
        expires_at: NOW,
    });
    assert_eq!(store.record_intent(&again).await.unwrap(), COMMITTED);
}

async fn of_many_at_once_one_is_recorded(database: TestDatabase) {
    let store = database.open().await;
    let key = intent("shop").claim;
    let intents: Vec<_> = (0..50)
        .map(|_| Intent {
            claim: key.clone(),
            ..intent("shop")
        })
        .collect();
    let tasks: Vec<_> = intents
        .iter()
        .cloned()
        .map(|intent| {
            let store = store.clone();
            tokio::spawn(async move { store.record_intent(&intent).await.unwrap() })
        })
        .collect();
    let mut recorded = Vec::new();
    for (task, intent) in tasks.into_iter().zip(&intents) {
        match task.await.unwrap() {
            COMMITTED => recorded.push(intent.payment.id),
            other => assert_eq!(other, Verdict::RequestTaken),
        }
    }
    let running = answer(&store, &intents[0]).await.unwrap();
    assert_eq!(recorded, [running.payment_id]);
}

async fn of_many_with_one_sealed_card_one_is_recorded(database: TestDatabase) {
    let store = database.open().await;
    let envelope = intent("shop").envelope;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            let intent = Intent {
                envelope: envelope.clone(),
                ..intent("shop")
            };
            tokio::spawn(async move {
                let outcome = store.record_intent(&intent).await.unwrap();
                let stored = is_stored(&store, &intent).await;
                assert_eq!(stored, outcome == COMMITTED);
                outcome
            })
        })
        .collect();
    let mut recorded = 0;
    for task in tasks {
        match task.await.unwrap() {
            COMMITTED => recorded += 1,
            other => assert_eq!(other, Verdict::EnvelopeUsed),
        }
    }
    assert_eq!(recorded, 1);
}

async fn a_bad_record_spoils_no_other(database: TestDatabase) {
    let store = database.open().await;
    let taken = intent("shop");
    store.record_intent(&taken).await.unwrap();
    let mut intents: Vec<_> = (0..20).map(|_| intent("shop")).collect();
    // The same RRN and STAN of the same host and date: that must never be given out twice.
    intents[7].operation.rrn = taken.operation.rrn;
    intents[7].operation.stan = taken.operation.stan;
    let tasks: Vec<_> = intents
        .iter()
        .cloned()
        .map(|intent| {
            let store = store.clone();
            tokio::spawn(async move { store.record_intent(&intent).await })
        })
        .collect();
    for (index, task) in tasks.into_iter().enumerate() {
        let result = task.await.unwrap();
        if index == 7 {
            fails!(result, Conflict);
        } else {
            assert_eq!(result, Ok(COMMITTED), "{index}");
        }
    }
    assert!(!is_stored(&store, &intents[7]).await);
    assert_eq!(answer(&store, &intents[7]).await, None);
}

/// They never reach the database, so that one engine is enough.
#[tokio::test]
async fn parts_that_do_not_belong_together_are_refused() {
    let database = TestDatabase::sqlite().await;
    let store = database.open().await;
    let good = intent("shop");
    type Spoil = fn(&mut Intent);
    let spoils: [Spoil; 7] = [
        |it| it.payment.version = 2,
        |it| it.payment.amounts.authorized_minor = 1,
        |it| it.payment.authorization.operation_id = intent("shop").operation.id,
        |it| it.operation.payment_id = intent("shop").payment.id,
        |it| it.operation.version = 2,
        |it| it.claim.merchant_id = "other".parse().unwrap(),
        |it| it.operation.amount = Money::new(1, "JPY".parse().unwrap()).unwrap(),
    ];
    for spoil in spoils {
        let mut bad = good.clone();
        spoil(&mut bad);
        let refused = store.record_intent(&bad).await;
        fails!(refused, Invalid);
    }
    let mut unchanged = approved(&good);
    unchanged.payment.version = 1;
    let mut other_reversal = unknown(&good);
    other_reversal.reversal.as_mut().unwrap().payment_id = intent("shop").payment.id;
    for bad in [unchanged, other_reversal] {
        let refused = store.record_outcome(&bad).await;
        fails!(refused, Invalid);
    }
    let neither = store.commit(&Change::default()).await;
    fails!(neither, Invalid);
}

async fn another_merchants_payment_is_not_there(database: TestDatabase) {
    let store = database.open().await;
    let intent = intent("shop");
    store.record_intent(&intent).await.unwrap();
    let other = "other".parse().unwrap();
    assert_eq!(
        store.payment(&other, intent.payment.id).await.unwrap(),
        None
    );
    assert_eq!(
        store
            .payments_by_rrn(&other, intent.payment.authorization.rrn)
            .await
            .unwrap(),
        vec![]
    );
    let reference = &intent.payment.merchant_reference;
    assert_eq!(
        store
            .payments_by_merchant_reference(&other, reference)
            .await
            .unwrap(),
        vec![]
    );
    let key = &intent.claim;
    assert_eq!(
        store
            .find_answer(&other, METHOD, &key.request_id)
            .await
            .unwrap(),
        None
    );
}
