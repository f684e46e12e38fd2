//! Sales: authorized and captured by one message, and reversed by one where its outcome is not known.

use bank_sim::issuer::{MessageKind, Standing};
use payswitch::merchant_api::pb;
use pb::{CaptureMode, CaptureState, PaymentAction, PaymentState as State, RefundState};

use crate::capturing::{actions, minor};
use crate::database::Engine;
use crate::harness::{Switch, authorize, on_both_engines, pay_with};
use crate::refunding::{refund_of, refunds_of, try_refund};
use crate::styles::dual_message;
use crate::unknown_outcomes::{found, reversed};
use payswitch::grpc::client::error_reason;

on_both_engines!(
    a_sale_is_captured_at_once,
    a_sale_without_an_answer_is_reversed,
    a_bank_without_sales_is_said_so,
);

pub(crate) fn sale(token: &str, amount_minor: i64) -> pb::AuthorizePaymentRequest {
    pb::AuthorizePaymentRequest {
        capture_mode: CaptureMode::Automatic.into(),
        ..pay_with(token, amount_minor, "EUR")
    }
}

async fn a_sale_is_captured_at_once(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let request = sale("pm_test_visa", 10_000);
    let sold = authorize(&mut payments, request.clone()).await;
    assert_eq!(
        (sold.state(), sold.capture_mode()),
        (State::Captured, CaptureMode::Automatic)
    );
    assert_eq!(minor(&sold.captured_amount), 10_000);
    let all = [
        PaymentAction::Void,
        PaymentAction::Refund,
        PaymentAction::Reverse,
    ];
    assert_eq!(actions(&sold), all);
    let [capture] = &sold.captures[..] else {
        panic!("{sold:?}");
    };
    assert_eq!(
        (capture.state(), capture.r#final),
        (CaptureState::Captured, true)
    );
    assert_eq!(authorize(&mut payments, request).await, sold);
    assert_eq!(found(&mut payments, &sold.payment_id).await, sold);
    let books = switch.banks.books("issuer-a").expect("books");
    let seen: Vec<_> = books
        .by_rrn(sold.rrn())
        .map(|seen| (seen.kind, seen.standing, seen.posted_minor))
        .collect();
    assert_eq!(seen, [(MessageKind::Financial, Standing::Posted, 10_000)]);
    assert_eq!(switch.at_acquirer(), 1);
    assert_eq!(switch.database.count("journals").await, 1);

    let mut refunds = refunds_of(&switch).await;
    let refund = try_refund(&mut refunds, refund_of(&sold, None)).await;
    let refund = refund.expect("a refund");
    assert_eq!(
        (refund.state(), &refund.capture_id),
        (RefundState::Refunded, &capture.capture_id)
    );

    let declined = authorize(&mut payments, sale("pm_test_insufficient_funds", 10_000)).await;
    assert_eq!(declined.state(), State::Declined);
    assert_eq!(declined.captures[0].state(), CaptureState::Rejected);
    assert_eq!(minor(&declined.captured_amount), 0);
    switch.database.assert_books_are_whole().await;
}

async fn a_sale_without_an_answer_is_reversed(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let told = authorize(&mut payments, sale("pm_test_no_answer", 1_250)).await;
    assert_eq!(told.state(), State::Authorizing);
    assert_eq!(told.captures[0].state(), CaptureState::Sending);
    let undone = reversed(&mut payments, &told.payment_id).await;
    assert_eq!(undone.captures[0].state(), CaptureState::Reversed);
    assert_eq!(minor(&undone.captured_amount), 0);
    let books = switch.banks.books("issuer-a").expect("books");
    let seen: Vec<_> = books.by_rrn(told.rrn()).collect();
    assert_eq!((seen.len(), seen[0].standing), (1, Standing::Reversed));
    assert_eq!(switch.database.count("journals").await, 0);
    switch.database.assert_books_are_whole().await;
}

async fn a_bank_without_sales_is_said_so(engine: Engine) {
    let switch = Switch::start_with(engine, Some(dual_message())).await;
    let mut payments = switch.payments().await;
    let refused = payments
        .authorize_payment(sale("pm_test_visa", 1_250))
        .await;
    let refused = refused.expect_err("no sales");
    assert_eq!(
        error_reason(&refused).as_deref(),
        Some("NOT_SUPPORTED_BY_HOST")
    );
}
