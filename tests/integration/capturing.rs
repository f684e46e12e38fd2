//! Captures: in parts, at once, repeated; and what the banks' books say of them.

use bank_sim::issuer::{MessageKind, Standing};
use futures_util::future::join_all;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::pb;
use payswitch::payment::operation_kind::OperationKind;
use pb::{CaptureState, PaymentAction, PaymentState as State};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::database::Engine;
use crate::faults::{LOST, UNANSWERED, fault, inject};
use crate::harness::{Payments, Switch, authorize, eventually, on_both_engines, pay_with, unique};
use crate::refused::Refused;
use crate::unknown_outcomes::found;

on_both_engines!(
    a_hold_is_captured_in_parts_and_the_books_say_so,
    a_capture_is_repeated_until_the_bank_acknowledges_it,
    no_more_is_captured_than_is_held,
    the_loser_of_two_captures_takes_nothing_back,
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

pub(crate) async fn get(payments: &mut Payments, capture_id: &str) -> pb::Capture {
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
    for (mti, what) in [("0220", UNANSWERED), ("0221", LOST)] {
        inject(&switch, fault(mti, what)).await;
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

/// Two callers capture all of it at once. The one that is refused compensates as it may, and takes nothing of the
/// other's.
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
