//! CancelByRequestId: a payment that its merchant does not want any more has no effect, whenever the merchant says so.

use std::time::Duration;

use bank_sim::control::pb::fault::What;
use bank_sim::issuer::Standing;
use futures_util::future::join_all;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::pb;
use pb::{PaymentState as State, PendingReason};
use tonic::{Code, Status};

use crate::capturing::{capture, of};
use crate::database::Engine;
use crate::faults::{fault, inject, times};
use crate::harness::{
    Payments, Switch, authorize, eventually, on_both_engines, pay_with, run, unique,
};
use crate::refused::Refused;
use crate::releasing::held_minor;
use crate::two_nodes::SecondNode;
use crate::unknown_outcomes::{found, reversed};
use crate::voiding::became;

on_both_engines!(
    a_request_that_was_cancelled_before_it_came_is_refused_for_good,
    a_payment_that_is_cancelled_on_its_way_is_reversed,
    a_payment_that_took_effect_is_voided_and_one_that_is_captured_is_not,
    a_cancellation_at_any_moment_leaves_nothing_held,
);

fn cancel_of(request: &pb::AuthorizePaymentRequest) -> pb::CancelByRequestIdRequest {
    pb::CancelByRequestIdRequest {
        request_id: format!("cancel-{}", unique()),
        cancelled_request_id: request.request_id.clone(),
    }
}

async fn try_cancel(
    payments: &mut Payments,
    request: pb::CancelByRequestIdRequest,
) -> Result<Option<pb::Payment>, Status> {
    let answer = payments.cancel_by_request_id(request).await?;
    Ok(answer.into_inner().payment)
}

async fn cancel(
    payments: &mut Payments,
    request: pb::CancelByRequestIdRequest,
) -> Option<pb::Payment> {
    try_cancel(payments, request).await.expect("a cancellation")
}

/// The bank answers the next authorizations late, and in time.
async fn slow_bank(switch: &Switch, count: i32) {
    inject(switch, times(count, fault("0100", What::DelayMs(1_500)))).await;
}

async fn a_request_that_was_cancelled_before_it_came_is_refused_for_good(engine: Engine) {
    let mut switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let request = pay_with("pm_test_visa", 10_000, "EUR");
    let cancellation = cancel_of(&request);
    assert_eq!(cancel(&mut payments, cancellation.clone()).await, None);
    let expected = Refused {
        preconditions: vec!["request_id".into()],
        ..Refused::not_sent(Code::FailedPrecondition, "REQUEST_CANCELLED")
    };
    for _ in 0..2 {
        let refused = payments.authorize_payment(request.clone()).await;
        assert_eq!(Refused::from(&refused.expect_err("cancelled")), expected);
        switch.restart_gateway().await;
        payments = switch.payments().await;
    }
    for again in [cancellation.clone(), cancel_of(&request)] {
        assert_eq!(cancel(&mut payments, again).await, None);
    }
    let other = pb::CancelByRequestIdRequest {
        cancelled_request_id: "another".into(),
        ..cancellation
    };
    let reused = try_cancel(&mut payments, other).await.expect_err("reused");
    assert_eq!(error_reason(&reused).as_deref(), Some("REQUEST_ID_REUSED"));
    assert_eq!(switch.database.count("payments").await, 0);
    assert_eq!(switch.at_acquirer(), 0);
    // Another merchant's request of that name is another request.
    let (_, key) = switch.add_merchant("other-shop", |_| ()).await;
    let mut others = switch.payments_of(&key).await;
    assert_eq!(
        authorize(&mut others, request).await.state(),
        State::Authorized
    );
}

async fn a_payment_that_is_cancelled_on_its_way_is_reversed(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    for (sent, (token, ends)) in [
        ("pm_test_visa", State::Reversed),
        ("pm_test_insufficient_funds", State::Declined),
    ]
    .into_iter()
    .enumerate()
    {
        slow_bank(&switch, 1).await;
        let request = pay_with(token, 10_000, "EUR");
        let (mut client, asked) = (payments.clone(), request.clone());
        let paying = tokio::spawn(async move { authorize(&mut client, asked).await });
        eventually("the payment at the bank", async || {
            (switch.at_acquirer() > u64::try_from(sent).expect("a count")).then_some(())
        })
        .await;
        let cancellation = cancel_of(&request);
        let marked = cancel(&mut payments, cancellation.clone()).await;
        let marked = marked.expect("the payment");
        let reason = PendingReason::CancelledByMerchant;
        assert_eq!(marked.state(), State::Authorizing);
        assert_eq!(
            marked.pending.as_ref().map(pb::Pending::reason),
            Some(reason)
        );
        let told = paying.await.expect("an answer");
        let after = match ends {
            State::Reversed => {
                assert_eq!(told.pending.as_ref().map(pb::Pending::reason), Some(reason));
                reversed(&mut payments, &told.payment_id).await
            }
            _ => told.clone(),
        };
        assert_eq!(after.state(), ends);
        assert_eq!(
            cancel(&mut payments, cancellation).await,
            Some(after.clone())
        );
        assert_eq!(
            cancel(&mut payments, cancel_of(&request)).await,
            Some(after)
        );
        assert_eq!(authorize(&mut payments, request).await, told);
        let books = switch.banks.books("issuer-a").expect("books");
        let seen = books.by_rrn(told.rrn()).next().expect("the payment");
        let standing = match ends {
            State::Reversed => Standing::Reversed,
            _ => Standing::Declined,
        };
        assert_eq!(seen.standing, standing);
    }
    switch.database.assert_books_are_whole().await;
}

async fn a_payment_that_took_effect_is_voided_and_one_that_is_captured_is_not(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let request = pay_with("pm_test_visa", 10_000, "EUR");
    let payment = authorize(&mut payments, request.clone()).await;
    let cancellation = cancel_of(&request);
    let told = cancel(&mut payments, cancellation.clone()).await;
    assert_eq!(told.expect("the payment").state(), State::Voiding);
    let voided = became(&mut payments, &payment.payment_id, State::Voided).await;
    assert_eq!(cancel(&mut payments, cancellation).await, Some(voided));

    let request = pay_with("pm_test_visa", 10_000, "EUR");
    let payment = authorize(&mut payments, request.clone()).await;
    capture(&mut payments, of(&payment, 6_000)).await;
    let refused = try_cancel(&mut payments, cancel_of(&request)).await;
    let refused = refused.expect_err("it is captured");
    assert_eq!(error_reason(&refused).as_deref(), Some("PAYMENT_STATE"));
    assert!(refused.message().contains("refund"), "{refused:?}");
    switch.database.assert_books_are_whole().await;
}

/// Cancels each request at another moment of its life, through `cancelling`, until it is answered.
async fn cancelled_while_paying(switch: &Switch, paying: &Payments, cancelling: &Payments) {
    let before = held_minor(switch);
    let lives = (0..40_u64).map(|number| {
        let (mut paying, mut cancelling) = (paying.clone(), cancelling.clone());
        async move {
            let request = pay_with("pm_test_visa", 10_000, "EUR");
            let cancellation = cancel_of(&request);
            let cancelled = async {
                tokio::time::sleep(Duration::from_millis(number * 4)).await;
                eventually("an answer to the cancellation", async || {
                    let asked = cancellation.clone();
                    try_cancel(&mut cancelling, asked).await.ok()
                })
                .await
            };
            let (told, cancelled) = tokio::join!(paying.authorize_payment(request), cancelled);
            (told, cancelled)
        }
    });
    let mut payments = paying.clone();
    for (told, cancelled) in join_all(lives).await {
        let Some(cancelled) = cancelled else {
            let reason = error_reason(&told.expect_err("it came later"));
            assert_eq!(reason.as_deref(), Some("REQUEST_CANCELLED"));
            continue;
        };
        eventually("nothing held", async || {
            let payment = found(&mut payments, &cancelled.payment_id).await;
            matches!(payment.state(), State::Reversed | State::Voided).then_some(())
        })
        .await;
    }
    assert_eq!(held_minor(switch), before);
    switch.database.assert_books_are_whole().await;
}

async fn a_cancellation_at_any_moment_leaves_nothing_held(engine: Engine) {
    let switch = Switch::start(engine).await;
    let payments = switch.payments().await;
    cancelled_while_paying(&switch, &payments, &payments).await;
}

/// The mark is in the database, and the other node's outcome sees it.
#[test]
fn a_cancellation_on_another_node_reverses_the_payment() {
    run(async {
        let switch = Switch::start(Engine::Postgres).await;
        let mut payments = switch.payments().await;
        let second = SecondNode::start(&switch).await;
        let mut through_second = second.payments(&switch).await;
        // It knows the merchant from then on.
        authorize(&mut through_second, pay_with("pm_test_visa", 1_250, "EUR")).await;
        let at_first = switch.at_acquirer();
        slow_bank(&switch, 1).await;
        let request = pay_with("pm_test_visa", 10_000, "EUR");
        let (mut client, asked) = (through_second.clone(), request.clone());
        let paying = tokio::spawn(async move { authorize(&mut client, asked).await });
        eventually("the payment at the bank", async || {
            (switch.at_acquirer() > at_first).then_some(())
        })
        .await;
        let marked = cancel(&mut payments, cancel_of(&request)).await;
        assert_eq!(marked.expect("the payment").state(), State::Authorizing);
        let told = paying.await.expect("an answer");
        let reason = told.pending.as_ref().map(pb::Pending::reason);
        assert_eq!(reason, Some(PendingReason::CancelledByMerchant));
        reversed(&mut payments, &told.payment_id).await;
        cancelled_while_paying(&switch, &through_second, &payments).await;
    });
}
