//! Releases: what a last capture leaves of a hold goes back to the cardholder, once, and never a capture with it.

use bank_sim::issuer::Standing;
use futures_util::future::join_all;
use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::owed_service_client::OwedServiceClient;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::pb;
use pb::{
    CaptureState, OperationKind, OperationState, PaymentAction, PaymentState as State, ReleaseState,
};
use tonic::transport::Channel;

use crate::capturing::{actions, booked, capture, ended, minor, of, try_capture};
use crate::database::Engine;
use crate::faults::{LOST, UNANSWERED, fault, fault_of, inject, times, with_code};
use crate::harness::{Payments, Switch, authorize, eventually, on_both_engines, pay_with, unique};
use crate::operators::owed_client;
use crate::styles::{dual_message, requests};
use crate::unknown_outcomes::found;
use crate::voiding::{try_void, void_of};

on_both_engines!(
    what_a_last_capture_leaves_is_released,
    a_second_release_leaves_no_more_than_both,
    a_payment_that_is_captured_is_not_voided_and_its_rest_waits_for_the_last_capture,
    a_release_that_the_bank_refuses_waits_for_an_operator,
    as_a_request_a_last_capture_releases_with_its_approval_only,
    an_operator_who_finds_a_last_capture_to_stand_releases_the_rest,
    what_a_host_knows_by_itself_is_released_without_a_message,
    a_last_capture_and_another_at_once_share_the_hold,
);

pub(crate) fn last(payment: &pb::Payment, amount_minor: i64) -> pb::CapturePaymentRequest {
    pb::CapturePaymentRequest {
        final_capture: true,
        ..of(payment, amount_minor)
    }
}

pub(crate) fn release(payment: &pb::Payment) -> Option<(i64, ReleaseState)> {
    let release = payment.release.as_ref()?;
    Some((minor(&release.amount), release.state()))
}

/// The payment as it is once its release stands there.
pub(crate) async fn released(
    payments: &mut Payments,
    payment: &pb::Payment,
    state: ReleaseState,
) -> pb::Payment {
    eventually("the release", async || {
        let payment = found(payments, &payment.payment_id).await;
        let is_there = release(&payment).is_some_and(|(_, now)| now == state);
        is_there.then_some(payment)
    })
    .await
}

/// What the issuer holds of a payment's card.
pub(crate) fn held_minor(switch: &Switch) -> i64 {
    let books = switch.banks.books("issuer-a").expect("books");
    let account = books.account("4242424242424242", "EUR");
    account.expect("the account").held_minor
}

pub(crate) async fn operations(
    payments: &mut Payments,
    payment: &pb::Payment,
) -> Vec<pb::Operation> {
    let request = pb::ListOperationsRequest {
        payment_id: payment.payment_id.clone(),
        ..Default::default()
    };
    let listed = payments.list_operations(request).await;
    listed.expect("operations").into_inner().operations
}

fn sent(switch: &Switch, mti: &str) -> u64 {
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    counters.received(mti)
}

/// Once no message of it can be on its way any more.
async fn resolved(
    owed: &mut OwedServiceClient<Channel>,
    operation_id: &str,
    resolution: admin::OwedResolution,
) {
    eventually("an operator's word", async || {
        let resolve = admin::ResolveOwedRequest {
            request_id: format!("resolve-{}", unique()),
            reason: "ticket 4711".into(),
            operation_id: operation_id.to_owned(),
            resolution: resolution.into(),
        };
        owed.resolve_owed(resolve).await.ok().map(drop)
    })
    .await;
}

async fn what_a_last_capture_leaves_is_released(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let before_minor = held_minor(&switch);
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    assert_eq!(release(&payment), None);
    // The capture is not acknowledged at first: the release waits for it, and for its repeat.
    inject(&switch, fault("0220", LOST)).await;
    let request = last(&payment, 6_000);
    let (after, told) = capture(&mut payments, request.clone()).await;
    assert_eq!(after.state(), State::Captured);
    assert!(told.r#final);
    assert_eq!(minor(&after.authorized_amount), 10_000);
    assert_eq!(minor(&after.captured_amount), 6_000);
    assert_eq!(minor(&after.capturable_amount), 0);
    assert_eq!(release(&after), Some((4_000, ReleaseState::Owed)));
    assert!(!actions(&after).contains(&PaymentAction::Capture));
    let refused = try_capture(&mut payments, of(&payment, 1)).await;
    let refused = refused.expect_err("nothing is left");
    let reason = error_reason(&refused);
    assert_eq!(reason.as_deref(), Some("AMOUNT_EXCEEDS_CAPTURABLE"));

    let after = released(&mut payments, &payment, ReleaseState::Released).await;
    assert_eq!(release(&after), Some((4_000, ReleaseState::Released)));
    assert_eq!(after.state(), State::Captured);
    assert_eq!(booked(&switch, &payment), (vec![6_000], Standing::Posted));
    assert_eq!(held_minor(&switch), before_minor);
    assert_eq!((sent(&switch, "0420"), sent(&switch, "0421")), (1, 0));
    assert_eq!((sent(&switch, "0220"), sent(&switch, "0221")), (1, 1));
    let all = operations(&mut payments, &payment).await;
    assert_eq!(all.len(), 3);
    let of_kind = |kind| all.iter().find(|operation| operation.kind() == kind);
    let authorization = of_kind(OperationKind::Authorization).expect("the authorization");
    let release = of_kind(OperationKind::Release).expect("the release");
    assert_eq!(release.state(), OperationState::Approved);
    assert_eq!(release.original_operation_id, authorization.operation_id);
    assert_eq!(minor(&release.amount), 4_000);

    let (again, same) = capture(&mut payments, request).await;
    assert_eq!(again.captured_amount, after.captured_amount);
    assert_eq!(same.capture_id, told.capture_id);
    let events = "SELECT COUNT(*) FROM events WHERE kind = 'PAYMENT_RELEASED'".to_owned();
    assert_eq!(switch.database.number(events).await, 1);
    switch.database.assert_books_are_whole().await;
}

/// Authorized 100.00, captured 30.00; a last capture of 50.00 never happens, though its rest is given up, and one of
/// 10.00 takes its place.
async fn a_second_release_leaves_no_more_than_both(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let before_minor = held_minor(&switch);
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    let (_, part) = capture(&mut payments, of(&payment, 3_000)).await;
    ended(&mut payments, &part.capture_id, CaptureState::Captured).await;
    // It never reaches the bank.
    for mti in ["0220", "0221"] {
        inject(&switch, times(1_000, fault_of(mti, 5_000, LOST))).await;
    }
    let (_, lost) = capture(&mut payments, last(&payment, 5_000)).await;
    let all = operations(&mut payments, &payment).await;
    let operation = all.iter().find(|it| minor(&it.amount) == 5_000);
    let operation_id = &operation.expect("the lost capture").operation_id;
    let mut owed = owed_client(&switch).await;
    resolved(
        &mut owed,
        operation_id,
        admin::OwedResolution::NeverHappened,
    )
    .await;
    ended(&mut payments, &lost.capture_id, CaptureState::Reversed).await;
    let first = released(&mut payments, &payment, ReleaseState::Released).await;
    assert_eq!(release(&first), Some((2_000, ReleaseState::Released)));
    assert_eq!(minor(&first.capturable_amount), 5_000);
    capture(&mut payments, last(&payment, 1_000)).await;
    eventually("nothing that is held", async || {
        (held_minor(&switch) == before_minor).then_some(())
    })
    .await;
    let after = released(&mut payments, &payment, ReleaseState::Released).await;
    assert_eq!(release(&after), Some((6_000, ReleaseState::Released)));
    let debits = vec![1_000, 3_000];
    assert_eq!(booked(&switch, &payment), (debits, Standing::Posted));
    switch.database.assert_books_are_whole().await;
}

/// Authorized 100.00; captured 70.00 and 20.00.
async fn a_payment_that_is_captured_is_not_voided_and_its_rest_waits_for_the_last_capture(
    engine: Engine,
) {
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
    let standing = found(&mut payments, &payment.payment_id).await;
    assert_eq!(minor(&standing.captured_amount), 9_000);
    assert_eq!(release(&standing), None);
    let remaining_minor = 1_000;
    let held = Standing::Held { remaining_minor };
    assert_eq!(booked(&switch, &payment), (vec![2_000, 7_000], held));
    capture(&mut payments, last(&payment, 400)).await;
    let after = released(&mut payments, &payment, ReleaseState::Released).await;
    assert_eq!(release(&after), Some((600, ReleaseState::Released)));
    let debits = vec![400, 2_000, 7_000];
    assert_eq!(booked(&switch, &payment), (debits, Standing::Posted));
    switch.database.assert_books_are_whole().await;
}

async fn a_release_that_the_bank_refuses_waits_for_an_operator(engine: Engine) {
    use admin::OwedResolution::{NeverHappened, Stands};
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut owed = owed_client(&switch).await;
    for end in [None, Some(Stands), Some(NeverHappened)] {
        let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
        inject(&switch, fault_of("0420", 10_000, with_code("57"))).await;
        capture(&mut payments, last(&payment, 6_000)).await;
        released(&mut payments, &payment, ReleaseState::Suspended).await;
        let listed = owed.list_owed(admin::ListOwedRequest::default()).await;
        let listed = listed.expect("what is owed").into_inner().owed;
        assert_eq!(listed.len(), 1);
        let operation_id = listed[0].operation_id.clone();
        match end {
            None => {
                let retry = admin::RetryOwedRequest {
                    request_id: format!("retry-{operation_id}"),
                    reason: "ticket 4711".into(),
                    operation_id,
                };
                owed.retry_owed(retry).await.expect("it is sent again");
                released(&mut payments, &payment, ReleaseState::Released).await;
                assert_eq!(booked(&switch, &payment).1, Standing::Posted);
            }
            Some(resolution) => {
                resolved(&mut owed, &operation_id, resolution).await;
                let shown = release(&found(&mut payments, &payment.payment_id).await);
                let expected = (resolution == Stands).then_some((4_000, ReleaseState::Released));
                assert_eq!(shown, expected);
            }
        }
    }
    switch.database.assert_books_are_whole().await;
}

async fn as_a_request_a_last_capture_releases_with_its_approval_only(engine: Engine) {
    let switch = Switch::start_with(engine, Some(requests())).await;
    let mut payments = switch.payments().await;
    let refused = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    inject(&switch, fault_of("0200", 6_000, with_code("61"))).await;
    let (after, told) = capture(&mut payments, last(&refused, 6_000)).await;
    assert_eq!(told.state(), CaptureState::Rejected);
    assert_eq!((after.state(), release(&after)), (State::Authorized, None));
    assert_eq!(minor(&after.capturable_amount), 10_000);
    assert_eq!(operations(&mut payments, &refused).await.len(), 2);

    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    // Without an answer nothing is released either; its reversal frees everything.
    inject(&switch, fault("0200", UNANSWERED)).await;
    let (after, told) = capture(&mut payments, last(&payment, 6_000)).await;
    assert_eq!(told.state(), CaptureState::Sending);
    assert_eq!(
        (minor(&after.capturable_amount), release(&after)),
        (0, None)
    );
    ended(&mut payments, &told.capture_id, CaptureState::Reversed).await;
    let after = found(&mut payments, &payment.payment_id).await;
    assert_eq!((after.state(), release(&after)), (State::Authorized, None));
    assert_eq!(minor(&after.capturable_amount), 10_000);

    let (after, told) = capture(&mut payments, last(&payment, 6_000)).await;
    assert_eq!(told.state(), CaptureState::Captured);
    assert_eq!(after.state(), State::Captured);
    assert!(release(&after).is_some_and(|(minor, _)| minor == 4_000));
    released(&mut payments, &payment, ReleaseState::Released).await;
    let books = switch.banks.books("issuer-a").expect("books");
    let seen = books.by_rrn(payment.rrn()).next().expect("the hold");
    assert_eq!(seen.standing, Standing::Posted);
    switch.database.assert_books_are_whole().await;
}

async fn an_operator_who_finds_a_last_capture_to_stand_releases_the_rest(engine: Engine) {
    let switch = Switch::start_with(engine, Some(requests())).await;
    let mut payments = switch.payments().await;
    let mut owed = owed_client(&switch).await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    for mti in ["0200", "0420", "0421"] {
        inject(&switch, times(0, fault(mti, LOST))).await;
    }
    let (_, told) = capture(&mut payments, last(&payment, 6_000)).await;
    assert_eq!(told.state(), CaptureState::Sending);
    let all = operations(&mut payments, &payment).await;
    let reversal = all.last().expect("the reversal");
    assert_eq!(reversal.kind(), OperationKind::Reversal);
    let stands = admin::OwedResolution::Stands;
    resolved(&mut owed, &reversal.operation_id, stands).await;
    let after = found(&mut payments, &payment.payment_id).await;
    assert_eq!(after.state(), State::Captured);
    assert!(
        release(&after).is_some_and(|(minor, _)| minor == 4_000),
        "{after:?}"
    );
    switch.database.assert_books_are_whole().await;
}

/// And where the host takes no release at all, a last capture that would leave something is refused.
async fn what_a_host_knows_by_itself_is_released_without_a_message(engine: Engine) {
    let text = dual_message();
    let (before, table) = text
        .split_once("\n[messages.release]\n")
        .expect("a release");
    assert!(
        !table.contains("[messages.refund"),
        "nothing comes after it"
    );
    for (profile, expected) in [
        (
            format!("{before}\n[messages.release]\nstyle = \"none\"\n"),
            true,
        ),
        (before.to_owned(), false),
    ] {
        let switch = Switch::start_with(engine, Some(profile)).await;
        let mut payments = switch.payments().await;
        let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
        let captured = try_capture(&mut payments, last(&payment, 6_000)).await;
        let shown = match captured {
            Ok((after, _)) => {
                assert_eq!(after.state(), State::Captured);
                release(&after)
            }
            Err(refused) => {
                let reason = error_reason(&refused);
                assert_eq!(reason.as_deref(), Some("NOT_SUPPORTED_BY_HOST"));
                None
            }
        };
        assert_eq!(shown, expected.then_some((4_000, ReleaseState::Released)));
        assert_eq!(sent(&switch, "0420"), 0);
    }
    // A message releases down to what a file will claim.
    let switch = Switch::start_with(engine, Some(text)).await;
    let mut payments = switch.payments().await;
    let before_minor = held_minor(&switch);
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    capture(&mut payments, last(&payment, 6_000)).await;
    released(&mut payments, &payment, ReleaseState::Released).await;
    assert_eq!(held_minor(&switch) - before_minor, 6_000);
    switch.database.assert_books_are_whole().await;
}

/// Whichever is first, the parts add up to the hold at the bank and here.
async fn a_last_capture_and_another_at_once_share_the_hold(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let requests = [(); 10].map(|()| pay_with("pm_test_visa", 10_000, "EUR"));
    let held = join_all(requests.map(|request| {
        let mut payments = payments.clone();
        async move { authorize(&mut payments, request).await }
    }))
    .await;
    let both = join_all(held.iter().map(|payment| {
        let (mut one, mut other) = (payments.clone(), payments.clone());
        async move {
            tokio::join!(
                try_capture(&mut one, last(payment, 6_000)),
                try_capture(&mut other, of(payment, 3_000)),
            )
        }
    }))
    .await;
    for (payment, (one, other)) in held.iter().zip(both) {
        one.expect("the last capture");
        let (captured, rest) = match &other {
            Ok(_) => (vec![3_000, 6_000], 1_000),
            Err(refused) => {
                let reason = error_reason(refused);
                assert_eq!(reason.as_deref(), Some("AMOUNT_EXCEEDS_CAPTURABLE"));
                (vec![6_000], 4_000)
            }
        };
        let after = released(&mut payments, payment, ReleaseState::Released).await;
        assert_eq!(release(&after), Some((rest, ReleaseState::Released)));
        assert_eq!(after.state(), State::Captured);
        assert_eq!(booked(&switch, payment), (captured, Standing::Posted));
    }
    switch.database.assert_books_are_whole().await;
}
