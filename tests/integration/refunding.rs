//! Refunds: in parts to the last cent, at once, unanswered, late, declined; and what the banks' books say of them.

use bank_sim::control::pb::fault::What;
use bank_sim::issuer::MessageKind;
use futures_util::future::join_all;
use payswitch::admin_api::pb::{
    GetOwedRequest, ListOwedRequest, OwedResolution, OwedState, ResolveOwedRequest,
};
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::client::ApiKey;
use payswitch::merchant_api::pb;
use pb::refund_service_client::RefundServiceClient;
use pb::{CaptureState, DeclineReason, PaymentAction, PendingReason, RefundState};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::capturing::{actions, capture, ended, minor, of};
use crate::database::Engine;
use crate::faults::{UNANSWERED, fault, fault_of, inject, with_code};
use crate::harness::{Payments, Switch, authorize, eventually, on_both_engines, pay_with, unique};
use crate::operators::owed_client;
use crate::refused::Refused;
use crate::unknown_outcomes::found;

on_both_engines!(
    refunds_add_up_to_the_capture_and_no_further,
    parts_of_an_odd_amount_never_exceed_the_whole,
    a_refund_changes_only_its_own_payment,
    two_refunds_at_once_are_one,
    a_refund_without_an_answer_waits_and_is_never_reversed,
    what_can_not_be_refunded_is_refused,
);

pub(crate) type Refunds = RefundServiceClient<InterceptedService<Channel, ApiKey>>;

pub(crate) async fn refunds_of(switch: &Switch) -> Refunds {
    let key = ApiKey::new(&switch.api_key).expect("an API key for a header");
    RefundServiceClient::new(key.on(switch.connect(None).await))
}

pub(crate) fn refund_of(
    payment: &pb::Payment,
    amount_minor: impl Into<Option<i64>>,
) -> pb::CreateRefundRequest {
    let amount = payment.amount.as_ref().expect("an amount");
    pb::CreateRefundRequest {
        request_id: format!("refund-{}", unique()),
        payment_id: payment.payment_id.clone(),
        amount: amount_minor.into().map(|amount_minor| pb::Money {
            amount_minor,
            currency: amount.currency.clone(),
        }),
        ..Default::default()
    }
}

pub(crate) async fn try_refund(
    refunds: &mut Refunds,
    request: pb::CreateRefundRequest,
) -> Result<pb::Refund, Status> {
    let answer = refunds.create_refund(request).await?;
    Ok(answer.into_inner().refund.expect("a refund"))
}

/// A payment whose capture of this amount the bank has taken.
async fn captured(payments: &mut Payments, amount_minor: i64) -> pb::Payment {
    let request = pay_with("pm_test_visa", amount_minor, "EUR");
    let payment = authorize(payments, request).await;
    let (_, told) = capture(payments, of(&payment, None)).await;
    ended(payments, &told.capture_id, CaptureState::Captured).await;
    found(payments, &payment.payment_id).await
}

/// Without where its money stands, which the answer to the request does not tell.
fn as_told(refund: pb::Refund) -> pb::Refund {
    assert!(!refund.batch_id.is_empty(), "{refund:?}");
    pb::Refund {
        batch_id: String::new(),
        business_date: String::new(),
        ..refund
    }
}

pub(crate) async fn get_refund(refunds: &mut Refunds, refund_id: &str) -> pb::Refund {
    let request = pb::GetRefundRequest {
        refund_id: refund_id.to_owned(),
    };
    let answer = refunds.get_refund(request).await.expect("the refund");
    answer.into_inner().refund.expect("a refund")
}

/// What the issuer has credited under an RRN.
fn credited(switch: &Switch, rrn: &str) -> Vec<i64> {
    let books = switch.banks.books("issuer-a").expect("books");
    let credits = books.by_rrn(rrn);
    credits
        .filter(|seen| seen.kind == MessageKind::Financial)
        .map(|seen| -seen.posted_minor)
        .collect()
}

async fn refunds_add_up_to_the_capture_and_no_further(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(&switch).await;
    let books = || {
        let books = switch.banks.books("issuer-a").expect("books");
        let account = books.account("4242424242424242", "EUR");
        account.expect("the account").balance_minor
    };
    let before = books();
    let payment = captured(&mut payments, 10_000).await;
    let both = [PaymentAction::Refund, PaymentAction::Reverse];
    assert_eq!(actions(&payment), both);
    let mut told = Vec::new();
    for (amount_minor, left_minor) in [(3_333, 6_667), (3_333, 3_334), (3_333, 1), (1, 0)] {
        let request = pb::CreateRefundRequest {
            merchant_reference: format!("rma-{left_minor}"),
            ..refund_of(&payment, amount_minor)
        };
        let refund = try_refund(&mut refunds, request.clone()).await;
        let refund = refund.expect("a refund");
        assert_eq!(refund.state(), RefundState::Refunded);
        assert_eq!(refund.capture_id, payment.captures[0].capture_id);
        assert_eq!(credited(&switch, &refund.rrn), [amount_minor]);
        let again = try_refund(&mut refunds, request).await.expect("the answer");
        assert_eq!(again, refund);
        let payment = found(&mut payments, &payment.payment_id).await;
        assert_eq!(minor(&payment.refundable_amount), left_minor);
        assert_eq!(minor(&payment.refunded_amount), 10_000 - left_minor);
        assert_eq!(minor(&payment.pending_refund_amount), 0);
        told.push(refund);
    }
    let refused = try_refund(&mut refunds, refund_of(&payment, None)).await;
    let refused = refused.expect_err("nothing is left");
    assert_eq!(
        error_reason(&refused).as_deref(),
        Some("AMOUNT_EXCEEDS_REFUNDABLE")
    );
    assert_eq!(books(), before);
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(counters.received("0200"), 4);

    let read = get_refund(&mut refunds, &told[1].refund_id).await;
    assert_eq!(as_told(read), told[1]);
    let mut listed = Vec::new();
    let mut page = pb::ListRefundsRequest {
        page_size: 3,
        filter: format!("payment_id={}", payment.payment_id),
        order_by: "create_time asc".into(),
        ..Default::default()
    };
    loop {
        let answer = refunds.list_refunds(page.clone()).await.expect("a page");
        let answer = answer.into_inner();
        listed.extend(answer.refunds.into_iter().map(as_told));
        page.page_token = answer.next_page_token;
        if page.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, told);
    page.filter = "merchant_reference=\"rma-1\"".into();
    let answer = refunds
        .list_refunds(page)
        .await
        .expect("a page")
        .into_inner();
    let by_reference: Vec<_> = answer.refunds.into_iter().map(as_told).collect();
    assert_eq!(by_reference, [told[2].clone()]);
    switch.database.assert_books_are_whole().await;
}

/// 61.00 are 52.00 and 10 of tax for whoever rounds: the parts end at what was captured, exactly.
async fn parts_of_an_odd_amount_never_exceed_the_whole(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(&switch).await;
    for (whole, parts, left) in [
        (10_000, &[3_333, 3_333, 3_334][..], 0),
        (10_000, &[3_333, 3_333, 3_333], 1),
        (61, &[32, 9, 8, 3, 6, 3], 0),
        (6_100, &[3_200, 900, 800, 300, 600, 300], 0),
    ] {
        let payment = captured(&mut payments, whole).await;
        for part in parts {
            let refund = try_refund(&mut refunds, refund_of(&payment, *part)).await;
            assert_eq!(refund.expect("a refund").state(), RefundState::Refunded);
        }
        let after = found(&mut payments, &payment.payment_id).await;
        assert_eq!(minor(&after.refundable_amount), left);
        assert_eq!(minor(&after.refunded_amount), whole - left);
        let refused = try_refund(&mut refunds, refund_of(&payment, left + 1)).await;
        let reason = error_reason(&refused.expect_err("more than is left"));
        assert_eq!(reason.as_deref(), Some("AMOUNT_EXCEEDS_REFUNDABLE"));
    }
    switch.database.assert_books_are_whole().await;
}

/// A double click pays an order twice, and one of the two payments is refunded.
async fn a_refund_changes_only_its_own_payment(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(&switch).await;
    let click = || pb::AuthorizePaymentRequest {
        merchant_reference: "order-7".into(),
        ..pay_with("pm_test_visa", 10_000, "EUR")
    };
    let mut other = payments.clone();
    let (first, second) = tokio::join!(
        authorize(&mut payments, click()),
        authorize(&mut other, click())
    );
    let mut whole = Vec::new();
    for payment in [first, second] {
        let (_, told) = capture(&mut payments, of(&payment, None)).await;
        ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
        whole.push(found(&mut payments, &payment.payment_id).await);
    }
    let refund = try_refund(&mut refunds, refund_of(&whole[1], None)).await;
    let refund = refund.expect("a refund");
    assert_eq!(credited(&switch, &refund.rrn), [10_000]);
    let request = pb::LookupPaymentRequest {
        key: Some(pb::lookup_payment_request::Key::MerchantReference(
            "order-7".into(),
        )),
        ..Default::default()
    };
    let answer = payments.lookup_payment(request).await.expect("both");
    let mut both = answer.into_inner().payments;
    both.sort_by_key(|payment| payment.payment_id != whole[0].payment_id);
    assert_eq!(both[0], whole[0], "it stands as it was");
    assert_eq!(both[1].payment_id, whole[1].payment_id);
    let refunded = both.iter().map(|payment| minor(&payment.refunded_amount));
    assert_eq!(refunded.collect::<Vec<_>>(), [0, 10_000]);
    switch.database.assert_books_are_whole().await;
}

async fn two_refunds_at_once_are_one(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let refunds = refunds_of(&switch).await;
    const TIMES: usize = 200;
    let mut taken = Vec::with_capacity(TIMES);
    // In portions, so that no merchant's share of places is used up.
    for _ in 0..TIMES / 20 {
        let captures = join_all([(); 20].map(|()| {
            let mut payments = payments.clone();
            async move { captured(&mut payments, 10_000).await }
        }))
        .await;
        let twice = captures.iter().flat_map(|payment| [payment, payment]);
        let answers = join_all(twice.map(|payment| {
            let mut refunds = refunds.clone();
            async move { try_refund(&mut refunds, refund_of(payment, 6_000)).await }
        }))
        .await;
        taken.extend(
            captures
                .into_iter()
                .zip(answers.chunks(2).map(<[_]>::to_vec)),
        );
    }
    let exceeds = Refused {
        preconditions: vec!["payment".into()],
        ..Refused::not_sent(Code::FailedPrecondition, "AMOUNT_EXCEEDS_REFUNDABLE")
    };
    for (payment, two) in &taken {
        let refunded: Vec<_> = two.iter().flatten().collect();
        assert_eq!(refunded.len(), 1, "{two:?}");
        assert_eq!(credited(&switch, &refunded[0].rrn), [6_000]);
        let refused = two.iter().find_map(|one| one.as_ref().err());
        assert_eq!(Refused::from(refused.expect("a refusal")), exceeds);
        let payment = found(&mut payments, &payment.payment_id).await;
        assert_eq!(minor(&payment.refunded_amount), 6_000);
    }
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(
        counters.received("0200"),
        u64::try_from(TIMES).expect("a count")
    );
    let sum = "SELECT CAST(SUM(refunded_minor) AS BIGINT) FROM captures".to_owned();
    let expected = 6_000 * i64::try_from(TIMES).expect("a count");
    assert_eq!(switch.database.number(sum).await, expected);
    switch.database.assert_books_are_whole().await;
}

/// Its amount stays taken. An answer that comes later says what became of it.
async fn a_refund_without_an_answer_waits_and_is_never_reversed(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(&switch).await;
    let payment = captured(&mut payments, 10_000).await;
    for (amount_minor, what) in [(4_000, UNANSWERED), (5_000, What::DelayMs(6_000))] {
        inject(&switch, fault_of("0200", amount_minor, what)).await;
    }
    let request = refund_of(&payment, 4_000);
    let lost = try_refund(&mut refunds, request.clone()).await;
    let lost = lost.expect("a refund");
    assert_eq!(lost.state(), RefundState::Sending);
    let pending = lost.pending.as_ref().expect("why it is pending");
    assert_eq!(pending.reason(), PendingReason::NoAnswerInTime);
    assert!(!pending.reversal_owed);
    let again = try_refund(&mut refunds, request).await.expect("the answer");
    assert_eq!(again, lost);
    let late = try_refund(&mut refunds, refund_of(&payment, 5_000)).await;
    let late = late.expect("a refund");
    assert_eq!(late.state(), RefundState::Sending);
    let refused = try_refund(&mut refunds, refund_of(&payment, 2_000)).await;
    let refused = refused.expect_err("nine of ten may be given back");
    assert_eq!(
        error_reason(&refused).as_deref(),
        Some("AMOUNT_EXCEEDS_REFUNDABLE")
    );
    eventually("the late answer", async || {
        let refund = get_refund(&mut refunds, &late.refund_id).await;
        (refund.state() == RefundState::Refunded).then_some(())
    })
    .await;
    let payment = found(&mut payments, &payment.payment_id).await;
    assert_eq!(minor(&payment.refunded_amount), 9_000);
    assert_eq!(minor(&payment.pending_refund_amount), 4_000);
    assert_eq!(minor(&payment.refundable_amount), 1_000);
    assert_eq!(credited(&switch, &lost.rrn), [4_000]);
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(
        (counters.received("0200"), counters.received("0420")),
        (2, 0)
    );

    // What no answer tells an operator finds out at the bank.
    let operations = payments.list_operations(pb::ListOperationsRequest {
        payment_id: payment.payment_id.clone(),
        ..Default::default()
    });
    let operations = operations
        .await
        .expect("operations")
        .into_inner()
        .operations;
    let waiting = operations.iter().find(|it| it.subject_id == lost.refund_id);
    let operation_id = waiting.expect("the refund").operation_id.clone();
    let mut owed = owed_client(&switch).await;
    let suspended = ListOwedRequest {
        suspended_only: true,
        ..Default::default()
    };
    let listed = owed.list_owed(suspended).await.expect("what is owed");
    let listed = listed.into_inner().owed;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].operation_id, operation_id);
    assert_eq!(listed[0].state(), OwedState::Unknown);
    let one = GetOwedRequest {
        operation_id: operation_id.clone(),
    };
    let read = owed.get_owed(one).await.expect("the entry");
    assert_eq!(read.into_inner().owed.as_ref(), listed.first());
    let resolve = |request_id: &str| ResolveOwedRequest {
        request_id: request_id.into(),
        reason: "ticket 4711".into(),
        operation_id: operation_id.clone(),
        resolution: OwedResolution::Stands.into(),
    };
    owed.resolve_owed(resolve("stands"))
        .await
        .expect("it is resolved");
    let refund = get_refund(&mut refunds, &lost.refund_id).await;
    assert_eq!(refund.state(), RefundState::Refunded);
    let payment = found(&mut payments, &payment.payment_id).await;
    assert_eq!(minor(&payment.pending_refund_amount), 0);
    assert_eq!(minor(&payment.refunded_amount), 9_000);
    let again = owed
        .resolve_owed(resolve("again"))
        .await
        .expect_err("it has ended");
    assert_eq!(error_reason(&again).as_deref(), Some("NOT_OWED"));
    switch.database.assert_books_are_whole().await;
}

async fn what_can_not_be_refunded_is_refused(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(&switch).await;
    let held = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    let whole = captured(&mut payments, 10_000).await;
    let foreign = pb::CreateRefundRequest {
        amount: Some(pb::Money {
            amount_minor: 1_000,
            currency: "USD".into(),
        }),
        ..refund_of(&whole, None)
    };
    let another = pb::CreateRefundRequest {
        capture_id: "cap_06e9x3w8k1z7h4n2m5q0r8t6va".into(),
        ..refund_of(&whole, None)
    };
    for (request, reason) in [
        (refund_of(&held, None), "PAYMENT_STATE"),
        (refund_of(&whole, 10_001), "AMOUNT_EXCEEDS_REFUNDABLE"),
        (foreign, "CURRENCY_MISMATCH"),
        (another, "CAPTURE_NOT_FOUND"),
        (refund_of(&whole, 0), "INVALID_REQUEST"),
    ] {
        let refused = try_refund(&mut refunds, request).await;
        let refused = refused.expect_err("a refusal");
        assert_eq!(error_reason(&refused).as_deref(), Some(reason));
    }
    // What the bank declines can be refunded again.
    inject(&switch, fault("0200", with_code("57"))).await;
    let declined = try_refund(&mut refunds, refund_of(&whole, None)).await;
    let declined = declined.expect("a refund");
    assert_eq!(declined.state(), RefundState::Declined);
    let decline = declined.decline.expect("why");
    assert_eq!(decline.reason(), DeclineReason::NotPermitted);
    let payment = found(&mut payments, &whole.payment_id).await;
    assert_eq!(minor(&payment.refunded_amount), 0);
    assert_eq!(minor(&payment.refundable_amount), 10_000);

    // A refund never overtakes its capture.
    switch.banks.stop_host("acquirer").await.expect("stopped");
    let (_, told) = capture(&mut payments, of(&held, 4_000)).await;
    let refused = try_refund(&mut refunds, refund_of(&held, 4_000)).await;
    let refused = refused.expect_err("its capture is on its way");
    let expected = Refused {
        retry: true,
        ..Refused::not_sent(Code::Aborted, "OPERATION_IN_PROGRESS")
    };
    assert_eq!(Refused::from(&refused), expected);
    switch.banks.start_host("acquirer").await.expect("started");
    ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
    let refund = eventually("the bank's line", async || {
        let refund = try_refund(&mut refunds, refund_of(&held, 4_000)).await;
        let refund = refund.expect("a refund");
        (refund.state() == RefundState::Refunded).then_some(refund)
    })
    .await;
    assert_eq!(credited(&switch, &refund.rrn), [4_000]);
    switch.database.assert_books_are_whole().await;
}
