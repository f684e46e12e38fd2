//! Voids of sales: a whole one is given back, before anything is refunded, where the bank takes that.

use bank_sim::control::pb::fault::What;
use bank_sim::issuer::Standing;
use futures_util::future::join_all;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::pb;
use pb::{CaptureState, PaymentAction, PaymentState as State};
use tonic::Code;

use crate::capturing::{actions, ended, minor};
use crate::database::Engine;
use crate::faults::{LOST, fault, inject, with_code};
use crate::harness::{Payments, Switch, authorize, on_both_engines, until};
use crate::refunding::{refund_of, refunds_of, try_refund};
use crate::refused::Refused;
use crate::sales::sale;
use crate::styles::requests;
use crate::unknown_outcomes::found;
use crate::voiding::{became, try_void, void_of};

on_both_engines!(
    a_whole_sale_is_voided,
    a_void_that_the_bank_refuses_leaves_the_sale,
    what_is_not_a_whole_sale_is_refunded_instead,
    a_sale_is_voided_or_refunded_and_never_both,
    as_a_request_the_void_of_a_sale_waits_for_its_answer,
    in_a_file_the_void_of_a_sale_counts_at_once,
);

const TEMPLATE: &str = include_str!("../../hosts/acquirer.toml");

async fn sold(payments: &mut Payments) -> pb::Payment {
    let payment = authorize(payments, sale("pm_test_visa", 10_000)).await;
    assert_eq!(payment.state(), State::Captured);
    payment
}

/// What the bank has of a sale, and how much of it was captured.
async fn shown(switch: &Switch, payments: &mut Payments, sold: &pb::Payment) -> (Standing, i64) {
    let books = switch.banks.books("issuer-a").expect("books");
    let seen: Vec<_> = books.by_rrn(sold.rrn()).collect();
    assert_eq!(seen.len(), 1);
    let payment = found(payments, &sold.payment_id).await;
    (seen[0].standing, minor(&payment.captured_amount))
}

fn named_refund() -> Refused {
    Refused {
        preconditions: vec!["payment".into()],
        ..Refused::not_sent(Code::FailedPrecondition, "PAYMENT_STATE")
    }
}

async fn a_whole_sale_is_voided(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(&switch).await;
    let sold = sold(&mut payments).await;
    assert_eq!(
        actions(&sold),
        [
            PaymentAction::Void,
            PaymentAction::Refund,
            PaymentAction::Reverse
        ]
    );
    inject(&switch, fault("0420", LOST)).await;
    let request = void_of(&sold);
    let (told, void) = try_void(&mut payments, request.clone())
        .await
        .expect("a void");
    assert_eq!((told.state(), actions(&told)), (State::Voiding, vec![]));
    assert_eq!(void.subject_id, sold.captures[0].capture_id);
    assert_eq!(told.captures[0].state(), CaptureState::Captured);
    let refused = try_refund(&mut refunds, refund_of(&sold, 1)).await;
    let refused = refused.expect_err("it is being voided");
    assert_eq!(Refused::from(&refused), named_refund());

    let voided = became(&mut payments, &sold.payment_id, State::Voided).await;
    assert_eq!(voided.captures[0].state(), CaptureState::Reversed);
    assert_eq!(actions(&voided), []);
    let capture_id = &sold.captures[0].capture_id;
    ended(&mut payments, capture_id, CaptureState::Reversed).await;
    let both = shown(&switch, &mut payments, &sold).await;
    assert_eq!(both, (Standing::Reversed, 0));
    assert_eq!(switch.database.count("journals").await, 2);
    let voided = "SELECT COUNT(*) FROM journals WHERE id LIKE '%:sale_voided'".to_owned();
    assert_eq!(switch.database.number(voided).await, 1);
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    let sent = ["0420", "0421"].map(|mti| counters.received(mti));
    assert_eq!(sent, [1, 1]);

    let (again, _) = try_void(&mut payments, request).await.expect("the answer");
    assert_eq!(again.state(), State::Voiding);
    let refused = try_void(&mut payments, void_of(&sold)).await;
    let reason = error_reason(&refused.expect_err("it is voided"));
    assert_eq!(reason.as_deref(), Some("PAYMENT_STATE"));
    let refused = try_refund(&mut refunds, refund_of(&sold, None)).await;
    let reason = error_reason(&refused.expect_err("it is voided"));
    assert_eq!(reason.as_deref(), Some("PAYMENT_STATE"));
    switch.database.assert_books_are_whole().await;
}

async fn a_void_that_the_bank_refuses_leaves_the_sale(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let sold = sold(&mut payments).await;
    inject(&switch, fault("0420", LOST)).await;
    inject(&switch, fault("0421", with_code("57"))).await;
    try_void(&mut payments, void_of(&sold))
        .await
        .expect("a void");
    let back = became(&mut payments, &sold.payment_id, State::Captured).await;
    assert_eq!(back.captures[0].state(), CaptureState::Captured);
    assert_eq!(actions(&back), actions(&sold));
    assert_eq!(minor(&back.captured_amount), 10_000);
    assert_eq!(switch.database.count("journals").await, 1);
    // It can be refunded, or voided after all.
    try_void(&mut payments, void_of(&sold))
        .await
        .expect("a void");
    became(&mut payments, &sold.payment_id, State::Voided).await;
    let both = shown(&switch, &mut payments, &sold).await;
    assert_eq!(both, (Standing::Reversed, 0));
    switch.database.assert_books_are_whole().await;
}

async fn what_is_not_a_whole_sale_is_refunded_instead(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(&switch).await;
    let part = sold(&mut payments).await;
    let refund = try_refund(&mut refunds, refund_of(&part, 1)).await;
    refund.expect("a refund");
    let part = found(&mut payments, &part.payment_id).await;
    assert_eq!(
        actions(&part),
        [PaymentAction::Refund, PaymentAction::Reverse]
    );
    let refused = try_void(&mut payments, void_of(&part)).await;
    let refused = refused.expect_err("a part is refunded");
    assert_eq!(Refused::from(&refused), named_refund());
    assert!(refused.message().contains("refund what was captured"));

    let without = TEMPLATE.replace("\nsales = true\n", "\n");
    let switch = Switch::start_with(engine, Some(without)).await;
    let mut payments = switch.payments().await;
    let sold = sold(&mut payments).await;
    assert_eq!(
        actions(&sold),
        [PaymentAction::Refund, PaymentAction::Reverse]
    );
    let refused = try_void(&mut payments, void_of(&sold)).await;
    let refused = refused.expect_err("the bank voids no sales");
    assert_eq!(Refused::from(&refused), named_refund());
    assert!(refused.message().contains("refund what was captured"));
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(counters.received("0420"), 0);
}

async fn a_sale_is_voided_or_refunded_and_never_both(engine: Engine) {
    const TIMES: usize = 50;
    let switch = Switch::start(engine).await;
    let payments = switch.payments().await;
    let refunds = refunds_of(&switch).await;
    let sales = join_all((0..TIMES).map(|_| {
        let mut payments = payments.clone();
        async move { sold(&mut payments).await }
    }))
    .await;
    let ends = join_all(sales.iter().map(|sold| {
        let (mut payments, mut refunds) = (payments.clone(), refunds.clone());
        async move {
            let refund = try_refund(&mut refunds, refund_of(sold, 6_000));
            let void = try_void(&mut payments, void_of(sold));
            let (void, refund) = tokio::join!(void, refund);
            match (void, refund) {
                (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => {
                    assert_eq!(error_reason(&refused).as_deref(), Some("PAYMENT_STATE"));
                }
                both => panic!("one of them, not {both:?}"),
            }
            let mut ended = None;
            until("the end of the void", async || {
                let payment = found(&mut payments, &sold.payment_id).await;
                let has_ended = payment.state() != State::Voiding;
                ended = Some(payment);
                has_ended
            })
            .await;
            ended.expect("a payment")
        }
    }))
    .await;
    let books = switch.banks.books("issuer-a").expect("books");
    for payment in ends {
        let seen: Vec<_> = books.by_rrn(payment.rrn()).collect();
        let (standing, refunded) = match payment.state() {
            State::Voided => (Standing::Reversed, 0),
            State::Captured => (Standing::Posted, 6_000),
            state => panic!("{state:?}"),
        };
        assert_eq!(seen[0].standing, standing);
        assert_eq!(minor(&payment.refunded_amount), refunded);
    }
    switch.database.assert_books_are_whole().await;
}

/// Approved, refused, and without an answer: then it stays VOIDING until a late answer says what became of it.
async fn as_a_request_the_void_of_a_sale_waits_for_its_answer(engine: Engine) {
    let switch = Switch::start_with(engine, Some(requests())).await;
    let mut payments = switch.payments().await;
    let late = What::DelayMs(4_500);
    for (what, told_state, state, standing, captured) in [
        (None, State::Voided, State::Voided, Standing::Reversed, 0),
        (
            Some(with_code("57")),
            State::Captured,
            State::Captured,
            // The bank has done it all the same: only its answer was changed.
            Standing::Reversed,
            10_000,
        ),
        (
            Some(late),
            State::Voiding,
            State::Voided,
            Standing::Reversed,
            0,
        ),
    ] {
        let sold = sold(&mut payments).await;
        if let Some(what) = what {
            inject(&switch, fault("0400", what)).await;
        }
        let (told, _) = try_void(&mut payments, void_of(&sold))
            .await
            .expect("a void");
        assert_eq!(told.state(), told_state);
        became(&mut payments, &sold.payment_id, state).await;
        let both = shown(&switch, &mut payments, &sold).await;
        assert_eq!(both, (standing, captured));
    }
    assert_eq!(switch.database.reversals().await, 0);
    switch.database.assert_books_are_whole().await;
}

async fn in_a_file_the_void_of_a_sale_counts_at_once(engine: Engine) {
    let (before, void) = TEMPLATE.split_once("[messages.void]").expect("a void");
    let (_, after) = void.split_once("[messages.refund]\n").expect("a refund");
    let profile = format!(
        "{before}[messages.void]\nstyle = \"file\"\nsales = true\n\n[messages.refund]\n{after}"
    );
    let switch = Switch::start_with(engine, Some(profile)).await;
    let mut payments = switch.payments().await;
    let sold = sold(&mut payments).await;
    let (voided, _) = try_void(&mut payments, void_of(&sold))
        .await
        .expect("a void");
    assert_eq!(voided.state(), State::Voided);
    assert_eq!(voided.captures[0].state(), CaptureState::Reversed);
    let both = shown(&switch, &mut payments, &sold).await;
    assert_eq!(both, (Standing::Posted, 0));
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(counters.received("0420"), 0);
    switch.database.assert_books_are_whole().await;
}
