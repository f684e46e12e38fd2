//! Late and quarantined responses.

use super::make::{NOW, approved, intent, random, unknown};
use super::{fails, on_both};
use crate::payment::decline::ResponseCode;
use crate::payment::ids::QuarantineId;
use crate::store::records::{LateResponse, QuarantinedResponse};
use crate::store::testing::TestDatabase;

on_both!(
    a_late_approval_leaves_exactly_one_reversal,
    a_late_response_to_nothing_is_refused,
    the_quarantine_is_visible,
);

async fn a_late_approval_leaves_exactly_one_reversal(database: TestDatabase) {
    let store = database.open().await;
    let pending = intent("shop");
    let answered = intent("shop");
    for intent in [&pending, &answered] {
        store.record_intent(intent).await.unwrap();
    }
    let told = unknown(&pending);
    store.record_outcome(&told).await.unwrap();
    store.record_outcome(&approved(&answered)).await.unwrap();

    // (operation, is the first)
    let cases = [
        (&pending, true),
        (&pending, false),
        (&answered, true),
        (&answered, false),
    ];
    for (intent, first) in cases {
        let operation_id = intent.operation.id;
        let late = LateResponse {
            operation_id,
            host_id: "acquirer".parse().unwrap(),
            response_code: ResponseCode::APPROVED,
            approval_code: Some("LATE01".into()),
            amount_differs: false,
            received_at: NOW.plus_ms(60_000),
        };
        let recorded = store.record_late_response(late.clone()).await;
        assert_eq!(recorded.unwrap(), first);
        let differs = LateResponse {
            amount_differs: true,
            ..late
        };
        let recorded = store.record_late_response(differs).await;
        assert_eq!(recorded.unwrap(), first, "it is noted once");
        let noted = store.late_response(operation_id).await.unwrap();
        assert!(noted.unwrap().amount_differs);
    }
    assert_eq!(
        store.owed().await.len(),
        1,
        "a late response never adds a reversal"
    );
    let merchant = &pending.payment.merchant_id;
    let standing = store.payment(merchant, pending.payment.id).await.unwrap();
    assert_eq!(
        standing,
        Some(told.payment),
        "what the merchant was told stands"
    );
}

async fn a_late_response_to_nothing_is_refused(database: TestDatabase) {
    let store = database.open().await;
    let late = LateResponse {
        operation_id: intent("shop").operation.id,
        host_id: "acquirer".parse().unwrap(),
        response_code: "05".parse().unwrap(),
        approval_code: None,
        amount_differs: false,
        received_at: NOW,
    };
    fails!(store.record_late_response(late).await, Refused);
}

async fn the_quarantine_is_visible(database: TestDatabase) {
    let store = database.open().await;
    let mut all = Vec::new();
    for number in 0..5_i64 {
        let readable = number % 2 == 0;
        let response = QuarantinedResponse {
            id: QuarantineId::from_parts(NOW.plus_ms(number), random()),
            host_id: "acquirer".parse().unwrap(),
            reason: "no such STAN is waiting".into(),
            mti: "0110".into(),
            stan: readable.then(|| 17.try_into().unwrap()),
            rrn: readable.then(|| "632500000017".parse().unwrap()),
            response_code: readable.then_some(ResponseCode::APPROVED),
            message: "0110 DE 2 411111******1111".into(),
            received_at: NOW.plus_ms(number),
        };
        store.record_quarantined(response.clone()).await.unwrap();
        store.record_quarantined(response.clone()).await.unwrap();
        all.insert(0, response);
    }
    assert_eq!(store.list_quarantine(10, None).await.unwrap(), all);
    assert_eq!(store.list_quarantine(2, None).await.unwrap(), all[..2]);
    assert_eq!(
        store.list_quarantine(2, Some(all[1].id)).await.unwrap(),
        all[2..4]
    );
}
