//! What becomes of payments when an answer does not come, or a bank dies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bank_sim::issuer::Standing;
use futures_util::future::join_all;
use payswitch::merchant_api::pb;
use payswitch::payment::operation_kind::OperationKind;
use payswitch::payment::record::Operation;
use pb::{FailureReason, PaymentState as State, PendingReason};
use tokio::task::JoinHandle;

use crate::database::Engine;
use crate::harness::{
    ANSWER_WITHIN, Payments, Switch, assert_stands, authorize, eventually, on_both_engines,
    pay_with, response_code, timed, until,
};
use crate::sealing::card;

on_both_engines!(
    no_answer_is_pending_and_then_reversed,
    a_late_answer_is_recorded_and_changes_nothing,
    an_issuer_that_dies_takes_only_its_own_payments,
    what_was_not_sent_failed_and_what_was_is_pending,
    an_acquirer_that_dies_under_load,
);

/// The authorization of a payment, and its reversals.
pub(crate) async fn operations_of(
    switch: &Switch,
    payment: &pb::Payment,
) -> (Operation, Vec<Operation>) {
    let id = payment.payment_id.parse().expect("a payment id");
    let operations = switch.store().operations_of(id).await;
    let mut operations = operations.expect("the operations");
    assert!(!operations.is_empty(), "{payment:?}");
    let authorization = operations.remove(0);
    for reversal in &operations {
        assert_eq!(reversal.kind, OperationKind::Reversal);
        assert_eq!(reversal.original_id, Some(authorization.id));
    }
    (authorization, operations)
}

async fn operation_of(switch: &Switch, payment: &pb::Payment) -> Operation {
    operations_of(switch, payment).await.0
}

pub(crate) async fn found(payments: &mut Payments, payment_id: &str) -> pb::Payment {
    let get = pb::GetPaymentRequest {
        payment_id: payment_id.to_owned(),
    };
    let found = payments.get_payment(get).await.expect("the payment");
    found.into_inner().payment.expect("a payment")
}

/// The payment is pending, and exactly one reversal of it is owed.
pub(crate) async fn assert_owes_a_reversal(
    switch: &Switch,
    payment: &pb::Payment,
    reason: PendingReason,
) {
    assert_eq!(payment.state(), State::Authorizing, "{payment:?}");
    let pending = payment.pending.as_ref().expect("why it is pending");
    assert_eq!(pending.reason(), reason);
    assert!(pending.reversal_owed && !pending.text.is_empty());
    assert_eq!(response_code(payment), "");
    let authorized = payment.authorized_amount.as_ref().expect("an amount");
    assert_eq!(authorized.amount_minor, 0);
    let (operation, reversals) = operations_of(switch, payment).await;
    assert!(["UNKNOWN", "REVERSED"].contains(&operation.state.name()));
    assert_eq!(operation.stan.to_string(), payment.stan());
    assert_eq!(reversals.len(), 1);
}

/// The payment as it is once its bank has acknowledged the reversal.
pub(crate) async fn reversed(payments: &mut Payments, payment_id: &str) -> pb::Payment {
    eventually("the payment reversed", async || {
        let payment = found(payments, payment_id).await;
        match payment.state() {
            State::Reversed => Some(payment),
            State::Authorizing | State::Reversing => {
                let pending = payment.pending.as_ref().expect("why it is pending");
                assert!(pending.reversal_owed && pending.reversal.is_some());
                None
            }
            _ => panic!("{payment:?}"),
        }
    })
    .await
}

async fn no_answer_is_pending_and_then_reversed(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let requests = [
        pay_with("pm_test_no_answer", 1250, "EUR"),
        switch.pay_sealed(&card("4000000000009912"), 1251, "KWD"),
    ];
    for request in requests {
        let again = request.clone();
        let (payment, took) = timed(&mut payments, request).await;
        assert!(took < ANSWER_WITHIN, "{took:?}");
        assert_owes_a_reversal(&switch, &payment, PendingReason::NoAnswerInTime).await;
        assert_eq!(reversal_state(&payment), pb::PendingReversalState::Owed);
        // The bank has decided, which the gateway can't know. It undoes that, and says so.
        let after = reversed(&mut payments, &payment.payment_id).await;
        assert_eq!(after.pending, None);
        assert_eq!(after.authorized_amount, payment.authorized_amount);
        let books = switch.banks.books("issuer-a").expect("books");
        let seen: Vec<_> = books.by_rrn(payment.rrn()).collect();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].standing, Standing::Reversed);
        let (authorization, reversals) = operations_of(&switch, &payment).await;
        assert_eq!(authorization.state.name(), "REVERSED");
        assert_eq!(reversals[0].state.name(), "APPROVED");
        assert_eq!(reversals[0].attempts.count, 1);
        assert!(reversals[0].attempts.first_at >= Some(authorization.deadline));
        // What was told stands for the same request.
        assert_eq!(authorize(&mut payments, again).await, payment);
    }
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(
        (counters.received("0420"), counters.received("0421")),
        (2, 0)
    );
    // Other payments are none the slower for it, and owe nothing.
    let quick = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
    assert_eq!(quick.state(), State::Authorized);
    assert_eq!(switch.at_acquirer(), 3);
    assert_eq!(switch.database.reversals().await, 2);
    assert_eq!(switch.database.count("late_responses").await, 0);
}

async fn a_late_answer_is_recorded_and_changes_nothing(engine: Engine) {
    let mut switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let request = pay_with("pm_test_late_answer", 1250, "EUR");
    let (told, took) = timed(&mut payments, request.clone()).await;
    assert!(took < ANSWER_WITHIN, "{took:?}");
    assert_owes_a_reversal(&switch, &told, PendingReason::NoAnswerInTime).await;
    let operation = operation_of(&switch, &told).await;
    let late = eventually("the late answer", async || {
        let late = switch.store().late_response(operation.id).await;
        late.expect("what came late")
    })
    .await;
    assert_eq!(late.response_code.as_str(), "00");
    let books = switch.banks.books("issuer-a").expect("books");
    let seen = books.by_rrn(told.rrn()).next().expect("the exchange");
    assert_eq!(late.approval_code, seen.approval_code);
    assert!(late.received_at > operation.deadline);

    for after_restart in [false, true] {
        if after_restart {
            switch.restart_gateway().await;
            payments = switch.payments().await;
        }
        reversed(&mut payments, &told.payment_id).await;
        assert_eq!(authorize(&mut payments, request.clone()).await, told);
        assert_owes_a_reversal(&switch, &told, PendingReason::NoAnswerInTime).await;
    }
    assert_eq!(switch.at_acquirer(), 1);
    assert_eq!(switch.database.reversals().await, 1);
    assert_eq!(switch.database.count("late_responses").await, 1);
    assert_eq!(switch.database.count("quarantine").await, 0);
}

fn reversal_state(payment: &pb::Payment) -> pb::PendingReversalState {
    let pending = payment.pending.as_ref().expect("why it is pending");
    pending.reversal.as_ref().expect("its reversal").state()
}

/// Payments with one card, one after the other on each of a few connections, until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<Vec<(pb::Payment, Duration)>>>,
    answered: Arc<std::sync::atomic::AtomicUsize>,
}

impl Load {
    async fn start(switch: &Switch, token: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let mut workers = Vec::new();
        for _ in 0..4 {
            let mut payments = switch.payments().await;
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            workers.push(tokio::spawn(async move {
                let mut visited = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    visited.push(timed(&mut payments, pay_with(token, 1250, "EUR")).await);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                visited
            }));
        }
        Self {
            stop,
            workers,
            answered,
        }
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits until so many more were answered.
    async fn go_on(&self, more: usize) {
        let enough = self.answered() + more;
        until("more payments", async || self.answered() >= enough).await;
    }

    async fn stop(self) -> Vec<pb::Payment> {
        self.stop.store(true, Ordering::Relaxed);
        let mut payments = Vec::new();
        for visited in join_all(self.workers).await {
            for (payment, took) in visited.expect("a worker ends well") {
                assert!(took < ANSWER_WITHIN, "{took:?} for {payment:?}");
                payments.push(payment);
            }
        }
        payments
    }
}

/// What the merchant was told is what is stored, and owes a reversal exactly when it is pending.
async fn assert_durable(switch: &Switch, told: &[pb::Payment]) {
    let payments = switch.payments().await;
    let checks = told.iter().map(|payment| {
        let mut payments = payments.clone();
        async move { assert_stands(&found(&mut payments, &payment.payment_id).await, payment) }
    });
    join_all(checks).await;
    let pending = told.iter().filter(|payment| payment.pending.is_some());
    let owed = switch.database.reversals().await;
    assert_eq!(usize::try_from(owed), Ok(pending.count()));
}

/// Each payment that was authorized is held at its issuer, once and exactly.
fn assert_held(switch: &Switch, issuer: &str, told: &[pb::Payment]) {
    let books = switch.banks.books(issuer).expect("books");
    for payment in told {
        let seen: Vec<_> = books.by_rrn(payment.rrn()).collect();
        match payment.state() {
            State::Authorized => {
                let standing = Standing::Held {
                    remaining_minor: 1250,
                };
                assert_eq!(seen.len(), 1, "{payment:?}");
                assert_eq!(seen[0].standing, standing, "{payment:?}");
            }
            State::Failed => assert!(seen.is_empty(), "it was never sent: {payment:?}"),
            _ => assert!(seen.len() <= 1, "{payment:?}"),
        }
    }
}

/// Pays until a payment is authorized, and gives all of them.
async fn until_authorized_again(switch: &Switch) -> Vec<pb::Payment> {
    let mut payments = switch.payments().await;
    let mut told = Vec::new();
    until("an authorization again", async || {
        let payment = authorize(&mut payments, pay_with("pm_test_visa_2", 1250, "EUR")).await;
        told.push(payment);
        told.last().map(pb::Payment::state) == Some(State::Authorized)
    })
    .await;
    told
}

async fn an_issuer_that_dies_takes_only_its_own_payments(engine: Engine) {
    let switch = Switch::start(engine).await;
    let to_a = Load::start(&switch, "pm_test_visa").await;
    let to_b = Load::start(&switch, "pm_test_mastercard").await;
    to_a.go_on(20).await;
    to_b.go_on(20).await;
    switch.banks.stop_host("issuer-a").await.expect("stopped");
    // Both go on being answered: b's as before, a's with what is known.
    to_b.go_on(20).await;
    to_a.go_on(8).await;
    switch.banks.start_host("issuer-a").await.expect("started");
    assert!(
        switch
            .banks
            .wait_for_link("issuer-a", Duration::from_secs(30))
            .await
    );
    let probes = until_authorized_again(&switch).await;
    to_a.go_on(20).await;
    let (told_a, told_b) = (to_a.stop().await, to_b.stop().await);

    for payment in &told_b {
        assert_eq!(payment.state(), State::Authorized, "{payment:?}");
    }
    let mut declined = 0;
    for payment in &told_a {
        match payment.state() {
            State::Authorized => {}
            State::Declined => {
                assert_eq!(response_code(payment), "91");
                declined += 1;
            }
            State::Authorizing => {
                let pending = payment.pending.as_ref().expect("why it is pending");
                assert!(pending.reversal_owed);
            }
            _ => panic!("{payment:?}"),
        }
    }
    assert!(declined > 0, "some came while the issuer was down");
    assert_held(&switch, "issuer-a", &told_a);
    assert_held(&switch, "issuer-b", &told_b);
    let all = [told_a, told_b, probes].concat();
    assert_durable(&switch, &all).await;
}

async fn what_was_not_sent_failed_and_what_was_is_pending(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let waiting = tokio::spawn({
        let mut payments = payments.clone();
        async move { timed(&mut payments, pay_with("pm_test_no_answer", 1250, "EUR")).await }
    });
    until("the message at the acquirer", async || {
        switch.at_acquirer() == 1
    })
    .await;
    switch.banks.stop_host("acquirer").await.expect("stopped");
    let (sent, took) = waiting.await.expect("an answer");
    assert!(took < ANSWER_WITHIN, "{took:?}");
    assert_owes_a_reversal(&switch, &sent, PendingReason::ConnectionLost).await;

    let request = pay_with("pm_test_visa", 1250, "EUR");
    let (unsent, took) = timed(&mut payments, request.clone()).await;
    assert!(took < ANSWER_WITHIN, "{took:?}");
    assert_eq!(unsent.state(), State::Failed);
    let failure = unsent.failure.as_ref().expect("why it failed");
    assert_eq!(failure.reason(), FailureReason::HostUnavailable);
    assert!(unsent.pending.is_none() && unsent.decline.is_none());
    let operation = operation_of(&switch, &unsent).await;
    assert_eq!(operation.state.name(), "REJECTED");
    assert_eq!(switch.database.reversals().await, 1);

    switch.banks.start_host("acquirer").await.expect("started");
    until("the gateway signed on again", async || {
        let request = pay_with("pm_test_visa", 1250, "EUR");
        authorize(&mut payments, request).await.state() == State::Authorized
    })
    .await;
    // What failed has failed: the same request is not sent after all.
    assert_eq!(authorize(&mut payments, request).await, unsent);
    let books = switch.banks.books("issuer-a").expect("books");
    assert_eq!(books.by_rrn(unsent.rrn()).count(), 0);
    assert_eq!(books.by_rrn(sent.rrn()).count(), 1);
}

async fn an_acquirer_that_dies_under_load(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let load = Load::start(&switch, "pm_test_visa").await;
    load.go_on(20).await;
    switch.banks.stop_host("acquirer").await.expect("stopped");
    load.go_on(8).await;
    switch.banks.start_host("acquirer").await.expect("started");
    let mut told = until_authorized_again(&switch).await;
    load.go_on(20).await;
    told.extend(load.stop().await);
    for payment in &told {
        match payment.state() {
            State::Authorized | State::Failed => {}
            State::Authorizing => assert!(payment.pending.is_some()),
            _ => panic!("{payment:?}"),
        }
    }
    let failed = told
        .iter()
        .filter(|payment| payment.state() == State::Failed);
    assert!(failed.count() > 0, "some came while the acquirer was down");
    assert_held(&switch, "issuer-a", &told);
    assert_durable(&switch, &told).await;
    for pending in told.iter().filter(|payment| payment.pending.is_some()) {
        reversed(&mut payments, &pending.payment_id).await;
        let books = switch.banks.books("issuer-a").expect("books");
        let held = books.by_rrn(pending.rrn());
        assert_eq!(
            held.filter(|seen| seen.standing != Standing::Reversed)
                .count(),
            0
        );
    }
    // Nothing was sent twice: at most one message for each payment that was not refused unsent.
    let failed = switch
        .database
        .number("SELECT CAST(COUNT(*) AS BIGINT) FROM payments WHERE state = 'FAILED'".into());
    let sent = switch.database.count("payments").await - failed.await;
    assert!(i64::try_from(switch.at_acquirer()).is_ok_and(|received| received <= sent));
}
