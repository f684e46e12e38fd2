//! The same calls before hosts that take captures, voids and refunds in other ways: nothing but the profile differs.

use bank_sim::control::pb as bank;
use bank_sim::control::pb::fault::What;
use bank_sim::issuer::{MessageKind, Standing};
use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::owed_service_client::OwedServiceClient;
use payswitch::merchant_api::pb;
use pb::{CaptureState, OperationState, PendingReason, RefundState};
use pb::{PaymentState as State, refund_service_client::RefundServiceClient};

use crate::capturing::{capture, ended, minor, of, try_capture};
use crate::database::Engine;
use crate::harness::{Switch, authorize, eventually, inject, on_both_engines, pay_with};
use crate::operators::{connect, set_own_role};
use crate::refunding::{get_refund, refund_of, refunds_of, try_refund};
use crate::unknown_outcomes::found;
use crate::voiding::{became, try_void, void_of};
use payswitch::grpc::client::error_reason;

on_both_engines!(
    in_a_file_captures_and_refunds_count_and_nothing_is_sent,
    as_requests_captures_and_voids_wait_for_their_answer,
    a_capture_whose_outcome_is_unknown_is_reversed,
    an_operator_says_what_became_of_a_capture,
    a_refund_as_an_advice_is_repeated_until_it_is_acknowledged,
);

pub(crate) fn dual_message() -> String {
    let text = include_str!("../../hosts/examples/dual-message.toml");
    text.replace("dual.example:7001", "127.0.0.1:7001")
        .replace("dual.example", "acquirer.bank.test")
}

/// The template, where captures and voids are requests and refunds advices.
pub(crate) fn requests() -> String {
    let template = include_str!("../../hosts/acquirer.toml");
    let mut text = template.to_owned();
    for (from, to) in [
        (
            "[messages.capture]\nstyle = \"advice\"\nmti = \"0220\"",
            "[messages.capture]\nstyle = \"request\"\nmti = \"0200\"",
        ),
        ("mti = \"0221\"\n", ""),
        (
            "[messages.void]\nstyle = \"advice\"\nmti = \"0420\"",
            "[messages.void]\nstyle = \"request\"\nunknown = \"wait\"\nmti = \"0400\"",
        ),
        ("mti = \"0421\"\nper_second = 500", "per_second = 500"),
        (
            "[messages.refund]\nstyle = \"request\"\nmti = \"0200\"\nunknown = \"wait\"",
            "[messages.refund]\nstyle = \"advice\"\nmti = \"0220\"",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    text
}

async fn in_a_file_captures_and_refunds_count_and_nothing_is_sent(engine: Engine) {
    let switch = Switch::start_with(engine, Some(dual_message())).await;
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(&switch).await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    let (after, told) = capture(&mut payments, of(&payment, 6_000)).await;
    assert_eq!(after.state(), State::PartiallyCaptured);
    assert_eq!(
        (told.state(), told.rrn.as_str()),
        (CaptureState::Recorded, "")
    );
    let refund = try_refund(&mut refunds, refund_of(&payment, 2_000)).await;
    let refund = refund.expect("a refund");
    assert_eq!(refund.state(), RefundState::Created);
    let (after, _) = capture(&mut payments, of(&payment, None)).await;
    assert_eq!(after.state(), State::Captured);
    assert_eq!(minor(&after.refundable_amount), 8_000);
    let operations = payments.list_operations(pb::ListOperationsRequest {
        payment_id: payment.payment_id.clone(),
        ..Default::default()
    });
    let operations = operations
        .await
        .expect("operations")
        .into_inner()
        .operations;
    for operation in &operations[1..] {
        assert_eq!(operation.state(), OperationState::Created);
        assert_eq!((operation.mti.as_str(), operation.attempts), ("", 0));
    }

    let other = authorize(&mut payments, pay_with("pm_test_visa", 5_000, "EUR")).await;
    try_void(&mut payments, void_of(&other))
        .await
        .expect("a void");
    became(&mut payments, &other.payment_id, State::Voided).await;
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    let sent = ["0100", "0200", "0220", "0420"].map(|mti| counters.received(mti));
    assert_eq!(sent, [2, 0, 0, 1]);
    let books = switch.banks.books("issuer-a").expect("books");
    let standings = [&payment, &other].map(|payment| {
        let seen: Vec<_> = books.by_rrn(payment.rrn()).collect();
        (seen.len(), seen[0].standing)
    });
    let remaining_minor = 10_000;
    let held = Standing::Held { remaining_minor };
    assert_eq!(standings, [(1, held), (1, Standing::Reversed)]);
    assert_eq!(switch.database.count("journals").await, 3);
    switch.database.assert_books_are_whole().await;
}

async fn as_requests_captures_and_voids_wait_for_their_answer(engine: Engine) {
    let switch = Switch::start_with(engine, Some(requests())).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    let (after, told) = capture(&mut payments, of(&payment, 6_000)).await;
    assert_eq!(told.state(), CaptureState::Captured);
    assert_eq!(after.state(), State::PartiallyCaptured);
    let declined = bank::Fault {
        host: "acquirer".into(),
        mti: "0200".into(),
        amount: Some(4_000),
        times: 1,
        what: Some(What::Change(bank::Change {
            de: 39,
            value: "61".into(),
        })),
        ..Default::default()
    };
    inject(&switch, declined).await;
    let (after, refused) = capture(&mut payments, of(&payment, 4_000)).await;
    assert_eq!(refused.state(), CaptureState::Rejected);
    assert_eq!(refused.decline.expect("why").response_code, "61");
    assert_eq!(after.state(), State::PartiallyCaptured);
    assert_eq!(minor(&after.capturable_amount), 4_000);

    let other = authorize(&mut payments, pay_with("pm_test_visa", 5_000, "EUR")).await;
    let (voided, void) = try_void(&mut payments, void_of(&other))
        .await
        .expect("a void");
    assert_eq!(
        (voided.state(), void.state()),
        (State::Voided, OperationState::Approved)
    );
    let books = switch.banks.books("issuer-a").expect("books");
    let seen: Vec<_> = books.by_rrn(other.rrn()).collect();
    assert_eq!(seen[0].standing, Standing::Reversed);
    switch.database.assert_books_are_whole().await;
}

/// CASES: the same request has the same pending answer; another one finds the amount taken. Then the reversal of the
/// capture, and of nothing else, frees it.
async fn a_capture_whose_outcome_is_unknown_is_reversed(engine: Engine) {
    let switch = Switch::start_with(engine, Some(requests())).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    let lost = bank::Fault {
        host: "acquirer".into(),
        mti: "0200".into(),
        times: 1,
        what: Some(What::DropResponse(bank::DropResponse {
            after_effect: true,
        })),
        ..Default::default()
    };
    inject(&switch, lost).await;
    // Its reversal is not acknowledged until it is repeated.
    let unheard = bank::Fault {
        host: "acquirer".into(),
        mti: "0420".into(),
        times: 1,
        what: Some(What::DropRequest(bank::DropRequest {})),
        ..Default::default()
    };
    inject(&switch, unheard).await;
    let request = of(&payment, 6_000);
    let (after, told) = capture(&mut payments, request.clone()).await;
    assert_eq!(told.state(), CaptureState::Sending);
    let pending = told.pending.as_ref().expect("why it is pending");
    assert_eq!(pending.reason(), PendingReason::NoAnswerInTime);
    assert_eq!(after.state(), State::Authorized);
    assert_eq!(minor(&after.pending_capture_amount), 6_000);
    let (again, same) = capture(&mut payments, request).await;
    assert_eq!(
        (again.captured_amount, same.state()),
        (after.captured_amount, told.state())
    );
    let refused = try_capture(&mut payments, of(&payment, 6_000)).await;
    let reason = error_reason(&refused.expect_err("it may be taken"));
    assert_eq!(reason.as_deref(), Some("AMOUNT_EXCEEDS_CAPTURABLE"));
    let undone = ended(&mut payments, &told.capture_id, CaptureState::Reversed).await;
    assert!(undone.pending.is_none());
    let after = found(&mut payments, &payment.payment_id).await;
    assert_eq!(minor(&after.pending_capture_amount), 0);
    assert_eq!(after.state(), State::Authorized);
    assert_eq!(minor(&after.capturable_amount), 10_000);
    let books = switch.banks.books("issuer-a").expect("books");
    let seen: Vec<_> = books.by_rrn(payment.rrn()).collect();
    let remaining_minor = 10_000;
    assert_eq!(seen[0].standing, Standing::Held { remaining_minor });
    assert_eq!(seen[1].standing, Standing::Reversed);
    switch.database.assert_books_are_whole().await;
}

/// The bank went down with two captures. One stands, the other never came.
async fn an_operator_says_what_became_of_a_capture(engine: Engine) {
    use admin::OwedResolution::{NeverHappened, Stands};
    let switch = Switch::start_with(engine, Some(requests())).await;
    let mut payments = switch.payments().await;
    let channel = connect(&switch, &switch.pki.operator).await;
    set_own_role(channel.clone(), admin::OperatorRole::Approver).await;
    let mut owed = OwedServiceClient::new(channel);
    let lost = bank::Fault {
        host: "acquirer".into(),
        mti: "0200".into(),
        times: 2,
        what: Some(What::DropRequest(bank::DropRequest {})),
        ..Default::default()
    };
    inject(&switch, lost).await;
    let mut waiting = Vec::new();
    for resolution in [Stands, NeverHappened] {
        let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
        let (mut client, request) = (payments.clone(), of(&payment, 6_000));
        let capturing = tokio::spawn(async move { capture(&mut client, request).await });
        waiting.push((resolution, capturing));
    }
    let counters = || switch.banks.counters("acquirer").expect("the acquirer");
    eventually("the captures at the bank", async || {
        (counters().received("0200") == 2).then_some(())
    })
    .await;
    switch.banks.stop_host("acquirer").await.expect("stopped");
    for (resolution, capturing) in waiting {
        let (payment, told) = capturing.await.expect("an answer");
        assert_eq!(told.state(), CaptureState::Sending);
        let id = payment.payment_id.parse().expect("an id");
        let operations = switch.store().operations_of(id).await.expect("operations");
        let reversal = operations.last().expect("the reversal");
        let request = admin::ResolveOwedRequest {
            request_id: format!("resolve-{}", reversal.id),
            reason: "ticket 4711".into(),
            operation_id: reversal.id.to_string(),
            resolution: resolution.into(),
        };
        owed.resolve_owed(request).await.expect("it is resolved");
        let (state, shown, captured) = match resolution {
            Stands => (CaptureState::Captured, State::PartiallyCaptured, 6_000),
            _ => (CaptureState::Reversed, State::Authorized, 0),
        };
        ended(&mut payments, &told.capture_id, state).await;
        let payment = found(&mut payments, &payment.payment_id).await;
        assert_eq!(payment.state(), shown);
        assert_eq!(minor(&payment.captured_amount), captured);
        assert_eq!(minor(&payment.pending_capture_amount), 0);
    }
}

async fn a_refund_as_an_advice_is_repeated_until_it_is_acknowledged(engine: Engine) {
    let switch = Switch::start_with(engine, Some(requests())).await;
    let mut payments = switch.payments().await;
    let mut refunds: RefundServiceClient<_> = refunds_of(&switch).await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    capture(&mut payments, of(&payment, None)).await;
    let lost = bank::Fault {
        host: "acquirer".into(),
        mti: "0220".into(),
        times: 1,
        what: Some(What::DropResponse(bank::DropResponse {
            after_effect: true,
        })),
        ..Default::default()
    };
    inject(&switch, lost).await;
    let told = try_refund(&mut refunds, refund_of(&payment, 4_000)).await;
    let told = told.expect("a refund");
    assert_eq!(told.state(), RefundState::Created);
    eventually("the acknowledgement", async || {
        let refund = get_refund(&mut refunds, &told.refund_id).await;
        (refund.state() == RefundState::Refunded).then_some(())
    })
    .await;
    let payment = found(&mut payments, &payment.payment_id).await;
    assert_eq!(minor(&payment.refunded_amount), 4_000);
    let books = switch.banks.books("issuer-a").expect("books");
    let credits: Vec<_> = books
        .by_rrn(&told.rrn)
        .map(|seen| (seen.kind, seen.posted_minor))
        .collect();
    assert_eq!(credits, [(MessageKind::FinancialAdvice, -4_000)]);
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(
        (counters.received("0220"), counters.received("0221")),
        (1, 1)
    );
    switch.database.assert_books_are_whole().await;
}
