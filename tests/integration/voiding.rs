//! Voids: the hold is given back, once, and never under a capture.

use bank_sim::issuer::Standing;
use futures_util::future::join_all;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::pb;
use pb::{CaptureState, OperationKind, PaymentAction, PaymentState as State};
use tonic::Status;

use crate::capturing::{actions, booked, capture, ended, of, try_capture};
use crate::database::Engine;
use crate::faults::{UNANSWERED, fault, inject, with_code};
use crate::harness::{Payments, Switch, authorize, eventually, on_both_engines, pay_with, unique};
use crate::unknown_outcomes::found;

on_both_engines!(
    a_void_gives_the_hold_back,
    a_void_is_repeated_until_the_bank_acknowledges_it,
    a_void_that_the_bank_refuses_leaves_the_hold,
    a_payment_is_voided_or_captured_and_never_both,
    two_voids_at_once_are_one,
);

pub(crate) fn void_of(payment: &pb::Payment) -> pb::VoidPaymentRequest {
    pb::VoidPaymentRequest {
        request_id: format!("void-{}", unique()),
        payment_id: payment.payment_id.clone(),
    }
}

pub(crate) async fn try_void(
    payments: &mut Payments,
    request: pb::VoidPaymentRequest,
) -> Result<(pb::Payment, pb::Operation), Status> {
    let answer = payments.void_payment(request).await?.into_inner();
    Ok((
        answer.payment.expect("a payment"),
        answer.void.expect("the void"),
    ))
}

pub(crate) async fn became(payments: &mut Payments, payment_id: &str, state: State) -> pb::Payment {
    eventually("the end of the void", async || {
        let payment = found(payments, payment_id).await;
        if payment.state() == State::Voiding {
            return None;
        }
        assert_eq!(payment.state(), state, "{payment:?}");
        Some(payment)
    })
    .await
}

async fn a_void_gives_the_hold_back(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    assert!(actions(&payment).contains(&PaymentAction::Void));
    let request = void_of(&payment);
    let (told, void) = try_void(&mut payments, request.clone())
        .await
        .expect("a void");
    assert_eq!(told.state(), State::Voiding);
    assert_eq!(actions(&told), []);
    assert_eq!(void.kind(), OperationKind::Void);
    let voided = became(&mut payments, &payment.payment_id, State::Voided).await;
    assert_eq!(actions(&voided), []);
    assert_eq!(booked(&switch, &payment), (vec![], Standing::Reversed));
    let kept = "SELECT COUNT(*) FROM payments WHERE custody IS NOT NULL".to_owned();
    assert_eq!(switch.database.number(kept).await, 0);

    let (again, same) = try_void(&mut payments, request).await.expect("the answer");
    assert_eq!((again.state(), same), (State::Voiding, void));
    let refused = try_void(&mut payments, void_of(&payment)).await;
    let refused = refused.expect_err("it is voided");
    assert_eq!(error_reason(&refused).as_deref(), Some("PAYMENT_STATE"));
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(
        (counters.received("0420"), counters.received("0421")),
        (1, 0)
    );
    switch.database.assert_books_are_whole().await;
}

async fn a_void_is_repeated_until_the_bank_acknowledges_it(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    inject(&switch, fault("0420", UNANSWERED)).await;
    try_void(&mut payments, void_of(&payment))
        .await
        .expect("a void");
    became(&mut payments, &payment.payment_id, State::Voided).await;
    assert_eq!(booked(&switch, &payment), (vec![], Standing::Reversed));
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(
        (counters.received("0420"), counters.received("0421")),
        (1, 1)
    );
    switch.database.assert_books_are_whole().await;
}

async fn a_void_that_the_bank_refuses_leaves_the_hold(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    inject(&switch, fault("0420", with_code("57"))).await;
    try_void(&mut payments, void_of(&payment))
        .await
        .expect("a void");
    let held = became(&mut payments, &payment.payment_id, State::Authorized).await;
    assert!(actions(&held).contains(&PaymentAction::Capture));
    switch.database.assert_books_are_whole().await;
}

/// One after the other, and at once.
async fn a_payment_is_voided_or_captured_and_never_both(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    for part in [7_000, 2_000] {
        let (_, part) = capture(&mut payments, of(&payment, part)).await;
        ended(&mut payments, &part.capture_id, CaptureState::Captured).await;
    }
    let refused = try_void(&mut payments, void_of(&payment)).await;
    let refused = refused.expect_err("it is captured");
    assert_eq!(error_reason(&refused).as_deref(), Some("PAYMENT_STATE"));
    assert!(refused.message().contains("refund"), "{refused:?}");
    let remaining_minor = 1_000;
    let held = Standing::Held { remaining_minor };
    assert_eq!(booked(&switch, &payment), (vec![2_000, 7_000], held));

    let requests = [(); 30].map(|()| pay_with("pm_test_visa_2", 10_000, "EUR"));
    let held = join_all(requests.map(|request| {
        let mut payments = payments.clone();
        async move { authorize(&mut payments, request).await }
    }))
    .await;
    let both = join_all(held.iter().map(|payment| {
        let (mut one, mut other) = (payments.clone(), payments.clone());
        async move {
            tokio::join!(
                try_void(&mut one, void_of(payment)),
                try_capture(&mut other, of(payment, 10_000)),
            )
        }
    }))
    .await;
    for (payment, (voided, captured)) in held.iter().zip(both) {
        assert_ne!(voided.is_ok(), captured.is_ok(), "{voided:?} {captured:?}");
        match captured {
            Ok((_, told)) => {
                ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
                assert_eq!(booked(&switch, payment), (vec![10_000], Standing::Posted));
            }
            Err(_) => {
                became(&mut payments, &payment.payment_id, State::Voided).await;
                assert_eq!(booked(&switch, payment), (vec![], Standing::Reversed));
            }
        }
    }
    switch.database.assert_books_are_whole().await;
}

/// Of two requests to void one payment one is taken, and one message reaches the bank.
async fn two_voids_at_once_are_one(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let requests = [(); 30].map(|()| pay_with("pm_test_visa", 10_000, "EUR"));
    let held = join_all(requests.map(|request| {
        let mut payments = payments.clone();
        async move { authorize(&mut payments, request).await }
    }))
    .await;
    let both = join_all(held.iter().map(|payment| {
        let (mut one, mut other) = (payments.clone(), payments.clone());
        async move {
            tokio::join!(
                try_void(&mut one, void_of(payment)),
                try_void(&mut other, void_of(payment)),
            )
        }
    }))
    .await;
    for (payment, (one, other)) in held.iter().zip(both) {
        assert_ne!(one.is_ok(), other.is_ok(), "{one:?} {other:?}");
        let refused = one.err().or(other.err()).expect("one is refused");
        assert_eq!(error_reason(&refused).as_deref(), Some("PAYMENT_STATE"));
        became(&mut payments, &payment.payment_id, State::Voided).await;
    }
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(counters.received("0420"), 30);
}
