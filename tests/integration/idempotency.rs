//! A request is carried out once, however often, wherever and whenever it comes.

use futures_util::future::join_all;
use payswitch::card::header::Algorithm;
use payswitch::merchant_api::pb;
use pb::PaymentState as State;
use prost::Message as _;
use tonic::{Code, Response, Status};

use crate::database::Engine;
use crate::harness::{
    Payments, Switch, authorize, now, on_both_engines, pay_with, run, unique, until, with_key,
};
use crate::refused::Refused;
use crate::sealing::{Claims, card, with_sealed};

on_both_engines!(
    the_same_request_gets_the_same_answer,
    another_body_is_refused,
    a_request_that_still_runs_is_not_begun_again,
    fifty_at_once_are_one,
    two_merchants_may_use_one_request_id,
    an_answer_outlives_its_envelope,
    an_answer_outlives_its_gateway,
    what_was_refused_is_not_remembered,
);

/// What travels, so that "the same" is the same to the byte.
async fn answer(payments: &mut Payments, request: &pb::AuthorizePaymentRequest) -> Vec<u8> {
    let answer = payments.authorize_payment(request.clone()).await;
    answer
        .unwrap_or_else(|status| panic!("an answer, not {status:?}"))
        .into_inner()
        .encode_to_vec()
}

fn payment_in(answer: &[u8]) -> pb::Payment {
    *pb::AuthorizePaymentResponse::decode(answer)
        .expect("an answer")
        .payment
        .expect("a payment")
}

/// Requests that end in each way, and the state that they end in.
fn every_ending(switch: &Switch) -> Vec<(pb::AuthorizePaymentRequest, State)> {
    let sealed = |pan| switch.pay_sealed(&card(pan), 1250, "EUR");
    vec![
        (pay_with("pm_test_visa", 1250, "EUR"), State::Authorized),
        (sealed("5555555555554444"), State::Authorized),
        (pay_with("pm_test_lost", 1250, "EUR"), State::Declined),
        (sealed("4000000000009995"), State::Declined),
        (
            pay_with("pm_test_issuer_down", 1250, "EUR"),
            State::Declined,
        ),
        (
            pay_with("pm_test_no_answer", 1250, "EUR"),
            State::Authorizing,
        ),
        (sealed("4000000000006009"), State::Authorizing),
    ]
}

async fn every_answer(
    switch: &Switch,
    endings: &[(pb::AuthorizePaymentRequest, State)],
) -> Vec<Vec<u8>> {
    let payments = switch.payments().await;
    let answers = endings.iter().map(|(request, state)| {
        let mut payments = payments.clone();
        async move {
            let answer = answer(&mut payments, request).await;
            assert_eq!(payment_in(&answer).state(), *state);
            answer
        }
    });
    join_all(answers).await
}

async fn the_same_request_gets_the_same_answer(engine: Engine) {
    let switch = Switch::start(engine).await;
    let endings = every_ending(&switch);
    let first = every_answer(&switch, &endings).await;
    for _ in 0..3 {
        assert_eq!(every_answer(&switch, &endings).await, first);
    }
    // What comes later changes nothing of what was told.
    until("the answer that comes late", async || {
        switch.database.count("late_responses").await == 1
    })
    .await;
    assert_eq!(every_answer(&switch, &endings).await, first);
    assert_eq!(switch.at_acquirer(), 7);
    assert_eq!(switch.database.count("payments").await, 7);
    assert_eq!(switch.database.count("idempotency").await, 7);
}

async fn another_body_is_refused(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let by_token = pay_with("pm_test_visa", 1250, "EUR");
    let by_card = switch.pay_sealed(&card("4242424242424242"), 1250, "EUR");
    type Change = fn(&mut pb::AuthorizePaymentRequest);
    let changes: [(&str, Change); 8] = [
        ("the amount", |r| {
            r.amount.as_mut().expect("an amount").amount_minor += 1
        }),
        ("the currency", |r| {
            r.amount.as_mut().expect("an amount").currency = "USD".into()
        }),
        ("the order", |r| r.merchant_reference.push('x')),
        ("a customer", |r| r.customer_reference = "crm-77".into()),
        ("a description", |r| r.description = "two tickets".into()),
        ("a terminal", |r| r.terminal_id = "KIOSK7".into()),
        ("the token", |r| {
            r.payment_method = pay_with("pm_test_mastercard", 1, "EUR").payment_method;
        }),
        ("a token that is none", |r| {
            r.payment_method = pay_with("pm_test_nobody", 1, "EUR").payment_method;
        }),
    ];
    let expected = Refused {
        preconditions: vec!["request_id".into()],
        ..Refused::not_sent(Code::FailedPrecondition, "REQUEST_ID_REUSED")
    };
    for request in [by_token, by_card] {
        let first = answer(&mut payments, &request).await;
        for (what, change) in changes {
            let mut changed = request.clone();
            change(&mut changed);
            let status = payments.authorize_payment(changed).await.expect_err(what);
            assert_eq!(Refused::from(&status), expected, "{what}");
        }
        // A card that was sealed anew is another body, too, and stays unused.
        let claims = Claims::of(switch.merchant_id.as_str(), &request);
        let recipient = switch.recipient(Algorithm::EcdhEs);
        let sealed = claims.seal(&recipient, &card("4242424242424242"));
        let resealed = with_sealed(request.clone(), sealed);
        let status = payments
            .authorize_payment(resealed.clone())
            .await
            .expect_err("resealed");
        assert_eq!(Refused::from(&status), expected);
        assert_eq!(answer(&mut payments, &request).await, first);
        let under_new_id = pb::AuthorizePaymentRequest {
            request_id: format!("new-{}", unique()),
            ..resealed
        };
        authorize(&mut payments, under_new_id).await;
    }
    assert_eq!(switch.at_acquirer(), 4);
}

/// The refusal of a request whose first call has not ended.
fn still_running() -> Refused {
    Refused {
        outcome: "UNKNOWN".into(),
        retry: true,
        ..Refused::not_sent(Code::Aborted, "REQUEST_IN_PROGRESS")
    }
}

async fn a_request_that_still_runs_is_not_begun_again(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let request = pay_with("pm_test_no_answer", 1250, "EUR");
    let first = tokio::spawn({
        let (mut payments, request) = (payments.clone(), request.clone());
        async move { answer(&mut payments, &request).await }
    });
    until("the message at the acquirer", async || {
        switch.at_acquirer() == 1
    })
    .await;
    let status = payments
        .authorize_payment(request.clone())
        .await
        .expect_err("running");
    assert_eq!(Refused::from(&status), still_running());
    let mut changed = request.clone();
    changed.description = "another".into();
    let status = payments
        .authorize_payment(changed)
        .await
        .expect_err("another body");
    assert_eq!(status.code(), Code::FailedPrecondition);
    let first = first.await.expect("an answer");
    assert_eq!(answer(&mut payments, &request).await, first);
    assert_eq!(switch.at_acquirer(), 1);
}

/// All of them are the one payment, or are told to ask again.
fn assert_one_payment(answers: Vec<Result<Response<pb::AuthorizePaymentResponse>, Status>>) {
    let mut payments: Vec<pb::AuthorizePaymentResponse> = Vec::new();
    for answer in answers {
        match answer {
            Ok(answer) => payments.push(answer.into_inner()),
            Err(status) => assert_eq!(Refused::from(&status), still_running()),
        }
    }
    assert!(!payments.is_empty(), "one of them began it");
    payments.dedup();
    assert_eq!(payments.len(), 1, "{payments:?}");
}

async fn fifty_at_once_are_one(engine: Engine) {
    let switch = Switch::start(engine).await;
    // Ten connections, so that they come at once.
    let clients: Vec<_> = join_all((0..10).map(|_| switch.payments())).await;
    for request in [
        pay_with("pm_test_visa", 1250, "EUR"),
        switch.pay_sealed(&card("5555555555554444"), 1250, "EUR"),
    ] {
        let before = switch.at_acquirer();
        let calls = (0..50).map(|number| {
            let (mut payments, request) = (clients[number % 10].clone(), request.clone());
            async move { payments.authorize_payment(request).await }
        });
        assert_one_payment(join_all(calls).await);
        assert_eq!(switch.at_acquirer(), before + 1);
    }
    assert_eq!(switch.database.count("payments").await, 2);
}

#[test]
fn two_gateways_on_one_database_are_one() {
    run(async {
        let switch = Switch::start(Engine::Postgres).await;
        let second = switch.another_gateway().await;
        let clients = [
            switch.payments().await,
            with_key(switch.connect_to(&second, None).await, &switch.api_key),
        ];
        for request in [
            pay_with("pm_test_visa", 1250, "EUR"),
            switch.pay_sealed(&card("5555555555554444"), 1250, "EUR"),
        ] {
            let before = switch.at_acquirer();
            let calls = (0..50).map(|number| {
                let (mut payments, request) = (clients[number % 2].clone(), request.clone());
                async move { payments.authorize_payment(request).await }
            });
            assert_one_payment(join_all(calls).await);
            assert_eq!(switch.at_acquirer(), before + 1);
            // Each of them knows what the other was told.
            let [mut one, mut two] = clients.clone();
            assert_eq!(
                answer(&mut one, &request).await,
                answer(&mut two, &request).await
            );
        }
        // A sealed card that one has opened is used up at the other.
        let sealed = switch.pay_sealed(&card("4242424242424242"), 1250, "EUR");
        let [mut one, mut two] = clients.clone();
        authorize(&mut one, sealed.clone()).await;
        let again = pb::AuthorizePaymentRequest {
            request_id: "at-the-other".into(),
            ..sealed
        };
        let status = two.authorize_payment(again).await.expect_err("a replay");
        let expected = Refused::not_sent(Code::InvalidArgument, "SEALED_CARD_REFUSED");
        assert_eq!(Refused::from(&status), expected);
        // Both go on at once without using a number twice.
        let calls = (0..40).map(|number: usize| {
            let mut payments = clients[number % 2].clone();
            async move { authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await }
        });
        let mut numbers: Vec<_> = join_all(calls)
            .await
            .into_iter()
            .map(|payment| {
                assert_eq!(payment.state(), State::Authorized);
                (payment.stan().to_owned(), payment.rrn().to_owned())
            })
            .collect();
        numbers.sort();
        numbers.dedup();
        assert_eq!(numbers.len(), 40);
        assert_eq!(switch.at_acquirer(), 43);
        assert!(second.stop().await);
    });
}

async fn two_merchants_may_use_one_request_id(engine: Engine) {
    let switch = Switch::start(engine).await;
    let (_, other_key) = switch.add_merchant("other-shop", |_| {}).await;
    let mut payments = switch.payments().await;
    let mut others = switch.payments_of(&other_key).await;
    let request = pay_with("pm_test_visa", 1250, "EUR");
    let other_request = pb::AuthorizePaymentRequest {
        request_id: request.request_id.clone(),
        ..pay_with("pm_test_visa", 999, "JPY")
    };
    let first = answer(&mut payments, &request).await;
    let other = answer(&mut others, &other_request).await;
    assert_ne!(payment_in(&first).payment_id, payment_in(&other).payment_id);
    // The very same body, even, is another merchant's own.
    let same = answer(&mut others, &pay_as(&request, "same-body")).await;
    let same_again = answer(&mut payments, &pay_as(&request, "same-body")).await;
    assert_ne!(
        payment_in(&same).payment_id,
        payment_in(&same_again).payment_id
    );
    assert_eq!(answer(&mut payments, &request).await, first);
    assert_eq!(answer(&mut others, &other_request).await, other);
    assert_eq!(switch.at_acquirer(), 4);
}

fn pay_as(request: &pb::AuthorizePaymentRequest, id: &str) -> pb::AuthorizePaymentRequest {
    pb::AuthorizePaymentRequest {
        request_id: id.to_owned(),
        ..request.clone()
    }
}

async fn an_answer_outlives_its_envelope(engine: Engine) {
    const LIFETIME_S: i64 = 5;
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let request = pay_with("", 1250, "EUR");
    let mut claims = Claims::of(switch.merchant_id.as_str(), &request);
    claims.lifetime_s = LIFETIME_S;
    let sealed = claims.seal(
        &switch.recipient(Algorithm::EcdhEs),
        &card("4242424242424242"),
    );
    let request = with_sealed(request, sealed);
    let first = answer(&mut payments, &request).await;
    let expired_at = claims.issued_at.plus_ms(LIFETIME_S * 1000);
    until("an expired envelope", async || now() > expired_at).await;
    assert_eq!(answer(&mut payments, &request).await, first);
    let status = payments
        .authorize_payment(pay_as(&request, "after-it-expired"))
        .await
        .expect_err("an expired envelope");
    let expected = Refused::not_sent(Code::InvalidArgument, "SEALED_CARD_REFUSED");
    assert_eq!(Refused::from(&status), expected);
    assert_eq!(switch.at_acquirer(), 1);
}

async fn an_answer_outlives_its_gateway(engine: Engine) {
    let mut switch = Switch::start(engine).await;
    let endings = every_ending(&switch);
    let first = every_answer(&switch, &endings).await;
    for _ in 0..2 {
        switch.restart_gateway().await;
        assert_eq!(every_answer(&switch, &endings).await, first);
    }
    assert_eq!(switch.at_acquirer(), 7);
}

async fn what_was_refused_is_not_remembered(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let good = pay_with("pm_test_visa", 1250, "EUR");
    let mut wrong = good.clone();
    wrong.amount.as_mut().expect("an amount").currency = "XYZ".into();
    let clear = pb::AuthorizePaymentRequest {
        description: "4242424242424242".into(),
        ..good.clone()
    };
    let unknown = pb::AuthorizePaymentRequest {
        payment_method: pay_with("pm_test_nobody", 1, "EUR").payment_method,
        ..good.clone()
    };
    let bad = with_sealed(good.clone(), "eyJ.a.b.c.d".into());
    for refused in [wrong, clear, unknown, bad] {
        let status = payments
            .authorize_payment(refused)
            .await
            .expect_err("a refusal");
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    assert_eq!(
        authorize(&mut payments, good).await.state(),
        State::Authorized
    );
    assert_eq!(switch.at_acquirer(), 1);
}
