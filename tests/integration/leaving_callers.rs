//! A caller who hangs up, or whose deadline passes, cancels no payment.

use std::time::Duration;

use payswitch::merchant_api::pb;
use pb::{PaymentState as State, PendingReason};
use tonic::{Code, Request};

use crate::database::Engine;
use crate::harness::{
    Payments, Switch, authorize, eventually, look_up, on_both_engines, pay_with, until,
};
use crate::unknown_outcomes::assert_owes_a_reversal;

on_both_engines!(
    a_caller_who_hangs_up_leaves_a_payment,
    a_deadline_of_the_caller_leaves_a_payment,
);

/// What `pm_test_visa` stands for.
const PAN: &str = "4242424242424242";

/// The payment of this order, once it has an outcome.
async fn concluded(payments: &mut Payments, order: &str) -> pb::Payment {
    eventually("a payment with an outcome", async || {
        let payment = look_up(payments, order).await?;
        let in_progress = payment
            .pending
            .as_ref()
            .is_some_and(|pending| pending.reason() == PendingReason::InProgress);
        (!in_progress).then_some(payment)
    })
    .await
}

async fn a_caller_who_hangs_up_leaves_a_payment(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let request = pay_with("pm_test_no_answer", 1250, "EUR");
    let order = request.merchant_reference.clone();
    let calling = tokio::spawn({
        // A connection of its own, which goes with the caller.
        let mut payments = switch.payments().await;
        let request = request.clone();
        async move { payments.authorize_payment(request).await }
    });
    until("the message at the acquirer", async || {
        switch.at_acquirer() == 1
    })
    .await;
    calling.abort();
    assert!(
        calling
            .await
            .expect_err("the caller is gone")
            .is_cancelled()
    );

    let under_way = look_up(&mut payments, &order).await;
    let under_way = under_way.expect("the payment is there");
    assert_eq!(under_way.state(), State::Authorizing);
    let payment = concluded(&mut payments, &order).await;
    // Its reversal may be on its way by now; the answer to the request stays what it was.
    let told = authorize(&mut payments, request).await;
    assert_eq!(told.payment_id, payment.payment_id);
    assert_owes_a_reversal(&switch, &told, PendingReason::NoAnswerInTime).await;
    assert_eq!(switch.at_acquirer(), 1);

    // Callers who go away at once, each at another moment of the call.
    let mut orders = Vec::new();
    for number in 0..20_u64 {
        let request = pay_with("pm_test_visa", 1250, "EUR");
        orders.push(request.merchant_reference.clone());
        let mut payments = switch.payments().await;
        let call = payments.authorize_payment(request);
        let _ = tokio::time::timeout(Duration::from_micros(400 * number), call).await;
    }
    assert_each_is_whole(&switch, &mut payments, &orders).await;
}

async fn a_deadline_of_the_caller_leaves_a_payment(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let request = pay_with("pm_test_no_answer", 1250, "EUR");
    let order = request.merchant_reference.clone();
    let mut impatient = Request::new(request.clone());
    impatient.set_timeout(Duration::from_millis(800));
    let status = payments
        .authorize_payment(impatient)
        .await
        .expect_err("no time left");
    assert!(
        matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded),
        "{status:?}"
    );
    let payment = concluded(&mut payments, &order).await;
    // Its reversal may be on its way by now; the answer to the request stays what it was.
    let told = authorize(&mut payments, request).await;
    assert_eq!(told.payment_id, payment.payment_id);
    assert_owes_a_reversal(&switch, &told, PendingReason::NoAnswerInTime).await;
    assert_eq!(switch.at_acquirer(), 1);

    let mut orders = Vec::new();
    for _ in 0..20 {
        let request = pay_with("pm_test_visa", 1250, "EUR");
        orders.push(request.merchant_reference.clone());
        let mut impatient = Request::new(request);
        impatient.set_timeout(Duration::from_millis(1));
        // It may be quick enough, and it may not.
        let _ = payments.authorize_payment(impatient).await;
    }
    assert_each_is_whole(&switch, &mut payments, &orders).await;
}

/// Whatever the caller saw: a payment that was begun was finished, and nothing else reached the bank.
async fn assert_each_is_whole(switch: &Switch, payments: &mut Payments, orders: &[String]) {
    let mut begun = 0;
    for order in orders {
        // A call that was cut off before its flow began leaves nothing, then or later.
        if look_up(payments, order).await.is_none() {
            continue;
        }
        let payment = concluded(payments, order).await;
        assert_eq!(payment.state(), State::Authorized, "{payment:?}");
        begun += 1;
    }
    // Flows that were about to begin have begun by the time that a payment after them is done.
    authorize(payments, pay_with("pm_test_visa_2", 1250, "EUR")).await;
    let rows = switch.database.count("payments").await;
    assert_eq!(u64::try_from(rows), Ok(switch.at_acquirer()));
    let books = switch.banks.books("issuer-a").expect("books");
    let held = books.account(PAN, "EUR").expect("an account").held_minor;
    assert!(held >= begun * 1250, "{held} for {begun}");
}
