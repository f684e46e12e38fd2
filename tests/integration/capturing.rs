//! Captures: in parts, at once, repeated, unanswered, refused; and what the banks' books say of them.

use bank_sim::control::pb as bank;
use bank_sim::control::pb::fault::What;
use bank_sim::issuer::{MessageKind, Standing};
use futures_util::future::join_all;
use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::owed_service_client::OwedServiceClient;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::pb;
use payswitch::payment::operation::OperationKind;
use pb::{CaptureState, PaymentAction, PaymentState as State};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::database::Engine;
use crate::harness::{
    Payments, Switch, authorize, eventually, inject, on_both_engines, pay_with, unique,
};
use crate::operators::{connect, set_own_role};
use crate::refused::Refused;
use crate::unknown_outcomes::found;

on_both_engines!(
    a_hold_is_captured_in_parts_and_the_books_say_so,
    a_capture_is_repeated_until_the_bank_acknowledges_it,
    a_capture_that_the_bank_refuses_is_taken_back,
    a_capture_in_doubt_stays_taken,
    no_more_is_captured_than_is_held,
    the_loser_of_two_captures_takes_nothing_back,
    what_can_not_be_captured_is_refused,
    what_the_bank_can_not_be_told_is_refused,
);

pub(crate) fn of(
    payment: &pb::Payment,
    amount_minor: impl Into<Option<i64>>,
) -> pb::CapturePaymentRequest {
    let amount = payment.amount.as_ref().expect("an amount");
    pb::CapturePaymentRequest {
        request_id: format!("capture-{}", unique()),
        payment_id: payment.payment_id.clone(),
        amount: amount_minor.into().map(|amount_minor| pb::Money {
            amount_minor,
            currency: amount.currency.clone(),
        }),
        ..Default::default()
    }
}

pub(crate) async fn try_capture(
    payments: &mut Payments,
    request: pb::CapturePaymentRequest,
) -> Result<(pb::Payment, pb::Capture), Status> {
    let answer = payments.capture_payment(request).await?.into_inner();
    let capture = answer.capture.expect("a capture");
    assert_eq!(capture.capture_id, answer.capture_id);
    Ok((answer.payment.expect("a payment"), capture))
}

pub(crate) async fn capture(
    payments: &mut Payments,
    request: pb::CapturePaymentRequest,
) -> (pb::Payment, pb::Capture) {
    let captured = try_capture(payments, request).await;
    captured.unwrap_or_else(|status| panic!("a capture, not {status:?}"))
}

async fn get(payments: &mut Payments, capture_id: &str) -> pb::Capture {
    let request = pb::GetCaptureRequest {
        capture_id: capture_id.to_owned(),
    };
    let answer = payments.get_capture(request).await.expect("the capture");
    answer.into_inner().capture.expect("a capture")
}

pub(crate) async fn ended(
    payments: &mut Payments,
    capture_id: &str,
    state: CaptureState,
) -> pb::Capture {
    eventually("the end of the capture", async || {
        let capture = get(payments, capture_id).await;
        let under_way = [CaptureState::Recorded, CaptureState::Sending];
        if under_way.contains(&capture.state()) {
            return None;
        }
        assert_eq!(capture.state(), state, "{capture:?}");
        Some(capture)
    })
    .await
}

pub(crate) fn minor(amount: &Option<pb::Money>) -> i64 {
    amount.as_ref().expect("an amount").amount_minor
}

pub(crate) fn actions(payment: &pb::Payment) -> Vec<PaymentAction> {
    payment.allowed_actions().collect()
}

/// What the issuer has debited for a payment, by message, and what it still holds.
pub(crate) fn booked(switch: &Switch, payment: &pb::Payment) -> (Vec<i64>, Standing) {
    let books = switch.banks.books("issuer-a").expect("books");
    let (mut debits, mut hold) = (Vec::new(), None);
    for seen in books.by_rrn(payment.rrn()) {
        match seen.kind {
            MessageKind::Authorization => hold = Some(seen.standing),
            MessageKind::FinancialAdvice => debits.push(seen.posted_minor),
            kind => panic!("{kind:?}"),
        }
    }
    debits.sort_unstable();
    (debits, hold.expect("the hold"))
}

async fn a_hold_is_captured_in_parts_and_the_books_say_so(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let before = switch.banks.books("issuer-a").expect("books");
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    let all = [
        PaymentAction::Capture,
        PaymentAction::Void,
        PaymentAction::Increment,
        PaymentAction::Reverse,
    ];
    assert_eq!(actions(&payment), all);

    let mut first = of(&payment, 6_000);
    first.merchant_reference = "shipment-7".into();
    let (after, told) = capture(&mut payments, first.clone()).await;
    assert_eq!(after.state(), State::PartiallyCaptured);
    assert_eq!(minor(&after.captured_amount), 6_000);
    assert_eq!(minor(&after.pending_capture_amount), 0);
    assert_eq!(minor(&after.capturable_amount), 4_000);
    assert_eq!(after.captures.len(), 1);
    assert_eq!(told.merchant_reference, "shipment-7");
    assert_eq!(told.state(), CaptureState::Recorded);
    assert_eq!((minor(&told.amount), told.r#final), (6_000, false));

    let (after, rest) = capture(&mut payments, of(&payment, None)).await;
    assert_eq!(minor(&rest.amount), 4_000);
    assert_eq!(after.state(), State::Captured);
    // ReversePayment refunds one capture.
    assert_eq!(actions(&after), [PaymentAction::Refund]);
    for capture in [&told, &rest] {
        ended(&mut payments, &capture.capture_id, CaptureState::Captured).await;
    }
    let (debits, hold) = booked(&switch, &payment);
    assert_eq!((debits, hold), (vec![4_000, 6_000], Standing::Posted));
    let pan = "4242424242424242";
    let books = switch.banks.books("issuer-a").expect("books");
    let account = books.account(pan, "EUR").expect("the account");
    let account_before = before.account(pan, "EUR").expect("the account");
    assert_eq!(account.balance_minor, account_before.balance_minor - 10_000);
    assert_eq!(account.held_minor, account_before.held_minor);

    // The same request has the same answer, and no second message.
    let (again, same) = capture(&mut payments, first.clone()).await;
    assert_eq!((same.capture_id.as_str(), same.state()), {
        (told.capture_id.as_str(), CaptureState::Recorded)
    });
    assert_eq!(minor(&again.captured_amount), 6_000);
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(
        (counters.received("0220"), counters.received("0221")),
        (2, 0)
    );
    first.amount = None;
    let refused = try_capture(&mut payments, first).await;
    let refused = refused.expect_err("another body");
    assert_eq!(error_reason(&refused).as_deref(), Some("REQUEST_ID_REUSED"));

    let page = pb::ListCapturesRequest {
        payment_id: payment.payment_id.clone(),
        page_size: 1,
        page_token: String::new(),
    };
    let listed = payments.list_captures(page.clone()).await.expect("a page");
    let listed = listed.into_inner();
    assert_eq!(listed.captures[0].capture_id, told.capture_id);
    let page = pb::ListCapturesRequest {
        page_token: listed.next_page_token,
        ..page
    };
    let listed = payments.list_captures(page).await.expect("a page");
    let listed = listed.into_inner();
    assert_eq!(listed.captures[0].capture_id, rest.capture_id);
    assert_eq!(listed.next_page_token, "");
    let whole = found(&mut payments, &payment.payment_id).await;
    let shown: Vec<&str> = whole
        .captures
        .iter()
        .map(|capture| capture.capture_id.as_str())
        .collect();
    assert_eq!(shown, [&rest.capture_id, &told.capture_id]);
    let operations = payments.list_operations(pb::ListOperationsRequest {
        payment_id: payment.payment_id.clone(),
        ..Default::default()
    });
    let operations = operations.await.expect("operations").into_inner();
    let subjects: Vec<&str> = operations
        .operations
        .iter()
        .map(|operation| operation.subject_id.as_str())
        .collect();
    assert_eq!(subjects, ["", &told.capture_id, &rest.capture_id]);
    switch.database.assert_books_are_whole().await;
}

/// The first message is not answered, nor is its repeat; and a gateway that starts anew sends what is owed.
async fn a_capture_is_repeated_until_the_bank_acknowledges_it(engine: Engine) {
    let mut switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    for (mti, what) in [
        (
            "0220",
            What::DropResponse(bank::DropResponse { after_effect: true }),
        ),
        ("0221", What::DropRequest(bank::DropRequest {})),
    ] {
        let fault = bank::Fault {
            host: "acquirer".into(),
            mti: mti.into(),
            times: 1,
            what: Some(what),
            ..Default::default()
        };
        inject(&switch, fault).await;
    }
    let (_, told) = capture(&mut payments, of(&payment, 2_500)).await;
    let counters = || switch.banks.counters("acquirer").expect("the acquirer");
    eventually("the capture at the bank", async || {
        (counters().received("0220") == 1).then_some(())
    })
    .await;
    switch.restart_gateway().await;
    payments = switch.payments().await;
    let whole = ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
    assert_eq!(minor(&whole.amount), 2_500);
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(
        (counters.received("0220"), counters.received("0221")),
        (1, 2)
    );
    let (debits, hold) = booked(&switch, &payment);
    let remaining_minor = 7_500;
    assert_eq!(
        (debits, hold),
        (vec![2_500], Standing::Held { remaining_minor })
    );
    let id = payment.payment_id.parse().expect("an id");
    let operations = switch.store().operations_of(id).await.expect("operations");
    let attempts = operations[1].attempts.count;
    assert_eq!((operations[1].kind, attempts), (OperationKind::Capture, 3));
    assert_eq!(switch.database.count("quarantine").await, 0);
    switch.database.assert_books_are_whole().await;
}

async fn a_capture_that_the_bank_refuses_is_taken_back(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    let (_, kept) = capture(&mut payments, of(&payment, 1_000)).await;
    ended(&mut payments, &kept.capture_id, CaptureState::Captured).await;
    let fault = bank::Fault {
        host: "acquirer".into(),
        mti: "0220".into(),
        times: 1,
        what: Some(What::Change(bank::Change {
            de: 39,
            value: "57".into(),
        })),
        ..Default::default()
    };
    inject(&switch, fault).await;
    let (after, told) = capture(&mut payments, of(&payment, None)).await;
    assert_eq!(after.state(), State::Captured);
    let refused = ended(&mut payments, &told.capture_id, CaptureState::Rejected).await;
    let decline = refused.decline.expect("why");
    assert_eq!(decline.response_code, "57");
    let payment = found(&mut payments, &payment.payment_id).await;
    assert_eq!(payment.state(), State::PartiallyCaptured);
    assert_eq!(minor(&payment.captured_amount), 1_000);
    assert_eq!(minor(&payment.capturable_amount), 9_000);
    switch.database.assert_books_are_whole().await;
}

/// The bank captures, and its answer does not tell so: the amount is not given back, nothing is sent again, and an
/// operator says how it ended.
async fn a_capture_in_doubt_stays_taken(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let channel = connect(&switch, &switch.pki.operator).await;
    set_own_role(channel.clone(), admin::OperatorRole::Approver).await;
    let mut owed = OwedServiceClient::new(channel);
    // Another amount, done in part, in progress, an issuer that answers late, and what no table lists.
    let mut waiting = Vec::new();
    for (amount_minor, de, value) in [
        (6_001, 4, "000000000100"),
        (6_002, 39, "10"),
        (6_003, 39, "09"),
        (6_004, 39, "68"),
        (6_005, 39, "Z9"),
    ] {
        let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
        let fault = bank::Fault {
            host: "acquirer".into(),
            mti: "0220".into(),
            amount: Some(amount_minor),
            times: 1,
            what: Some(What::Change(bank::Change {
                de,
                value: value.into(),
            })),
            ..Default::default()
        };
        inject(&switch, fault).await;
        let (_, told) = capture(&mut payments, of(&payment, amount_minor)).await;
        waiting.push((amount_minor, payment, told.capture_id));
    }
    let request = admin::ListOwedRequest {
        suspended_only: true,
        ..Default::default()
    };
    let listed = eventually("an operator who has to look at all", async || {
        let listed = owed.list_owed(request.clone()).await.expect("a list");
        Some(listed.into_inner().owed).filter(|owed| owed.len() == waiting.len())
    })
    .await;
    for (amount_minor, payment, capture_id) in &waiting {
        let owed = listed.iter().find(|it| it.amount_minor == *amount_minor);
        let reason = &owed.expect("the capture").suspend_reason;
        assert!(reason.contains("in doubt"), "{reason}");
        let capture = get(&mut payments, capture_id).await;
        assert_eq!(capture.state(), CaptureState::Sending, "{capture:?}");
        let shown = found(&mut payments, &payment.payment_id).await;
        assert_eq!(minor(&shown.captured_amount), *amount_minor);
        let refused = try_capture(&mut payments, of(payment, 6_000)).await;
        let refused = refused.expect_err("it may be captured");
        let reason = error_reason(&refused);
        assert_eq!(reason.as_deref(), Some("AMOUNT_EXCEEDS_CAPTURABLE"));
    }
    for entry in listed {
        eventually("nothing that is still on its way", async || {
            let request = admin::ResolveOwedRequest {
                request_id: format!("resolve-{}", unique()),
                reason: "ticket 4711".into(),
                operation_id: entry.operation_id.clone(),
                resolution: admin::OwedResolution::Stands.into(),
            };
            owed.resolve_owed(request).await.ok()
        })
        .await;
    }
    for (amount_minor, payment, capture_id) in &waiting {
        ended(&mut payments, capture_id, CaptureState::Captured).await;
        assert_eq!(booked(&switch, payment).0, [*amount_minor]);
    }
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(
        (counters.received("0220"), counters.received("0221")),
        (5, 0)
    );
    switch.database.assert_books_are_whole().await;
}

/// One after the other, and at once: what two captures want beyond the hold only one gets, and only that leaves.
async fn no_more_is_captured_than_is_held(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let exceeds = Refused {
        preconditions: vec!["payment".into()],
        ..Refused::not_sent(Code::FailedPrecondition, "AMOUNT_EXCEEDS_CAPTURABLE")
    };
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    capture(&mut payments, of(&payment, 6_000)).await;
    let refused = try_capture(&mut payments, of(&payment, 6_000)).await;
    let refused = refused.expect_err("above the hold");
    assert_eq!(Refused::from(&refused), exceeds);
    let info = refused.get_details_error_info().expect("an ErrorInfo");
    let told = |key: &str| info.metadata.get(key).map(String::as_str);
    assert_eq!(told("state"), Some("PARTIALLY_CAPTURED"));
    assert_eq!(told("capturable_minor"), Some("4000"));

    const TIMES: usize = 50;
    let requests = [(); TIMES].map(|()| pay_with("pm_test_visa_2", 10_000, "EUR"));
    let held = join_all(requests.map(|request| {
        let mut payments = payments.clone();
        async move { authorize(&mut payments, request).await }
    }))
    .await;
    let twice = held.iter().flat_map(|payment| [payment, payment]);
    let captured = join_all(twice.map(|payment| {
        let mut payments = payments.clone();
        async move { try_capture(&mut payments, of(payment, 6_000)).await }
    }))
    .await;
    for (payment, two) in held.iter().zip(captured.chunks(2)) {
        let taken = two.iter().filter(|one| one.is_ok()).count();
        assert_eq!(taken, 1, "{two:?}");
        let refused = two.iter().find_map(|one| one.as_ref().err());
        assert_eq!(Refused::from(refused.expect("a refusal")), exceeds);
        let payment = found(&mut payments, &payment.payment_id).await;
        assert_eq!(minor(&payment.captured_amount), 6_000);
        let id = &payment.captures[0].capture_id;
        ended(&mut payments, id, CaptureState::Captured).await;
        assert_eq!(booked(&switch, &payment).0, [6_000]);
    }
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(
        counters.received("0220"),
        u64::try_from(TIMES).expect("a count") + 1
    );
    switch.database.assert_books_are_whole().await;
}

/// Two callers capture all of it at once. The one that is refused compensates as it may, and takes nothing of the other's.
async fn the_loser_of_two_captures_takes_nothing_back(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    let mut other = payments.clone();
    let lost = of(&payment, None);
    let (one, two) = tokio::join!(
        try_capture(&mut payments, of(&payment, None)),
        try_capture(&mut other, lost.clone()),
    );
    assert_ne!(one.is_ok(), two.is_ok(), "{one:?} {two:?}");
    let refused = one.as_ref().err().or(two.as_ref().err());
    let reason = error_reason(refused.expect("one is refused"));
    assert_eq!(reason.as_deref(), Some("AMOUNT_EXCEEDS_CAPTURABLE"));
    let (_, winner) = one.or(two).expect("one is taken");
    let voided = payments.void_payment(pb::VoidPaymentRequest {
        request_id: lost.request_id,
        payment_id: payment.payment_id.clone(),
    });
    let refused = voided.await.expect_err("it is captured");
    assert_eq!(error_reason(&refused).as_deref(), Some("PAYMENT_STATE"));
    ended(&mut payments, &winner.capture_id, CaptureState::Captured).await;
    assert_eq!(booked(&switch, &payment), (vec![10_000], Standing::Posted));
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    let sent = ["0220", "0221", "0420", "0200"].map(|mti| counters.received(mti));
    assert_eq!(sent, [1, 0, 0, 0]);
    switch.database.assert_books_are_whole().await;
}

/// A bank that counts no cents is asked for whole euros only; nothing counts that it could never be told.
async fn what_the_bank_can_not_be_told_is_refused(engine: Engine) {
    let template = include_str!("../../hosts/acquirer.toml");
    let (from, to) = (
        "[currency_minor_digits]",
        "[currency_minor_digits]\nEUR = 0",
    );
    let profile = if template.contains(&format!("\n{from}")) {
        template.replace(from, to)
    } else {
        format!("{template}\n{to}\n")
    };
    let switch = Switch::start_with(engine, Some(profile)).await;
    let mut payments = switch.payments().await;
    let held = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    assert_eq!(held.state(), State::Authorized);
    let refused = try_capture(&mut payments, of(&held, 550)).await;
    let refused = refused.expect_err("half a euro");
    let reason = error_reason(&refused);
    assert_eq!(reason.as_deref(), Some("MESSAGE_NOT_BUILDABLE"));
    let (after, told) = capture(&mut payments, of(&held, 500)).await;
    assert_eq!(minor(&after.captured_amount), 500);
    ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
    assert_eq!(switch.database.count("captures").await, 1);
}

async fn what_can_not_be_captured_is_refused(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let held = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    let declined = pay_with("pm_test_insufficient_funds", 10_000, "EUR");
    let declined = authorize(&mut payments, declined).await;
    let foreign = pb::CapturePaymentRequest {
        amount: Some(pb::Money {
            amount_minor: 1_000,
            currency: "USD".into(),
        }),
        ..of(&held, None)
    };
    let nobodys = pb::CapturePaymentRequest {
        payment_id: "pay_06e9x3w8k1z7h4n2m5q0r8t6va".into(),
        ..of(&held, None)
    };
    for (request, reason) in [
        (of(&declined, None), "PAYMENT_STATE"),
        (of(&held, 10_001), "AMOUNT_EXCEEDS_CAPTURABLE"),
        (foreign, "CURRENCY_MISMATCH"),
        (nobodys, "PAYMENT_NOT_FOUND"),
        (of(&held, 0), "INVALID_REQUEST"),
    ] {
        let refused = try_capture(&mut payments, request).await;
        let refused = refused.expect_err("a refusal");
        assert_eq!(error_reason(&refused).as_deref(), Some(reason));
    }
    // Another merchant's captures are as if they were not there.
    let (_, told) = capture(&mut payments, of(&held, None)).await;
    let (_, key) = switch.add_merchant("other-shop", |_| ()).await;
    let mut others = switch.payments_of(&key).await;
    let request = pb::GetCaptureRequest {
        capture_id: told.capture_id,
    };
    let refused = others.get_capture(request).await.expect_err("not theirs");
    assert_eq!(error_reason(&refused).as_deref(), Some("CAPTURE_NOT_FOUND"));
    let refused = try_capture(&mut others, of(&held, None)).await;
    let refused = refused.expect_err("not theirs");
    assert_eq!(error_reason(&refused).as_deref(), Some("PAYMENT_NOT_FOUND"));
    assert_eq!(switch.database.count("captures").await, 1);
    switch.database.assert_books_are_whole().await;
}
