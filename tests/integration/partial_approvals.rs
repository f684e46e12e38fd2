//! Partial approvals: less than was asked for is authorized where the merchant takes it, and reversed where not.

use bank_sim::issuer::{MessageKind, Standing};
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::pb;
use pb::{CaptureMode, CaptureState, PaymentState as State, PendingReason};

use crate::capturing::{booked, capture, ended, minor, of, try_capture};
use crate::database::Engine;
use crate::faults::{change, fault, inject};
use crate::harness::{Switch, authorize, on_both_engines, pay_with, response_code};
use crate::refunding::{refund_of, refunds_of, try_refund};
use crate::unknown_outcomes::{assert_owes_a_reversal, found, reversed};
use crate::voiding::{became, try_void, void_of};

on_both_engines!(
    less_is_authorized_where_the_merchant_takes_it,
    less_is_sold_where_the_merchant_takes_it,
    less_is_reversed_where_the_merchant_does_not_take_it,
);

/// Of which the card's bank approves 500.00.
fn asks(accept_partial_approval: bool) -> pb::AuthorizePaymentRequest {
    pb::AuthorizePaymentRequest {
        accept_partial_approval,
        ..pay_with("pm_test_partial_approval", 80_000, "EUR")
    }
}

fn is_partial(payment: &pb::Payment) -> bool {
    payment.authorization.as_ref().expect("routed").partial
}

async fn less_is_authorized_where_the_merchant_takes_it(engine: Engine) {
    let mut switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let request = asks(true);
    let held = authorize(&mut payments, request.clone()).await;
    assert_eq!(
        (held.state(), is_partial(&held), response_code(&held)),
        (State::Authorized, true, "10")
    );
    assert_eq!(minor(&held.amount), 80_000);
    assert_eq!(minor(&held.authorized_amount), 50_000);
    assert_eq!(minor(&held.capturable_amount), 50_000);
    let remaining_minor = 50_000;
    let hold = Standing::Held { remaining_minor };
    assert_eq!(booked(&switch, &held), (vec![], hold));

    // What was asked for is known after a restart too.
    switch.restart_gateway().await;
    payments = switch.payments().await;
    assert_eq!(authorize(&mut payments, request).await, held);
    assert_eq!(found(&mut payments, &held.payment_id).await, held);
    assert_eq!(switch.at_acquirer(), 1);
    let asked = "SELECT COUNT(*) FROM operations WHERE accepts_partial = 1".to_owned();
    assert_eq!(switch.database.number(asked).await, 1);

    let refused = try_capture(&mut payments, of(&held, 50_001)).await;
    let reason = error_reason(&refused.expect_err("above the hold"));
    assert_eq!(reason.as_deref(), Some("AMOUNT_EXCEEDS_CAPTURABLE"));
    let (captured, told) = capture(&mut payments, of(&held, None)).await;
    assert_eq!(captured.state(), State::Captured);
    assert_eq!(minor(&captured.captured_amount), 50_000);
    ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
    assert_eq!(booked(&switch, &held), (vec![50_000], Standing::Posted));

    let other = authorize(&mut payments, asks(true)).await;
    let (_, void) = try_void(&mut payments, void_of(&other))
        .await
        .expect("a void");
    assert_eq!(minor(&void.amount), 50_000);
    became(&mut payments, &other.payment_id, State::Voided).await;
    assert_eq!(booked(&switch, &other), (vec![], Standing::Reversed));

    let whole = pb::AuthorizePaymentRequest {
        accept_partial_approval: true,
        ..pay_with("pm_test_partial_approval", 50_000, "EUR")
    };
    let whole = authorize(&mut payments, whole).await;
    assert_eq!(
        (whole.state(), is_partial(&whole)),
        (State::Authorized, false)
    );
    switch.database.assert_books_are_whole().await;
}

async fn less_is_sold_where_the_merchant_takes_it(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let request = pb::AuthorizePaymentRequest {
        capture_mode: CaptureMode::Automatic.into(),
        ..asks(true)
    };
    let sold = authorize(&mut payments, request.clone()).await;
    assert_eq!((sold.state(), is_partial(&sold)), (State::Captured, true));
    let amounts = [&sold.amount, &sold.authorized_amount, &sold.captured_amount];
    assert_eq!(amounts.map(minor), [80_000, 50_000, 50_000]);
    let amounts: Vec<i64> = sold.captures.iter().map(|it| minor(&it.amount)).collect();
    assert_eq!(amounts, [50_000]);
    assert_eq!(authorize(&mut payments, request).await, sold);
    let books = switch.banks.books("issuer-a").expect("books");
    let seen: Vec<_> = books
        .by_rrn(sold.rrn())
        .map(|seen| (seen.kind, seen.standing, seen.posted_minor))
        .collect();
    assert_eq!(seen, [(MessageKind::Financial, Standing::Posted, 50_000)]);

    let mut refunds = refunds_of(&switch).await;
    let refused = try_refund(&mut refunds, refund_of(&sold, 50_001)).await;
    let reason = error_reason(&refused.expect_err("more than was sold"));
    assert_eq!(reason.as_deref(), Some("AMOUNT_EXCEEDS_REFUNDABLE"));
    let refund = try_refund(&mut refunds, refund_of(&sold, None)).await;
    assert_eq!(minor(&refund.expect("a refund").amount), 50_000);
    switch.database.assert_books_are_whole().await;
}

/// Nor is more than was asked for, or nothing, whatever the merchant takes.
async fn less_is_reversed_where_the_merchant_does_not_take_it(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let sale = CaptureMode::Automatic.into();
    for (accepts, capture_mode, approved) in [
        (false, 0, None),
        (false, sale, None),
        (true, 0, Some("000000080001")),
        (true, 0, Some("000000000000")),
        (true, sale, Some("000000080000")),
    ] {
        if let Some(value) = approved {
            inject(&switch, fault("", change(4, value))).await;
        }
        let request = pb::AuthorizePaymentRequest {
            capture_mode,
            ..asks(accepts)
        };
        let told = authorize(&mut payments, request).await;
        assert_eq!(told.state(), State::Authorizing, "{approved:?}");
        assert_owes_a_reversal(&switch, &told, PendingReason::AmountDiffers).await;
        let undone = reversed(&mut payments, &told.payment_id).await;
        assert_eq!(minor(&undone.authorized_amount), 0);
        let books = switch.banks.books("issuer-a").expect("books");
        let seen: Vec<_> = books.by_rrn(told.rrn()).collect();
        assert_eq!((seen.len(), seen[0].standing), (1, Standing::Reversed));
    }
    switch.database.assert_books_are_whole().await;
}
