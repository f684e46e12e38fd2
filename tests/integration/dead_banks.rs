//! A bank that takes messages and answers none costs its own merchants a moment, and no other bank's anything.

use bank_sim::control::pb::ClearFaultsRequest;
use futures_util::future::join_all;
use payswitch::merchant_api::pb;
use payswitch::payment::moment::NumberDate;
use pb::{FailureReason, PaymentState as State};

use crate::database::Engine;
use crate::faults::{UNANSWERED, control, fault_of, inject, times};
use crate::harness::{Payments, Switch, authorize, now, on_both_engines, pay_with, until};
use crate::metrics::samples;
use crate::unknown_outcomes::reversed;

on_both_engines!(a_bank_that_answers_nothing_is_asked_nothing,);

/// What payments to the dead bank are of.
const DEAD_MINOR: i64 = 1111;
/// More unanswered ones than open the circuit.
const AT_ONCE: usize = 30;
/// How many payments are let through once the bank has answered an echo.
const PROBATION: usize = 5;

/// So many payments at once.
async fn pay(payments: &Payments, amount_minor: i64, count: usize) -> Vec<pb::Payment> {
    let calls = (0..count).map(|_| {
        let mut payments = payments.clone();
        async move {
            let request = pay_with("pm_test_visa", amount_minor, "EUR");
            authorize(&mut payments, request).await
        }
    });
    join_all(calls).await
}

/// How the circuit of the bank stands: 0 closed, 1 not.
fn circuit_open(switch: &Switch) -> f64 {
    samples(switch)["payswitch_host_circuit_open{host=acquirer}"]
}

/// One that answers echoes alone, which is the worst: no line is ever lost.
async fn a_bank_that_answers_nothing_is_asked_nothing(engine: Engine) {
    let switch = Switch::start_with_two_hosts(engine).await;
    let (_, other_key) = switch
        .add_merchant("other-shop", |merchant| {
            merchant.acquirer = "file-acquirer".parse().expect("a host");
        })
        .await;
    // It is one bank behind two hosts, which must not see the same numbers twice.
    let file_acquirer = "file-acquirer".parse().expect("a host");
    let today = NumberDate::of(now());
    let apart = switch
        .store()
        .reserve_sequence(&file_acquirer, today, 500_000);
    apart.await.expect("numbers");
    let to_dead = switch.payments().await;
    let to_other = switch.payments_of(&other_key).await;
    assert!(circuit_open(&switch).abs() < f64::EPSILON);

    let unanswered = fault_of("0100", DEAD_MINOR, UNANSWERED);
    inject(&switch, times(0, unanswered)).await;
    let (first, others) = tokio::join!(pay(&to_dead, DEAD_MINOR, AT_ONCE), async {
        let mut others = Vec::new();
        for _ in 0..20 {
            others.extend(pay(&to_other, 1250, 5).await);
        }
        others
    });
    for payment in others {
        assert_eq!(payment.state(), State::Authorized, "{payment:?}");
    }
    assert!((circuit_open(&switch) - 1.0).abs() < f64::EPSILON);

    let second = pay(&to_dead, DEAD_MINOR, AT_ONCE).await;
    let sent = |it: &&pb::Payment| it.state() == State::Authorizing;
    assert!(second.iter().filter(sent).count() <= 2 * PROBATION);
    let refused = second.iter().filter(|it| {
        let failure = it.failure.as_ref();
        failure.is_some_and(|it| it.reason() == FailureReason::CircuitOpen)
    });
    assert!(refused.count() >= AT_ONCE - 4 * PROBATION);
    // The bank knows of no payment that failed, and of each of the others once.
    let books = switch.banks.books("issuer-a").expect("books");
    let told = [first, second].concat();
    for payment in &told {
        let expected = match payment.state() {
            State::Failed => 0,
            State::Authorizing => 1,
            _ => panic!("{payment:?}"),
        };
        assert_eq!(books.by_rrn(payment.rrn()).count(), expected);
    }

    let mut control = control(&switch.banks).await;
    let cleared = control.clear_faults(ClearFaultsRequest {}).await;
    cleared.expect("a bank that answers");
    // Nobody does anything but pay.
    until("the circuit is closed", async || {
        pay(&to_dead, 1250, 1).await;
        circuit_open(&switch) < 1.0
    })
    .await;
    let after = pay(&to_dead, 1250, AT_ONCE).await;
    for payment in after {
        assert_eq!(payment.state(), State::Authorized, "{payment:?}");
    }
    // What was owed is paid.
    let mut payments = to_dead.clone();
    for payment in told.iter().filter(sent) {
        reversed(&mut payments, &payment.payment_id).await;
    }
}
