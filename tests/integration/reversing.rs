//! ReversePayment: whatever became of a payment, what it holds and has captured goes back to the cardholder.

use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::pb;
use pb::{
    CaptureState, OperationKind, PaymentAction, PaymentState as State, RefundState, ReleaseState,
};
use tonic::{Code, Status};

use crate::capturing::{actions, capture, ended, minor, of};
use crate::database::Engine;
use crate::faults::{LOST, fault, inject, times};
use crate::harness::{Payments, Switch, authorize, eventually, on_both_engines, pay_with, unique};
use crate::refunding::{get_refund, refund_of, refunds_of, try_refund};
use crate::releasing::{held_minor, operations, release, released};
use crate::sales::sale;
use crate::styles::{dual_message, requests};
use crate::unknown_outcomes::found;
use crate::voiding::became;

on_both_engines!(
    a_hold_is_voided,
    what_is_captured_is_refunded_and_the_rest_released_in_each_style,
    a_sale_is_refunded,
    what_is_left_of_a_refunded_payment_is_released,
    what_can_not_be_reversed_is_refused,
);

pub(crate) fn reverse_of(payment: &pb::Payment) -> pb::ReversePaymentRequest {
    pb::ReversePaymentRequest {
        request_id: format!("reverse-{}", unique()),
        payment_id: payment.payment_id.clone(),
    }
}

async fn try_reverse(
    payments: &mut Payments,
    request: pb::ReversePaymentRequest,
) -> Result<(pb::Payment, pb::ReversePaymentResponse), Status> {
    let answer = payments.reverse_payment(request).await?.into_inner();
    Ok((answer.payment.clone().expect("a payment"), answer))
}

async fn reverse(
    payments: &mut Payments,
    request: pb::ReversePaymentRequest,
) -> (pb::Payment, pb::ReversePaymentResponse) {
    try_reverse(payments, request).await.expect("a reversal")
}

fn balance_minor(switch: &Switch) -> i64 {
    let books = switch.banks.books("issuer-a").expect("books");
    let account = books.account("4242424242424242", "EUR");
    account.expect("the account").balance_minor
}

async fn a_hold_is_voided(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    assert!(actions(&payment).contains(&PaymentAction::Reverse));
    let request = reverse_of(&payment);
    let (told, answer) = reverse(&mut payments, request.clone()).await;
    assert_eq!(told.state(), State::Voiding);
    let void = answer.void.expect("the void");
    assert_eq!((void.kind(), answer.refunds), (OperationKind::Void, vec![]));
    let voided = became(&mut payments, &payment.payment_id, State::Voided).await;
    assert_eq!(actions(&voided), []);
    let (_, again) = reverse(&mut payments, request).await;
    let same = again.void.expect("the void");
    assert_eq!(same.operation_id, void.operation_id);
    let refused = try_reverse(&mut payments, reverse_of(&payment)).await;
    let refused = refused.expect_err("it is voided");
    assert_eq!(error_reason(&refused).as_deref(), Some("PAYMENT_STATE"));
    switch.database.assert_books_are_whole().await;
}

/// As an advice, as a request, and in a file: one request, and its answer says both.
async fn what_is_captured_is_refunded_and_the_rest_released_in_each_style(engine: Engine) {
    for profile in [None, Some(requests()), Some(dual_message())] {
        let is_in_a_file = profile.as_ref() == Some(&dual_message());
        let switch = match profile {
            None => Switch::start(engine).await,
            profile => Switch::start_with(engine, profile).await,
        };
        let mut payments = switch.payments().await;
        let mut refunds = refunds_of(&switch).await;
        let before = (balance_minor(&switch), held_minor(&switch));
        let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
        let (_, told) = capture(&mut payments, of(&payment, 6_000)).await;
        if !is_in_a_file {
            ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
        }
        let standing = found(&mut payments, &payment.payment_id).await;
        assert!(actions(&standing).contains(&PaymentAction::Reverse));
        let request = reverse_of(&payment);
        let (after, answer) = reverse(&mut payments, request.clone()).await;
        assert_eq!(after.state(), State::Captured);
        assert_eq!(minor(&after.refunded_amount), 6_000);
        assert_eq!(minor(&after.capturable_amount), 0);
        let [refund] = &answer.refunds[..] else {
            panic!("{answer:?}");
        };
        assert_eq!(minor(&refund.amount), 6_000);
        assert_eq!(refund.capture_id, told.capture_id);
        let given_up = answer.void.as_ref().expect("the release");
        assert_eq!(given_up.kind(), OperationKind::Release);
        assert_eq!(minor(&given_up.amount), 4_000);

        let after = released(&mut payments, &payment, ReleaseState::Released).await;
        assert_eq!(release(&after), Some((4_000, ReleaseState::Released)));
        if is_in_a_file {
            // Nothing is claimed yet, and what will be is held.
            assert_eq!(held_minor(&switch) - before.1, 6_000);
        } else {
            eventually("the refund", async || {
                let refund = get_refund(&mut refunds, &refund.refund_id).await;
                (refund.state() == RefundState::Refunded).then_some(())
            })
            .await;
            assert_eq!((balance_minor(&switch), held_minor(&switch)), before);
        }
        let (_, again) = reverse(&mut payments, request).await;
        assert_eq!(again.refunds[0].refund_id, refund.refund_id);
        assert_eq!(
            again.void.map(|release| release.operation_id),
            Some(given_up.operation_id.clone())
        );
        assert_eq!(operations(&mut payments, &payment).await.len(), 4);
        switch.database.assert_books_are_whole().await;
    }
}

async fn a_sale_is_refunded(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let before = balance_minor(&switch);
    let sold = authorize(&mut payments, sale("pm_test_visa", 10_000)).await;
    assert!(actions(&sold).contains(&PaymentAction::Reverse));
    let (after, answer) = reverse(&mut payments, reverse_of(&sold)).await;
    assert_eq!(minor(&after.refunded_amount), 10_000);
    assert_eq!((answer.refunds.len(), answer.void), (1, None));
    assert_eq!(balance_minor(&switch), before);
    switch.database.assert_books_are_whole().await;
}

async fn what_is_left_of_a_refunded_payment_is_released(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(&switch).await;
    let before = held_minor(&switch);
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    let (_, told) = capture(&mut payments, of(&payment, 6_000)).await;
    ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
    let refund = try_refund(&mut refunds, refund_of(&payment, None)).await;
    refund.expect("a refund");
    let (after, answer) = reverse(&mut payments, reverse_of(&payment)).await;
    assert_eq!(after.state(), State::Captured);
    assert_eq!(answer.refunds, []);
    let given_up = answer.void.expect("the release");
    assert_eq!(given_up.kind(), OperationKind::Release);
    released(&mut payments, &payment, ReleaseState::Released).await;
    assert_eq!(held_minor(&switch), before);
    switch.database.assert_books_are_whole().await;
}

/// Nothing of it is recorded or sent: what it would do is one commit, or nothing.
async fn what_can_not_be_reversed_is_refused(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let declined = pay_with("pm_test_insufficient_funds", 10_000, "EUR");
    let declined = authorize(&mut payments, declined).await;
    let twice = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    for part in [7_000, 2_000] {
        let (_, part) = capture(&mut payments, of(&twice, part)).await;
        ended(&mut payments, &part.capture_id, CaptureState::Captured).await;
    }
    let pending = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    for mti in ["0220", "0221"] {
        inject(&switch, times(0, fault(mti, LOST))).await;
    }
    capture(&mut payments, of(&pending, 6_000)).await;
    for (payment, code, reason) in [
        (&declined, Code::FailedPrecondition, "PAYMENT_STATE"),
        (&twice, Code::FailedPrecondition, "SEVERAL_CAPTURES"),
        (&pending, Code::Aborted, "OPERATION_IN_PROGRESS"),
    ] {
        let before = operations(&mut payments, payment).await.len();
        let refused = try_reverse(&mut payments, reverse_of(payment)).await;
        let refused = refused.expect_err("a refusal");
        assert_eq!(error_reason(&refused).as_deref(), Some(reason));
        assert_eq!(refused.code(), code);
        assert_eq!(operations(&mut payments, payment).await.len(), before);
    }
    switch.database.assert_books_are_whole().await;
}
