//! Captures that are refused, by the gateway or by the bank, and those of which the bank's answer tells nothing.

use payswitch::admin_api::pb as admin;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::pb;
use pb::{CaptureState, PaymentState as State};

use crate::capturing::{booked, capture, ended, get, minor, of, try_capture};
use crate::database::Engine;
use crate::faults::{change, fault, fault_of, inject, with_code};
use crate::harness::{Switch, authorize, eventually, on_both_engines, pay_with, unique};
use crate::operators::owed_client;
use crate::unknown_outcomes::found;

on_both_engines!(
    a_capture_that_the_bank_refuses_is_taken_back,
    a_capture_in_doubt_stays_taken,
    what_can_not_be_captured_is_refused,
    what_the_bank_can_not_be_told_is_refused,
);

async fn a_capture_that_the_bank_refuses_is_taken_back(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    let (_, kept) = capture(&mut payments, of(&payment, 1_000)).await;
    ended(&mut payments, &kept.capture_id, CaptureState::Captured).await;
    inject(&switch, fault("0220", with_code("57"))).await;
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
    let mut owed = owed_client(&switch).await;
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
        inject(&switch, fault_of("0220", amount_minor, change(de, value))).await;
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
        let expected = match amount_minor {
            6_001 | 6_002 => "another amount",
            _ => "in doubt",
        };
        assert!(reason.contains(expected), "{reason}");
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
        let operation_id = entry.operation_id;
        let stands = || admin::ResolveOwedRequest {
            request_id: format!("resolve-{}", unique()),
            reason: "ticket 4711".into(),
            operation_id: operation_id.clone(),
            resolution: admin::OwedResolution::Stands.into(),
        };
        // It is no operator's word that makes another amount stand: the bank is asked again.
        if entry.suspend_reason.contains("another amount") {
            eventually("a refusal", async || {
                let refused = owed.resolve_owed(stands()).await;
                let refused = refused.expect_err("another amount");
                (error_reason(&refused).as_deref() == Some("AMOUNT_DIFFERS")).then_some(())
            })
            .await;
            let retry = admin::RetryOwedRequest {
                request_id: format!("retry-{}", unique()),
                reason: "ticket 4711".into(),
                operation_id,
            };
            owed.retry_owed(retry).await.expect("it is sent again");
            continue;
        }
        eventually("nothing that is still on its way", async || {
            owed.resolve_owed(stands()).await.ok()
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
        (5, 2)
    );
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
