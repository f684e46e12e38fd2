//! Verifications: whether a card is good. Nothing is held, nothing is owed, and no list shows them.

use bank_sim::issuer::Standing;
use payswitch::card::header::Algorithm;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::pb;
use pb::lookup_payment_request::Key;
use pb::verify_card_request::PaymentMethod;
use pb::{OperationKind, OperationState, VerificationState as State};
use tonic::{Code, Status};

use crate::database::Engine;
use crate::faults::{change, fault, inject};
use crate::harness::{
    ANSWER_WITHIN, Payments, Switch, eventually, on_both_engines, pay_with, unique, with_key,
};
use crate::refused::Refused;
use crate::sealing::{Claims, card};
use crate::styles::dual_message;

on_both_engines!(
    a_good_card_is_verified_and_leaves_no_trace,
    each_end_of_a_verification,
    a_sealed_card_is_verified_once,
    a_verification_without_an_answer_owes_nothing,
    a_verification_that_a_crash_left_is_unknown,
    what_can_not_be_verified_is_refused,
);

fn verify(token: &str) -> pb::VerifyCardRequest {
    let number = unique();
    pb::VerifyCardRequest {
        request_id: format!("verify-{number}"),
        currency: "EUR".into(),
        merchant_reference: format!("signup-{number}"),
        payment_method: Some(PaymentMethod::PaymentMethodToken(token.into())),
    }
}

async fn try_verify(
    payments: &mut Payments,
    request: pb::VerifyCardRequest,
) -> Result<pb::Verification, Status> {
    let answer = payments.verify_card(request).await?.into_inner();
    Ok(answer.verification.expect("a verification"))
}

async fn verified(payments: &mut Payments, request: pb::VerifyCardRequest) -> pb::Verification {
    let verification = try_verify(payments, request).await;
    verification.expect("a verification")
}

fn exchange(verification: &pb::Verification) -> &pb::Operation {
    verification.operation.as_ref().expect("it is routed")
}

/// No call finds it as a payment, no card is kept, and nothing is owed or told.
async fn assert_no_trace(
    switch: &Switch,
    payments: &mut Payments,
    verification: &pb::Verification,
) {
    let list = payments.list_payments(pb::ListPaymentsRequest::default());
    assert_eq!(list.await.expect("a list").into_inner().payments, []);
    for key in [
        Key::MerchantReference(verification.merchant_reference.clone()),
        Key::Rrn(exchange(verification).rrn.clone()),
    ] {
        let look_up = pb::LookupPaymentRequest {
            key: Some(key),
            ..Default::default()
        };
        let found = payments.lookup_payment(look_up).await;
        assert_eq!(found.expect_err("no payment").code(), Code::NotFound);
    }
    let payment_id = verification.verification_id.replace("ver_", "pay_");
    let get = pb::GetPaymentRequest {
        payment_id: payment_id.clone(),
    };
    let list = pb::ListOperationsRequest {
        payment_id: payment_id.clone(),
        ..Default::default()
    };
    let capture = pb::CapturePaymentRequest {
        request_id: format!("capture-{}", unique()),
        payment_id,
        ..Default::default()
    };
    for refused in [
        payments.get_payment(get).await.map(drop),
        payments.list_operations(list).await.map(drop),
        payments.capture_payment(capture).await.map(drop),
    ] {
        let refused = refused.expect_err("it is no payment");
        assert_eq!(error_reason(&refused).as_deref(), Some("PAYMENT_NOT_FOUND"));
    }
    let cards =
        "SELECT COUNT(*) FROM payments WHERE custody IS NOT NULL OR fingerprint IS NOT NULL";
    assert_eq!(switch.database.number(cards.into()).await, 0);
    assert_eq!(switch.database.count("events").await, 0);
    assert_eq!(switch.database.reversals().await, 0);
    switch.database.assert_books_are_whole().await;
}

async fn a_good_card_is_verified_and_leaves_no_trace(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let pan = "4242424242424242";
    let account = || {
        let books = switch.banks.books("issuer-a").expect("books");
        books.account(pan, "EUR").expect("an account").clone()
    };
    let before = account();
    let request = verify("pm_test_visa");
    let good = verified(&mut payments, request.clone()).await;
    assert_eq!(good.state(), State::Verified);
    assert!(good.verification_id.starts_with("ver_"));
    assert_eq!(good.merchant_reference, request.merchant_reference);
    assert_eq!((&*good.cvv_result, &*good.avs_result), ("M", ""));
    let asked = exchange(&good);
    assert_eq!(
        (
            asked.kind(),
            asked.state(),
            &*asked.mti,
            &*asked.response_code
        ),
        (
            OperationKind::Verification,
            OperationState::Approved,
            "0100",
            "85"
        )
    );
    assert_eq!(
        asked.amount.as_ref().map(|amount| amount.amount_minor),
        Some(0)
    );
    assert_eq!(account(), before);
    let books = switch.banks.books("issuer-a").expect("books");
    let seen: Vec<_> = books.by_rrn(&asked.rrn).map(|seen| seen.standing).collect();
    assert_eq!(seen, [Standing::Held { remaining_minor: 0 }]);

    assert_eq!(verified(&mut payments, request.clone()).await, good);
    let another = pb::VerifyCardRequest {
        currency: "JPY".into(),
        ..request
    };
    let reused = try_verify(&mut payments, another)
        .await
        .expect_err("reused");
    assert_eq!(error_reason(&reused).as_deref(), Some("REQUEST_ID_REUSED"));
    assert_eq!(switch.at_acquirer(), 1);
    assert_no_trace(&switch, &mut payments, &good).await;
}

async fn each_end_of_a_verification(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    // A card without money is good.
    for (token, state, code, cvv) in [
        ("pm_test_mastercard", State::Verified, "85", "M"),
        ("pm_test_insufficient_funds", State::Verified, "85", "M"),
        ("pm_test_wrong_cvv", State::Declined, "N7", "N"),
        ("pm_test_expired", State::Declined, "54", "P"),
        ("pm_test_lost", State::Declined, "41", "P"),
        ("pm_test_issuer_down", State::Declined, "91", ""),
    ] {
        let end = verified(&mut payments, verify(token)).await;
        assert_eq!((end.state(), &*end.cvv_result), (state, cvv), "{end:?}");
        assert_eq!(exchange(&end).response_code, code);
        let declined = end.decline.as_ref().map(|decline| &*decline.response_code);
        assert_eq!(declined, (state == State::Declined).then_some(code));
    }
    // What another bank says: 00, and what it thinks of the address.
    for (de, value, expected) in [
        (39, "00", ("00", "M", "")),
        (48, "8701U8301Y", ("85", "U", "Y")),
    ] {
        inject(&switch, fault("0100", change(de, value))).await;
        let end = verified(&mut payments, verify("pm_test_visa")).await;
        assert_eq!(end.state(), State::Verified, "{end:?}");
        let code = &*exchange(&end).response_code;
        assert_eq!((code, &*end.cvv_result, &*end.avs_result), expected);
    }
    switch
        .banks
        .stop_host("acquirer")
        .await
        .expect("a bank that stops");
    let end = eventually("a verification that fails", async || {
        let end = verified(&mut payments, verify("pm_test_visa")).await;
        (end.state() == State::Failed).then_some(end)
    })
    .await;
    assert_eq!(exchange(&end).state(), OperationState::Rejected);
    assert!(end.failure.is_some());
    assert_no_trace(&switch, &mut payments, &end).await;
}

async fn a_sealed_card_is_verified_once(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let sealed_for = |amount_minor: i64| {
        let request = verify("");
        let paid = pb::AuthorizePaymentRequest {
            merchant_reference: request.merchant_reference.clone(),
            ..pay_with("", amount_minor, "EUR")
        };
        let claims = Claims::of(switch.merchant_id.as_str(), &paid);
        let sealed = claims.seal(
            &switch.recipient(Algorithm::EcdhEs),
            &card("4242424242424242"),
        );
        pb::VerifyCardRequest {
            payment_method: Some(PaymentMethod::SealedCard(sealed)),
            ..request
        }
    };
    let request = sealed_for(0);
    let good = verified(&mut payments, request.clone()).await;
    assert_eq!((good.state(), &*good.cvv_result), (State::Verified, "M"));
    assert_eq!(verified(&mut payments, request.clone()).await, good);
    let again = pb::VerifyCardRequest {
        request_id: format!("verify-{}", unique()),
        ..request
    };
    for refused in [again, sealed_for(1)] {
        let refused = try_verify(&mut payments, refused).await;
        let refused = refused.expect_err("used, or sealed for a payment");
        assert_eq!(
            error_reason(&refused).as_deref(),
            Some("SEALED_CARD_REFUSED")
        );
    }
    assert_eq!(switch.at_acquirer(), 1);
    assert_no_trace(&switch, &mut payments, &good).await;
}

async fn a_verification_without_an_answer_owes_nothing(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let request = verify("pm_test_late_answer");
    let asked_at = tokio::time::Instant::now();
    let unknown = verified(&mut payments, request.clone()).await;
    assert!(asked_at.elapsed() < ANSWER_WITHIN);
    assert_eq!(unknown.state(), State::Unknown);
    assert_eq!(exchange(&unknown).state(), OperationState::Unknown);
    // The answer comes late. It is kept, and what was told stands.
    eventually("the late answer", async || {
        let late = switch.database.count("late_responses").await;
        (late == 1).then_some(())
    })
    .await;
    assert_eq!(verified(&mut payments, request).await, unknown);
    assert_no_trace(&switch, &mut payments, &unknown).await;
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(counters.received("0420"), 0);
}

/// As a process leaves it that stops after its intent.
async fn a_verification_that_a_crash_left_is_unknown(engine: Engine) {
    let mut switch = Switch::start(engine).await;
    let request = verify("pm_test_visa");
    verified(&mut switch.payments().await, request.clone()).await;
    switch.stop_gateway().await;
    let left = "UPDATE operations SET state = 'CREATED', state_detail = '{\"state\":\"CREATED\"}', open = 1 \
                RETURNING CAST(1 AS BIGINT)";
    switch.database.number(left.into()).await;
    let gateway = switch.another_gateway().await;
    let channel = switch.connect_to(&gateway, None).await;
    let mut payments = with_key(channel, &switch.api_key);
    let unknown = eventually("an end", async || {
        try_verify(&mut payments, request.clone()).await.ok()
    })
    .await;
    assert_eq!(unknown.state(), State::Unknown);
    assert_eq!(switch.at_acquirer(), 1);
    assert_no_trace(&switch, &mut payments, &unknown).await;
}

async fn what_can_not_be_verified_is_refused(engine: Engine) {
    let switch = Switch::start_with(engine, Some(dual_message())).await;
    let mut payments = switch.payments().await;
    let nothing = try_verify(&mut payments, pb::VerifyCardRequest::default()).await;
    let fields = [
        "request_id",
        "currency",
        "merchant_reference",
        "payment_method",
    ];
    assert_eq!(
        Refused::from(&nothing.expect_err("a refusal")),
        Refused::invalid("INVALID_REQUEST", &fields)
    );
    let no_such_message = try_verify(&mut payments, verify("pm_test_visa")).await;
    let refused = no_such_message.expect_err("a bank that verifies no cards");
    assert_eq!(
        error_reason(&refused).as_deref(),
        Some("NOT_SUPPORTED_BY_HOST")
    );
    assert_eq!(switch.database.count("payments").await, 0);
}
