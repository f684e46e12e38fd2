//! Increments: more is held, each by a message of its own, which is undone by itself.

use futures_util::future::join_all;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::pb;
use pb::{
    CaptureState, OperationKind, OperationState, PaymentAction, PaymentState as State, ReleaseState,
};
use tonic::Status;

use crate::capturing::{actions, capture, ended, minor, of, try_capture};
use crate::database::Engine;
use crate::faults::{LOST, UNANSWERED, fault, inject};
use crate::harness::{
    ANSWER_WITHIN, Payments, Switch, authorize, eventually, on_both_engines, pay_with, unique,
};
use crate::refunding::{refund_of, refunds_of};
use crate::releasing::{last, operations, release, released};
use crate::reversing::reverse_of;
use crate::styles::{dual_message, requests};
use crate::unknown_outcomes::found;
use crate::voiding::{became, try_void, void_of};

on_both_engines!(
    a_hold_is_raised_and_captured_whole,
    increments_at_once_add_once_each,
    what_can_not_be_raised_is_refused,
    an_increment_that_is_declined_leaves_the_hold,
    an_increment_without_an_answer_is_reversed,
    a_voided_payment_holds_nothing,
    a_bank_that_is_told_of_captures_in_a_file_takes_increments,
    what_a_last_capture_leaves_is_released_message_by_message,
    a_payment_that_is_reversed_releases_what_was_added,
);

pub(crate) fn increment_of(
    payment: &pb::Payment,
    amount_minor: i64,
) -> pb::IncrementAuthorizationRequest {
    pb::IncrementAuthorizationRequest {
        request_id: format!("increment-{}", unique()),
        payment_id: payment.payment_id.clone(),
        increment: Some(pb::Money {
            amount_minor,
            currency: "EUR".into(),
        }),
    }
}

pub(crate) async fn try_increment(
    payments: &mut Payments,
    request: pb::IncrementAuthorizationRequest,
) -> Result<pb::IncrementAuthorizationResponse, Status> {
    let answer = payments.increment_authorization(request).await;
    answer.map(tonic::Response::into_inner)
}

/// An increment that the bank approves.
async fn increment(payments: &mut Payments, payment: &pb::Payment, minor: i64) -> pb::Payment {
    let answer = try_increment(payments, increment_of(payment, minor)).await;
    let answer = answer.expect("an increment");
    assert_eq!(exchange(&answer).state(), OperationState::Approved);
    answer.payment.expect("its payment")
}

fn exchange(answer: &pb::IncrementAuthorizationResponse) -> &pb::Operation {
    answer.increment.as_ref().expect("its exchange")
}

/// What the bank holds on the card of these tests, and what is left on it.
fn at_the_bank(switch: &Switch) -> (i64, i64) {
    let books = switch.banks.books("issuer-a").expect("books");
    let account = books
        .account("4242424242424242", "EUR")
        .expect("an account");
    (account.held_minor, account.balance_minor)
}

async fn holds(switch: &Switch, expected_minor: i64) {
    eventually("what the bank holds", async || {
        (at_the_bank(switch).0 == expected_minor).then_some(())
    })
    .await;
}

async fn a_hold_is_raised_and_captured_whole(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let (_, before) = at_the_bank(&switch);
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    assert!(actions(&payment).contains(&PaymentAction::Increment));
    let request = increment_of(&payment, 2_500);
    let told = try_increment(&mut payments, request.clone()).await;
    let told = told.expect("an increment");
    let raised = told.payment.clone().expect("its payment");
    assert_eq!(raised.state(), State::Authorized);
    assert_eq!(minor(&raised.amount), 10_000);
    assert_eq!(minor(&raised.authorized_amount), 12_500);
    assert_eq!(minor(&raised.capturable_amount), 12_500);
    let first = payment.authorization.as_ref().expect("it is routed");
    let after = raised.authorization.as_ref().expect("it is routed");
    assert_eq!(after, first);
    let sent = exchange(&told);
    assert_eq!(
        (sent.kind(), &*sent.mti),
        (OperationKind::Increment, "0100")
    );
    assert_eq!(sent.original_operation_id, first.operation_id);
    assert_eq!(sent.rrn, first.rrn);
    assert_ne!(
        (&sent.stan, &sent.approval_code),
        (&first.stan, &first.approval_code)
    );
    assert_eq!(at_the_bank(&switch), (12_500, before));

    assert_eq!(
        try_increment(&mut payments, request)
            .await
            .expect("the answer"),
        told
    );
    assert_eq!(switch.at_acquirer(), 2);
    for part in [11_000, 1_500] {
        let (_, part) = capture(&mut payments, of(&payment, part)).await;
        ended(&mut payments, &part.capture_id, CaptureState::Captured).await;
    }
    let captured = found(&mut payments, &payment.payment_id).await;
    assert_eq!(captured.state(), State::Captured);
    assert_eq!(at_the_bank(&switch), (0, before - 12_500));
    switch.database.assert_books_are_whole().await;
}

async fn increments_at_once_add_once_each(engine: Engine) {
    const PAYMENTS: i64 = 20;
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let requests = (0..PAYMENTS).map(|_| pay_with("pm_test_visa", 1_000, "EUR"));
    let held = join_all(requests.map(|request| {
        let mut payments = payments.clone();
        async move { authorize(&mut payments, request).await }
    }))
    .await;
    join_all(held.iter().map(|payment| {
        let (mut one, mut other) = (payments.clone(), payments.clone());
        async move {
            tokio::join!(
                increment(&mut one, payment, 200),
                increment(&mut other, payment, 30),
            )
        }
    }))
    .await;
    for payment in &held {
        let raised = found(&mut payments, &payment.payment_id).await;
        assert_eq!(minor(&raised.authorized_amount), 1_230);
    }
    assert_eq!(at_the_bank(&switch).0, PAYMENTS * 1_230);
    switch.database.assert_books_are_whole().await;
}

async fn what_can_not_be_raised_is_refused(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let held = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    let captured = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    let (_, part) = capture(&mut payments, of(&captured, 4_000)).await;
    ended(&mut payments, &part.capture_id, CaptureState::Captured).await;
    let voided = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    try_void(&mut payments, void_of(&voided))
        .await
        .expect("a void");
    became(&mut payments, &voided.payment_id, State::Voided).await;
    let mut in_yen = increment_of(&held, 100);
    in_yen.increment.as_mut().expect("an amount").currency = "JPY".into();
    let at_acquirer = switch.at_acquirer();
    for (request, reason) in [
        (increment_of(&captured, 100), "PAYMENT_STATE"),
        (increment_of(&voided, 100), "PAYMENT_STATE"),
        // One more than twelve digits have place for.
        (
            increment_of(&held, 999_999_990_000),
            "AMOUNT_EXCEEDS_AUTHORIZABLE",
        ),
        (in_yen, "CURRENCY_MISMATCH"),
        (increment_of(&held, 0), "INVALID_REQUEST"),
    ] {
        let refused = try_increment(&mut payments, request).await;
        let refused = refused.expect_err(reason);
        assert_eq!(error_reason(&refused).as_deref(), Some(reason));
    }
    assert_eq!(switch.at_acquirer(), at_acquirer);
    switch.database.assert_books_are_whole().await;
}

async fn an_increment_that_is_declined_leaves_the_hold(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    // The amount provokes it.
    let answer = try_increment(&mut payments, increment_of(&payment, 1_651)).await;
    let answer = answer.expect("a decline is an answer");
    assert_eq!(exchange(&answer).state(), OperationState::Declined);
    let decline = answer.decline.as_ref().expect("why");
    assert_eq!(decline.response_code, exchange(&answer).response_code);
    let after = answer.payment.as_ref().expect("its payment");
    assert_eq!(minor(&after.authorized_amount), 10_000);
    assert_eq!(at_the_bank(&switch).0, 10_000);
    // The next one is a new message.
    increment(&mut payments, &payment, 1_000).await;
    assert_eq!(at_the_bank(&switch).0, 11_000);
    switch.database.assert_books_are_whole().await;
}

async fn an_increment_without_an_answer_is_reversed(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    increment(&mut payments, &payment, 1_000).await;
    inject(&switch, fault("0100", UNANSWERED)).await;
    let request = increment_of(&payment, 2_500);
    let asked_at = tokio::time::Instant::now();
    let told = try_increment(&mut payments, request.clone()).await;
    let told = told.expect("an increment that is pending");
    assert!(asked_at.elapsed() < ANSWER_WITHIN);
    assert_eq!(exchange(&told).state(), OperationState::Unknown);
    assert!(
        told.pending
            .as_ref()
            .is_some_and(|pending| pending.reversal_owed)
    );
    // What is pending does not count, and nothing ends the payment meanwhile.
    let pending = told.payment.clone().expect("its payment");
    assert_eq!(minor(&pending.authorized_amount), 11_000);
    assert!(!actions(&pending).contains(&PaymentAction::Void));
    for refused in [
        try_capture(&mut payments, of(&payment, 11_001))
            .await
            .map(drop),
        try_void(&mut payments, void_of(&payment)).await.map(drop),
    ] {
        refused.expect_err("more than counts, and a void under an increment");
    }
    // Its own message is reversed, and no other.
    holds(&switch, 11_000).await;
    let undone = eventually("the increment reversed", async || {
        let request = pb::ListOperationsRequest {
            payment_id: payment.payment_id.clone(),
            ..Default::default()
        };
        let listed = payments.list_operations(request).await.expect("a list");
        let listed = listed.into_inner().operations;
        let id = &exchange(&told).operation_id;
        let unknown = listed.iter().find(|it| it.operation_id == *id)?;
        (unknown.state() == OperationState::Reversed).then_some(listed)
    })
    .await;
    let reversal = undone.last().expect("the reversal");
    assert_eq!(reversal.kind(), OperationKind::Reversal);
    assert_eq!(reversal.original_operation_id, exchange(&told).operation_id);
    assert_eq!(minor(&reversal.amount), 2_500);
    let again = try_increment(&mut payments, request).await;
    let again = again.expect("the answer");
    assert_eq!(
        (&again.payment, exchange(&again).state(), &again.pending),
        (&told.payment, OperationState::Unknown, &told.pending)
    );
    let after = found(&mut payments, &payment.payment_id).await;
    assert_eq!(after.state(), State::Authorized);
    assert_eq!(minor(&after.authorized_amount), 11_000);
    let (_, whole) = capture(&mut payments, of(&payment, 11_000)).await;
    ended(&mut payments, &whole.capture_id, CaptureState::Captured).await;
    assert_eq!(at_the_bank(&switch).0, 0);
    switch.database.assert_books_are_whole().await;
}

async fn a_voided_payment_holds_nothing(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    for minor in [2_500, 1_000] {
        increment(&mut payments, &payment, minor).await;
    }
    assert_eq!(at_the_bank(&switch).0, 13_500);
    // The first message is lost on the way, and sent again.
    inject(&switch, fault("0420", LOST)).await;
    let (_, void) = try_void(&mut payments, void_of(&payment))
        .await
        .expect("a void");
    assert_eq!(minor(&void.amount), 10_000);
    let voided = became(&mut payments, &payment.payment_id, State::Voided).await;
    assert_eq!(minor(&voided.authorized_amount), 13_500);
    holds(&switch, 0).await;
    eventually("each reversal acknowledged", async || {
        let open = "SELECT CAST(COUNT(*) AS BIGINT) FROM operations WHERE open <> 0";
        (switch.database.number(open.into()).await == 0).then_some(())
    })
    .await;
    assert_eq!(switch.database.reversals().await, 2);
    switch.database.assert_books_are_whole().await;
}

/// Of 100.00, and 50.00 that are added.
async fn what_a_last_capture_leaves_is_released_message_by_message(engine: Engine) {
    let template = include_str!("../../hosts/acquirer.toml").to_owned();
    for profile in [template, requests()] {
        let switch = Switch::start_with(engine, Some(profile)).await;
        let mut payments = switch.payments().await;
        // One message is lost on its way, and sent again.
        inject(&switch, fault("0420", LOST)).await;
        for (captured, expected) in [
            (12_000, &[(OperationKind::Increment, 3_000)][..]),
            (10_000, &[(OperationKind::Increment, 5_000)]),
            (
                8_000,
                &[
                    (OperationKind::Authorization, 2_000),
                    (OperationKind::Increment, 5_000),
                ],
            ),
        ] {
            let (_, before) = at_the_bank(&switch);
            let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
            increment(&mut payments, &payment, 5_000).await;
            let (after, _) = capture(&mut payments, last(&payment, captured)).await;
            assert_eq!(after.state(), State::Captured);
            let (rest, _) = release(&after).expect("a release");
            assert_eq!(rest, 15_000 - captured);
            let after = released(&mut payments, &payment, ReleaseState::Released).await;
            assert_eq!(release(&after), Some((rest, ReleaseState::Released)));
            assert_eq!(at_the_bank(&switch), (0, before - captured));
            assert_eq!(parts(&mut payments, &payment).await, expected);
        }
        switch.database.assert_books_are_whole().await;
    }
}

/// The messages that were released, and how much of each.
async fn parts(payments: &mut Payments, payment: &pb::Payment) -> Vec<(OperationKind, i64)> {
    let all = operations(payments, payment).await;
    let kind = |id: &str| {
        all.iter()
            .find(|it| it.operation_id == id)
            .map(|it| it.kind())
    };
    let releases = all.iter().filter(|it| it.kind() == OperationKind::Release);
    let parts = releases.map(|it| {
        let original = kind(&it.original_operation_id).expect("its original");
        (original, minor(&it.amount))
    });
    let mut parts: Vec<_> = parts.collect();
    // They are recorded together.
    parts.sort_unstable_by_key(|(_, minor)| *minor);
    parts
}

/// Its capture is refunded with it, or was before.
async fn a_payment_that_is_reversed_releases_what_was_added(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(&switch).await;
    let (_, before) = at_the_bank(&switch);
    for is_refunded in [false, true] {
        let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
        increment(&mut payments, &payment, 5_000).await;
        let (_, part) = capture(&mut payments, of(&payment, 4_000)).await;
        ended(&mut payments, &part.capture_id, CaptureState::Captured).await;
        if is_refunded {
            let refunded = refunds.create_refund(refund_of(&payment, 4_000)).await;
            refunded.expect("a refund");
        }
        let standing = found(&mut payments, &payment.payment_id).await;
        assert!(actions(&standing).contains(&PaymentAction::Reverse));
        let undone = payments.reverse_payment(reverse_of(&payment)).await;
        undone.expect("it is undone");
        let after = released(&mut payments, &payment, ReleaseState::Released).await;
        assert_eq!(release(&after), Some((11_000, ReleaseState::Released)));
        assert_eq!(minor(&after.refunded_amount), 4_000);
        let expected = [
            (OperationKind::Increment, 5_000),
            (OperationKind::Authorization, 6_000),
        ];
        assert_eq!(parts(&mut payments, &payment).await, expected);
        holds(&switch, 0).await;
        assert_eq!(at_the_bank(&switch), (0, before));
    }
    switch.database.assert_books_are_whole().await;
}

async fn a_bank_that_is_told_of_captures_in_a_file_takes_increments(engine: Engine) {
    let switch = Switch::start_with(engine, Some(dual_message())).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    increment(&mut payments, &payment, 2_500).await;
    assert_eq!(at_the_bank(&switch).0, 12_500);
    let (captured, _) = capture(&mut payments, last(&payment, 11_000)).await;
    assert_eq!(captured.state(), State::Captured);
    // Down to what a file will claim.
    released(&mut payments, &payment, ReleaseState::Released).await;
    assert_eq!(at_the_bank(&switch).0, 11_000);
    switch.database.assert_books_are_whole().await;
}
