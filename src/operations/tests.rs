//! The machine with a real store: what it remembers, what it recovers, and what comes late.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::call::{Call, OperationError};
use super::conclude::Recorded;
use super::in_progress::InProgress;
use super::outcome::{Outcome, Told};
use super::testing::{Folder, Holding, Refused, approved, decide, hosts_of, intended, records};
use crate::hosts::exchange::Exchange;
use crate::hosts::tests::bank::{Bank, approval_of};
use crate::payment::decline::{FailureReason, ResponseCode, UnknownReason};
use crate::payment::ids::OperationId;
use crate::payment::moment::UnixMillis;
use crate::payment::record::{Operation, Payment};
use crate::payment::samples;
use crate::payment::state::PaymentState;
use crate::store::Store;
use crate::store::reads::owed::OwedFilter;

async fn owed(store: &Store) -> Vec<Operation> {
    let all = store.list_owed(&OwedFilter::default(), 10, None).await;
    all.unwrap()
}

async fn assert_stopped(store: &Store, payment: &Payment) {
    let stands = store.payment(&payment.merchant_id, payment.id).await;
    let pending = Some(UnknownReason::GatewayStopped);
    assert_eq!(
        stands.unwrap().unwrap().state,
        PaymentState::Authorizing { pending }
    );
}

/// The store goes away while the bank decides. What the bank said is remembered, and nothing is owed.
#[tokio::test]
async fn an_outcome_that_the_store_does_not_take_is_recorded_when_it_does() {
    let not_sent = Exchange::NotSent(FailureReason::HostUnavailable);
    for (exchange, state) in [(approved(), "AUTHORIZED"), (not_sent, "FAILED")] {
        let folder = Folder::new(&format!("remembered-{state}")).await;
        let gone = folder.machine().await;
        let records = intended(&gone).await;
        let outcome = decide(&gone, records, &exchange).await;
        gone.store.close().await;
        let told: Result<_, OperationError<Refused>> = gone.conclude(outcome.clone()).await;
        assert!(matches!(
            told,
            Err(OperationError::OutcomeNotRecorded { .. })
        ));

        let mut back = folder.machine().await;
        back.in_progress = gone.in_progress;
        // What is remembered is not ended as if nobody knew.
        assert_eq!(back.recover_all().await.unwrap(), 0, "{state}");
        assert_eq!(back.record_remembered().await, 0, "{state}");
        let Outcome {
            payment, operation, ..
        } = outcome;
        let stands = back.store.payment(&payment.merchant_id, payment.id).await;
        assert_eq!(stands.unwrap().as_ref(), Some(&*payment));
        assert_eq!(payment.state.name(), state);
        assert_eq!(owed(&back.store).await, []);
        assert!(!back.in_progress.remembers(operation.id));
        back.store.close().await;
    }
}

/// Nobody knows what came of it, as after a crash.
#[tokio::test]
async fn an_operation_that_nobody_remembers_ends_as_its_flow_says() {
    let folder = Folder::new("forgotten").await;
    let machine = folder.machine().await;
    let (payment, operation) = intended(&machine).await;
    assert_eq!(machine.recover_all().await.unwrap(), 1);
    let owed = owed(&machine.store).await;
    assert_eq!(
        owed.iter().map(|it| it.original_id).collect::<Vec<_>>(),
        [Some(operation.id)]
    );
    assert_stopped(&machine.store, &payment).await;
    machine.store.close().await;
}

/// An intent that was never committed has no outcome: it is not offered to the store, is looked for less and less often,
/// and its memory ends in time.
#[tokio::test]
async fn an_outcome_without_an_intent_is_looked_for_alone_and_forgotten_in_time() {
    let folder = Folder::new("never-held").await;
    let machine = folder.machine().await;
    for (age_ms, again_ms) in [
        (0, Some(2_000)),
        (60_000, Some(15_000)),
        (3_500_000, Some(875_000)),
        (3_600_000, None),
    ] {
        let (mut payment, mut operation) = records();
        payment.created_at = machine.clock.now().plus_ms(-age_ms);
        operation.created_at = payment.created_at;
        let operation_id = operation.id;
        let not_sent = Exchange::NotSent(FailureReason::DeadlineBeforeSend);
        let outcome = decide(&machine, (payment, operation), &not_sent).await;
        machine.in_progress.remember(outcome);
        let before = Instant::now();
        assert_eq!(machine.in_progress.waiting(), 1);
        let waiting = machine.record_remembered().await;
        assert_eq!(waiting, 0, "no payment waits for it: {age_ms}");
        let after = Instant::now();
        let Some(again_ms) = again_ms else {
            assert!(!machine.in_progress.remembers(operation_id), "{age_ms}");
            continue;
        };
        let again = Duration::from_millis(again_ms);
        let too_soon = before + again - Duration::from_millis(1);
        assert_eq!(machine.in_progress.due(too_soon), [], "{age_ms}");
        // The machine's clock has gone on by now, and so has the age.
        let due = machine.in_progress.due(after + again * 2);
        assert_eq!(due, [operation_id], "{age_ms}");
        machine.in_progress.forget(operation_id);
    }
    machine.store.close().await;
}

/// It may turn up later: what is known of it is recorded then.
#[tokio::test]
async fn an_intent_that_turns_up_later_gets_the_outcome_that_is_remembered() {
    let folder = Folder::new("held-late").await;
    let machine = folder.machine().await;
    let not_sent = Exchange::NotSent(FailureReason::DeadlineBeforeSend);
    let (payment, mut operation) = records();
    operation.created_at = machine.clock.now();
    let operation_id = operation.id;
    let outcome = decide(&machine, (payment.clone(), operation), &not_sent).await;
    machine.in_progress.remember(outcome);
    assert_eq!(machine.record_remembered().await, 0);
    assert!(machine.in_progress.remembers(operation_id));

    let (_, held) = intended(&machine).await;
    assert_eq!(held.id, operation_id);
    machine.in_progress.is_absent(operation_id, Instant::now());
    assert_eq!(machine.record_remembered().await, 0);
    assert!(!machine.in_progress.remembers(operation_id));
    let stands = machine
        .store
        .payment(&payment.merchant_id, payment.id)
        .await;
    assert_eq!(stands.unwrap().unwrap().state.name(), "FAILED");
    machine.store.close().await;
}

/// Another node has ended the operation before this one could: what the bank said is kept beside.
#[tokio::test]
async fn a_remembered_answer_that_comes_too_late_is_a_late_response() {
    let folder = Folder::new("ended-before").await;
    let machine = folder.machine().await;
    let records = intended(&machine).await;
    let outcome = decide(&machine, records.clone(), &approved()).await;
    let lost = Exchange::Unknown(UnknownReason::GatewayStopped);
    let other = decide(&machine, records, &lost).await;
    let recorded = machine.record(&other).await.unwrap();
    assert!(matches!(recorded, Recorded::AsDecided { moved: None }));

    machine.in_progress.remember(outcome.clone());
    assert_eq!(machine.record_remembered().await, 0);
    let payment = &other.payment;
    let stands = machine
        .store
        .payment(&payment.merchant_id, payment.id)
        .await;
    assert_eq!(stands.unwrap().as_ref(), Some(&**payment));
    let operation_id = outcome.operation.id;
    let told: Result<_, OperationError<Refused>> = machine.conclude(outcome).await;
    let Told::Ended(payment, _) = told.unwrap() else {
        panic!("it is not cancelled");
    };
    assert_eq!(payment, other.payment);
    let late = machine.store.late_response(operation_id).await;
    let late = late.unwrap().unwrap();
    assert_eq!(late.response_code, ResponseCode::APPROVED);
    assert_eq!(late.approval_code.as_deref(), Some("A1B2C3"));
    machine.store.close().await;
}

/// The line that it came for is gone, and so is the process; what is left is the key.
#[tokio::test]
async fn an_answer_to_what_a_dead_node_sent_counts_by_its_whole_key() {
    let folder = Folder::new("whole-key").await;
    let bank = Bank::start().await;
    let (hosts, noticed) = hosts_of(&bank);
    let machine = Arc::new(folder.machine_of(hosts).await);
    let (payment, operation) = intended(&machine).await;
    assert_eq!(machine.recover_all().await.unwrap(), 1);
    tokio::spawn(Arc::clone(&machine).keep_notices(noticed));
    let mut line = bank.accept_signed_on().await;
    for (terminal_id, approval_code) in [("WEB00002", "TERMIN"), ("WEB00001", "A1B2C3")] {
        line.write(&approval_of(&operation, terminal_id, approval_code))
            .await;
    }
    let kept = async {
        loop {
            if let Some(late) = machine.store.late_response(operation.id).await.unwrap() {
                return late;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let late = tokio::time::timeout(Duration::from_secs(30), kept)
        .await
        .unwrap();
    // There is one late response for an operation: the first that was taken for it.
    assert_eq!(late.approval_code.as_deref(), Some("A1B2C3"));
    let quarantined = machine.store.list_quarantine(10, None).await.unwrap();
    assert_eq!(quarantined.len(), 2);
    assert_stopped(&machine.store, &payment).await;
    machine.store.close().await;
}

/// A caller who gave up makes no room: its operation goes on.
#[tokio::test]
async fn operations_in_progress_are_bounded() {
    let folder = Folder::new("bounded").await;
    let machine = Arc::new(folder.machine().await);
    let call = || Call {
        merchant: Arc::new(samples::merchant()),
        request_id: "r-1".into(),
        body_hash: [7; 32],
        received_at: Instant::now(),
        address: std::net::Ipv4Addr::LOCALHOST.into(),
    };
    let (flow, amount) = (Arc::new(Holding), records().0.amount);
    let other = machine.place(&samples::merchant()).unwrap();
    let refused = machine.perform(&flow, call(), None).await.unwrap_err();
    assert!(matches!(refused, OperationError::Overloaded));
    drop(other);
    let refused = machine.perform(&flow, call(), None).await.unwrap_err();
    assert!(matches!(refused, OperationError::Refused(Refused)));
    // No bank is there: it is recorded, ends as not sent, and is told the same again.
    let failed = machine.perform(&flow, call(), Some(amount)).await.unwrap();
    assert_eq!(failed.payment.state.name(), "FAILED");
    let again = machine.perform(&flow, call(), Some(amount)).await.unwrap();
    assert_eq!(
        (again.payment, again.operation),
        (failed.payment, failed.operation)
    );
    machine.drain().await;
    let refused = machine
        .perform(&flow, call(), Some(amount))
        .await
        .unwrap_err();
    assert!(matches!(refused, OperationError::Draining));
    machine.store.close().await;
}

/// The oldest goes first.
#[tokio::test]
async fn the_latest_outcomes_are_remembered() {
    let folder = Folder::new("remembered").await;
    let machine = folder.machine().await;
    let lost = Exchange::Unknown(UnknownReason::ConnectionLost);
    let one = decide(&machine, records(), &lost).await;
    let in_progress = InProgress::default();
    let named = |number: i64| OperationId::from_parts(UnixMillis::new(number), [7; 10]);
    for number in 0..=16_384 {
        let mut outcome = one.clone();
        outcome.operation.id = named(number);
        in_progress.remember(outcome);
    }
    assert!(!in_progress.remembers(named(0)));
    assert!(in_progress.remembers(named(1)));
    assert!(in_progress.remembers(named(16_384)));
    // An operation that a task works on is left to the task.
    let _mark = in_progress.mark(named(1));
    let due = in_progress.due(Instant::now());
    assert_eq!((due.len(), due[0]), (16_383, named(2)));
    machine.store.close().await;
}
