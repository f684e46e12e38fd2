//! Events: listed and streamed in the order of the commits, of every node; payments watched to their end.

use futures_util::future::join_all;
use payswitch::app;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::client::ApiKey;
use payswitch::merchant_api::pb;
use pb::event_service_client::EventServiceClient;
use pb::{EventKind as Kind, PaymentState as State};
use tokio::time::timeout;
use tonic::codec::Streaming;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::capturing::{capture, of};
use crate::database::Engine;
use crate::harness::{
    ANSWER_WITHIN, Payments, Switch, authorize, on_both_engines, pay_with, run, unique, with_key,
};
use crate::refunding::{refund_of, refunds_of, try_refund};
use crate::refused::Refused;
use crate::unknown_outcomes::reversed;
use crate::voiding::{became, try_void, void_of};

on_both_engines!(
    what_happens_is_listed_and_streamed_in_one_order,
    a_payment_is_watched_to_its_end,
);

pub(crate) type Events = EventServiceClient<InterceptedService<Channel, ApiKey>>;

pub(crate) async fn events_of(switch: &Switch, gateway: &app::running::Running) -> Events {
    let key = ApiKey::new(&switch.api_key).expect("an API key for a header");
    EventServiceClient::new(key.on(switch.connect_to(gateway, None).await))
}

async fn watch(events: &mut Events, after_cursor: &str) -> Streaming<pb::WatchEventsResponse> {
    let request = pb::WatchEventsRequest {
        after_cursor: after_cursor.to_owned(),
        kinds: Vec::new(),
    };
    let stream = events.watch_events(request).await;
    stream.expect("a stream").into_inner()
}

async fn next(stream: &mut Streaming<pb::WatchEventsResponse>) -> Result<pb::Event, Status> {
    let told = timeout(ANSWER_WITHIN, stream.message()).await;
    let told = told.expect("something in time")?.expect("no end");
    let event = told.event.expect("an event");
    assert_eq!(told.cursor, event.cursor);
    Ok(event)
}

async fn list(events: &mut Events, request: pb::ListEventsRequest) -> pb::ListEventsResponse {
    let answer = events.list_events(request).await;
    answer.expect("a page").into_inner()
}

/// Everything that is kept, in pages.
pub(crate) async fn all(events: &mut Events, page_size: i32) -> Vec<pb::Event> {
    let mut found = Vec::new();
    let mut after_cursor = String::new();
    loop {
        let page = pb::ListEventsRequest {
            page_size,
            after_cursor,
            kinds: Vec::new(),
        };
        let page = list(events, page).await;
        if page.events.is_empty() {
            let oldest = pb::ListEventsRequest {
                page_size: 1,
                after_cursor: page.oldest_cursor,
                kinds: Vec::new(),
            };
            let oldest = list(events, oldest).await.events;
            assert_eq!(oldest.first(), found.first());
            return found;
        }
        after_cursor = page.next_cursor;
        found.extend(page.events);
    }
}

/// What an event is about: the payment, and what is said of it.
fn row(event: &pb::Event) -> (Kind, String) {
    use pb::event::Subject as S;
    let about = match event.subject.as_ref().expect("a subject") {
        S::Payment(payment) => {
            assert_eq!(payment.version, event.payment_sequence);
            payment.state().as_str_name().to_owned()
        }
        S::Capture(capture) => capture.state().as_str_name().to_owned(),
        S::Refund(refund) => refund.state().as_str_name().to_owned(),
        other => panic!("{other:?}"),
    };
    (event.kind(), about.replace("_STATE_", " "))
}

/// A life: authorized, captured in part, refunded in part; another one voided, a third declined.
async fn live(switch: &Switch, payments: &mut Payments) {
    let payment = authorize(payments, pay_with("pm_test_visa", 1250, "EUR")).await;
    let (_, told) = capture(payments, of(&payment, 500)).await;
    crate::capturing::ended(payments, &told.capture_id, pb::CaptureState::Captured).await;
    let mut refunds = refunds_of(switch).await;
    let refund = try_refund(&mut refunds, refund_of(&payment, 200)).await;
    refund.expect("a refund");
    let payment = authorize(payments, pay_with("pm_test_visa", 700, "EUR")).await;
    try_void(payments, void_of(&payment)).await.expect("a void");
    became(payments, &payment.payment_id, State::Voided).await;
    // A verification is no payment, and has no events.
    let request = pb::VerifyCardRequest {
        request_id: format!("verify-{}", unique()),
        currency: "EUR".to_owned(),
        merchant_reference: "order".to_owned(),
        payment_method: Some(pb::verify_card_request::PaymentMethod::PaymentMethodToken(
            "pm_test_visa".to_owned(),
        )),
    };
    payments.verify_card(request).await.expect("an answer");
    authorize(payments, pay_with("pm_test_insufficient_funds", 800, "EUR")).await;
}

async fn what_happens_is_listed_and_streamed_in_one_order(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut events = events_of(&switch, switch.gateway()).await;
    // Of somebody else nothing is told.
    let (_, other_key) = switch.add_merchant("other-shop", |_| {}).await;
    let mut others = switch.payments_of(&other_key).await;
    authorize(&mut others, pay_with("pm_test_visa", 100, "EUR")).await;
    let mut watched_from_the_start = watch(&mut events, "").await;
    live(&switch, &mut payments).await;
    let told = all(&mut events, 2).await;
    let rows: Vec<(Kind, String)> = told.iter().map(row).collect();
    let expected = [
        (Kind::PaymentAuthorized, "PAYMENT AUTHORIZED"),
        (Kind::PaymentCaptured, "PAYMENT PARTIALLY_CAPTURED"),
        (Kind::RefundUpdated, "REFUND SENDING"),
        (Kind::RefundUpdated, "REFUND REFUNDED"),
        (Kind::PaymentAuthorized, "PAYMENT AUTHORIZED"),
        (Kind::PaymentVoiding, "PAYMENT VOIDING"),
        (Kind::PaymentVoided, "PAYMENT VOIDED"),
        (Kind::PaymentDeclined, "PAYMENT DECLINED"),
    ];
    assert_eq!(rows, expected.map(|(kind, about)| (kind, about.to_owned())));
    let sequences: Vec<i64> = told.iter().map(|event| event.payment_sequence).collect();
    assert_eq!(sequences, [2, 3, 4, 5, 2, 3, 4, 2]);
    for expected in &told {
        let streamed = next(&mut watched_from_the_start).await.expect("an event");
        assert_eq!(&streamed, expected);
    }
    let mut watched_from_the_middle = watch(&mut events, &told[4].cursor).await;
    authorize(&mut payments, pay_with("pm_test_visa", 900, "EUR")).await;
    let rest = all(&mut events, 2).await;
    assert_eq!(rest[..8], told);
    for expected in &rest[5..] {
        let streamed = next(&mut watched_from_the_middle).await;
        assert_eq!(&streamed.expect("an event"), expected);
    }
    let of_kinds = |kinds: &[Kind]| pb::ListEventsRequest {
        kinds: kinds.iter().map(|&kind| kind.into()).collect(),
        ..Default::default()
    };
    let voids = [Kind::PaymentVoided, Kind::PaymentVoiding];
    assert_eq!(list(&mut events, of_kinds(&voids)).await.events, rest[5..7]);
    let never = list(&mut events, of_kinds(&[Kind::PayoutMade])).await;
    assert_eq!(never.events, []);
    let other_store = Switch::start(Engine::Sqlite).await;
    let mut elsewhere = events_of(&other_store, other_store.gateway()).await;
    let after = |cursor: &str| pb::ListEventsRequest {
        after_cursor: cursor.to_owned(),
        ..Default::default()
    };
    let another = elsewhere.list_events(after(&rest[0].cursor)).await;
    let another = Refused::from(&another.expect_err("a refusal"));
    let reason = "CURSOR_OF_ANOTHER_STORE";
    assert_eq!(another, Refused::not_sent(Code::OutOfRange, reason));
    let none = events.list_events(after("4711")).await;
    let none = none.expect_err("a refusal");
    let bad = none.get_error_details().bad_request().cloned();
    let description = bad.and_then(|bad| bad.field_violations.into_iter().next());
    assert_eq!(
        description.map(|violation| violation.description),
        Some(
            "expected the cursor of an event or of an answer, got 4 characters of another form"
                .to_owned()
        )
    );
    let none = Refused::from(&none);
    let expected = Refused::invalid("INVALID_REQUEST", &["after_cursor"]);
    assert_eq!(none, expected);
    let unknown = pb::ListEventsRequest {
        kinds: vec![0],
        ..Default::default()
    };
    let unknown = events.list_events(unknown).await;
    let unknown = Refused::from(&unknown.expect_err("a refusal"));
    assert_eq!(unknown, Refused::invalid("INVALID_REQUEST", &["kinds"]));
}

async fn a_payment_is_watched_to_its_end(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let watched = async |payments: &mut Payments, payment: &pb::Payment| {
        let request = pb::WatchPaymentRequest {
            payment_id: payment.payment_id.clone(),
        };
        let stream = payments.watch_payment(request).await;
        stream.expect("a stream").into_inner()
    };
    let states = async |mut stream: Streaming<pb::WatchPaymentResponse>| {
        let mut states = Vec::new();
        while let Some(told) = stream.message().await.expect("no error") {
            let payment = told.payment.expect("a payment");
            states.push((payment.version, payment.state()));
        }
        states
    };
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
    let stream = watched(&mut payments, &payment).await;
    try_void(&mut payments, void_of(&payment))
        .await
        .expect("a void");
    let told = timeout(ANSWER_WITHIN, states(stream))
        .await
        .expect("an end");
    let expected = [
        (2, State::Authorized),
        (3, State::Voiding),
        (4, State::Voided),
    ];
    assert_eq!(told, expected);
    // What is over is told once.
    let stream = watched(&mut payments, &payment).await;
    assert_eq!(states(stream).await, [(4, State::Voided)]);
    let unknown = authorize(&mut payments, pay_with("pm_test_no_answer", 1250, "EUR")).await;
    let stream = watched(&mut payments, &unknown).await;
    reversed(&mut payments, &unknown.payment_id).await;
    let told = timeout(ANSWER_WITHIN, states(stream))
        .await
        .expect("an end");
    let (_, last) = told.last().expect("a payment");
    assert_eq!(*last, State::Reversed);
    let (_, other_key) = switch.add_merchant("other-shop", |_| {}).await;
    let mut others = switch.payments_of(&other_key).await;
    let request = pb::WatchPaymentRequest {
        payment_id: payment.payment_id,
    };
    let refused = others.watch_payment(request).await.expect_err("a refusal");
    assert_eq!(error_reason(&refused).as_deref(), Some("PAYMENT_NOT_FOUND"));
}

#[test]
fn what_another_node_commits_is_told() {
    run(async {
        let switch = Switch::start(Engine::Postgres).await;
        let second = switch.another_gateway().await;
        let mut events = events_of(&switch, switch.gateway()).await;
        let mut stream = watch(&mut events, "").await;
        let mut through_second = with_key(switch.connect_to(&second, None).await, &switch.api_key);
        let mut payments = switch.payments().await;
        let mut paid = Vec::new();
        for _ in 0..5 {
            for payments in [&mut payments, &mut through_second] {
                let payment = authorize(payments, pay_with("pm_test_visa", 1250, "EUR")).await;
                paid.push(payment.payment_id);
            }
        }
        for payment_id in paid {
            let event = next(&mut stream).await.expect("an event");
            let Some(pb::event::Subject::Payment(payment)) = event.subject else {
                panic!("{event:?}");
            };
            assert_eq!(payment.payment_id, payment_id);
        }
        assert!(second.stop().await, "the second gateway drains in time");
        // Each node tells those who watch it when it stops.
        let mut switch = switch;
        switch.stop_gateway().await;
        let ended = next(&mut stream).await.expect_err("an end");
        assert_eq!(ended.code(), Code::Unavailable);
        let info = ended.get_details_error_info().expect("a reason");
        assert_eq!(info.reason, "DRAINING");
        assert!(info.metadata.contains_key("cursor"));
    });
}

/// An event that can't be read ends its merchant's streams, and holds up no other merchant.
#[test]
fn an_event_that_cannot_be_read_ends_the_stream_before_it() {
    run(async {
        let switch = Switch::start(Engine::Sqlite).await;
        let mut events = events_of(&switch, switch.gateway()).await;
        let (_, key) = switch.add_merchant("other-shop", |_| ()).await;
        let other = ApiKey::new(&key).expect("an API key for a header");
        let mut others = EventServiceClient::new(other.on(switch.connect(None).await));
        let mut payments = switch.payments().await;
        authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
        let (mut stream, mut of_others) =
            (watch(&mut events, "").await, watch(&mut others, "").await);
        let first = next(&mut stream).await.expect("an event");
        // As a later version may write one.
        let later = "CREATE TRIGGER later AFTER INSERT ON events WHEN NEW.merchant_id <> 'other-shop' \
            BEGIN UPDATE events SET kind = 'LATER' WHERE position = NEW.position; END";
        switch.database.execute(later).await;
        authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
        let ended = next(&mut stream).await.expect_err("the end");
        assert_eq!(ended.code(), Code::Unavailable);
        let mut again = watch(&mut events, &first.cursor).await;
        let ended = next(&mut again).await.expect_err("the end");
        assert_eq!(ended.code(), Code::Unavailable);
        let mut payments = switch.payments_of(&key).await;
        authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
        next(&mut of_others)
            .await
            .expect("another merchant's event");
    });
}

/// It reads nothing for a while, and is told where to go on. Payments go on meanwhile.
#[test]
fn one_who_cannot_keep_up_is_ended_with_its_cursor() {
    run(async {
        let switch = Switch::start(Engine::Sqlite).await;
        let mut events = events_of(&switch, switch.gateway()).await;
        let mut slow = watch(&mut events, "").await;
        // More than a watcher may be behind, and than the windows of its connection take.
        let pay = async || {
            let mut payments = switch.payments().await;
            for _ in 0..170 {
                authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
            }
        };
        join_all((0..8).map(|_| pay())).await;
        let mut told = Vec::new();
        let ended = loop {
            match next(&mut slow).await {
                Ok(event) => told.push(event),
                Err(ended) => break ended,
            }
        };
        assert_eq!(ended.code(), Code::Aborted);
        let info = ended.get_details_error_info().expect("a reason");
        assert_eq!(info.reason, "WATCHER_TOO_SLOW");
        let cursor = info.metadata.get("cursor").expect("a cursor");
        assert_eq!(Some(cursor), told.last().map(|event| &event.cursor));
        let kept = switch.database.count("events").await;
        let mut stream = watch(&mut events, cursor).await;
        while i64::try_from(told.len()).expect("a count") < kept {
            told.push(next(&mut stream).await.expect("an event"));
        }
        let rest = all(&mut events, 2).await;
        assert_eq!(told, rest);
    });
}
