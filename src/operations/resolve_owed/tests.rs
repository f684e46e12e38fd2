//! Operators end what a merchant asked for of a payment, and what undoes it: its amounts, its journals and its
//! operations agree afterwards.

use super::*;
use crate::hosts::exchange::Exchange;
use crate::hosts::message::contents::Original;
use crate::hosts::notice::HostNotice;
use crate::hosts::tests::bank::Bank;
use crate::operations::outcome::Outcome;
use crate::operations::owed_step::adjusted;
use crate::operations::plan::Owes;
use crate::operations::testing::{Folder, approved, decide, intended, only_hosts_of};
use crate::payment::custody::CustodyEnd;
use crate::payment::event::PaymentEvent;
use crate::payment::ids::{AuditId, OperationId};
use crate::payment::money::Money;
use crate::payment::operation::{Acknowledged, ResolvedBy};
use crate::payment::record::Payment;
use crate::payment::reference::SequenceNumber;
use crate::payment::samples;
use crate::store::change::{Change, PaymentChange, Verdict};

/// A payment of 12.50 EUR that is authorized, at a gateway whose bank is silent.
async fn authorized(name: &str) -> (Folder, Operations, Payment, Operation) {
    let bank = Bank::start().await;
    let folder = Folder::new(name).await;
    let machine = folder.machine_of(only_hosts_of(&bank)).await;
    let merchant = samples::merchant();
    machine.store.insert_merchant(&merchant).await.unwrap();
    let records = intended(&machine).await;
    let outcome = decide(&machine, records, &approved()).await;
    machine.record(&outcome).await.unwrap();
    (folder, machine, *outcome.payment, *outcome.operation)
}

/// Records an operation of it, in this state, with what it does to the payment.
async fn asked_for(
    machine: &Operations,
    (payment, original): (Payment, &Operation),
    (kind, state): (OperationKind, OperationState),
    (event, change): (PaymentEvent, Amounts),
) -> (Payment, Operation) {
    let operation = Operation {
        id: OperationId::from_parts(samples::NOW, [7; 10]),
        kind,
        state,
        original_id: Some(original.id),
        amount: Money::new(1000, original.amount.currency()).unwrap(),
        stan: SequenceNumber::new(776).unwrap().stan(),
        deadline: samples::NOW,
        version: 1,
        ..original.clone()
    };
    // Before the hold ends.
    let at = payment.created_at;
    let (payment, adjustment) =
        adjusted(&payment, event, change, CustodyEnd::Unchanged, at).unwrap();
    let change = Change {
        payment: Some(PaymentChange::Adjusted {
            expected: &payment,
            adjustment: &adjustment,
        }),
        new_operation: Some(&operation),
        ..Change::default()
    };
    let verdict = machine.store.commit(&change).await.unwrap();
    assert_eq!(verdict, Verdict::Committed { payment: None });
    (payment, operation)
}

fn captured(minor: i64, pending_minor: i64) -> Amounts {
    Amounts {
        captured_minor: minor,
        captured_pending_minor: pending_minor,
        ..Amounts::ZERO
    }
}

/// The payment and its later operations by the names of their states, what is captured and what of it is pending.
async fn shown(machine: &Operations, original: &Operation) -> String {
    let payment = machine.store.payment_of(original).await.unwrap();
    let operations = machine.store.operations_of(payment.id).await.unwrap();
    let mut shown = payment.state.name().to_owned();
    for operation in operations.iter().skip(1) {
        shown = format!("{shown} {}", operation.state.name());
    }
    let off = machine.store.payments_off_their_journals(1, i64::MAX);
    assert!(off.await.unwrap().is_empty(), "{shown}");
    let amounts = payment.amounts;
    format!(
        "{shown} {} {}",
        amounts.captured_minor, amounts.captured_pending_minor
    )
}

/// An advice counts since it was recorded, and a void since it is done.
#[tokio::test]
async fn what_a_merchant_asked_for_ends_as_the_operator_found_it() {
    use OwedResolution::{NeverHappened, Stands, Undone};
    let void = || (PaymentEvent::VoidStarted, Amounts::ZERO);
    let capture = || (PaymentEvent::Captured, captured(1000, 0));
    for (number, (kind, begun, resolution, expected)) in [
        (OperationKind::Void, void(), Stands, "VOIDED RESOLVED 0 0"),
        (
            OperationKind::Void,
            void(),
            Undone,
            "AUTHORIZED RESOLVED 0 0",
        ),
        (
            OperationKind::Capture,
            capture(),
            Stands,
            "PARTIALLY_CAPTURED RESOLVED 1000 0",
        ),
        (
            OperationKind::Capture,
            capture(),
            NeverHappened,
            "AUTHORIZED RESOLVED 0 0",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let (_folder, machine, payment, original) = authorized(&format!("asked-{number}")).await;
        let asked = (kind, OperationState::Queued);
        let (_, operation) = asked_for(&machine, (payment, &original), asked, begun).await;
        machine
            .resolve_owed(operation.id, resolution)
            .await
            .unwrap();
        assert_eq!(shown(&machine, &original).await, expected, "{kind:?}");
        machine.store.close().await;
    }
}

/// The amount that was asked for can't be said to stand where it would be booked.
#[tokio::test]
async fn what_the_bank_did_for_another_amount_stands_only_where_nothing_is_booked_by_that() {
    use OwedResolution::{NeverHappened, Stands};
    let suspended = OperationState::Suspended {
        reason: SuspendReason::AmountDiffers,
        response_code: Some(ResponseCode::APPROVED),
    };
    let unknown = OperationState::Unknown {
        reason: UnknownReason::AmountDiffers,
    };
    let void = (PaymentEvent::VoidStarted, Amounts::ZERO);
    let capture = (PaymentEvent::Captured, captured(1000, 0));
    let pending = (PaymentEvent::CaptureStarted, captured(1000, 1000));
    for (name, kind, state, begun, expected) in [
        ("differs-void", OperationKind::Void, &suspended, void, None),
        (
            "differs-capture",
            OperationKind::Capture,
            &suspended,
            capture,
            Some("AUTHORIZED RESOLVED 0 0"),
        ),
        (
            "differs-unknown",
            OperationKind::Capture,
            &unknown,
            pending,
            Some("AUTHORIZED RESOLVED 0 0"),
        ),
    ] {
        let (_folder, machine, payment, original) = authorized(name).await;
        let asked = (kind, state.clone());
        let (_, operation) = asked_for(&machine, (payment, &original), asked, begun).await;
        let stands = machine.resolve_owed(operation.id, Stands).await;
        match expected {
            None => assert!(stands.is_ok(), "{name}: {stands:?}"),
            Some(expected) => {
                let refused = stands.unwrap_err().to_string();
                assert!(refused.contains("another amount"), "{refused}");
                let undone = machine.resolve_owed(operation.id, NeverHappened).await;
                undone.unwrap();
                assert_eq!(shown(&machine, &original).await, expected);
            }
        }
        machine.store.close().await;
    }
}

/// A capture that was a request without an answer, and its reversal.
async fn capture_undone(name: &str) -> (Folder, Operations, Operation, OwedEntry) {
    let (folder, machine, payment, original) = authorized(name).await;
    let asked = (OperationKind::Capture, OperationState::Created);
    let begun = (PaymentEvent::CaptureStarted, captured(1000, 1000));
    let (payment, capture) = asked_for(&machine, (payment, &original), asked, begun).await;
    let reason = UnknownReason::NoAnswerInTime;
    let unknown = Operation {
        state: OperationState::Unknown { reason },
        version: 2,
        ..capture
    };
    let at = payment.created_at;
    let (payment, adjustment) = adjusted(
        &payment,
        PaymentEvent::CaptureStarted,
        Amounts::ZERO,
        CustodyEnd::Unchanged,
        at,
    )
    .unwrap();
    let undone = Original::of(&unknown);
    let owes = Owes::reversal(&unknown, reason);
    let reversal = machine.owed_operation(&payment, undone, None, &owes, at.plus_ms(1));
    let reversal = reversal.await.unwrap();
    let outcome = Outcome {
        payment: Box::new(payment),
        adjustment: Some(adjustment),
        operation: Box::new(unknown.clone()),
        owes: vec![reversal.clone()],
        answers: false,
    };
    machine.record(&outcome).await.unwrap();
    let entry = machine.store.owed_entry(reversal.id).await;
    (folder, machine, unknown, entry.unwrap().unwrap())
}

#[tokio::test]
async fn the_reversal_of_a_capture_ends_as_the_operator_found_it() {
    use OwedResolution::{NeverHappened, Stands, Undone};
    for (name, resolution, expected) in [
        (
            "capture-stands",
            Stands,
            "PARTIALLY_CAPTURED RESOLVED RESOLVED 1000 0",
        ),
        ("capture-undone", Undone, "AUTHORIZED REVERSED RESOLVED 0 0"),
        (
            "capture-never",
            NeverHappened,
            "AUTHORIZED RESOLVED RESOLVED 0 0",
        ),
    ] {
        let (_folder, machine, capture, entry) = capture_undone(name).await;
        machine
            .resolve_owed(entry.operation.id, resolution)
            .await
            .unwrap();
        assert_eq!(shown(&machine, &capture).await, expected);
        machine.store.close().await;
    }
}

/// What a bank has said of the amount holds also where the message was sent again since, or the answer came late.
#[tokio::test]
async fn what_the_bank_did_over_another_amount_does_not_stand() {
    let differs = || UnknownReason::AmountDiffers;
    let suspended = || OperationState::Suspended {
        reason: SuspendReason::AmountDiffers,
        response_code: None,
    };
    let unknown = || OperationState::Unknown {
        reason: UnknownReason::NoAnswerInTime,
    };
    for (name, state, pending_minor) in [
        ("another-again", suspended(), 0),
        ("another-late", unknown(), 1000),
    ] {
        let (_folder, machine, payment, original) = authorized(name).await;
        let asked = (OperationKind::Capture, state);
        let event = (PaymentEvent::Captured, captured(1000, pending_minor));
        let (_, capture) = asked_for(&machine, (payment, &original), asked, event).await;
        match pending_minor {
            0 => drop(machine.retry_owed(capture.id).await.unwrap()),
            _ => {
                let late = HostNotice::LateResponse {
                    host_id: capture.host_id,
                    operation_id: capture.id,
                    response_code: ResponseCode::APPROVED,
                    approval_code: String::new(),
                    exchange: Exchange::Unclear {
                        reason: differs(),
                        response_code: Some(ResponseCode::APPROVED),
                        kept: Vec::new(),
                        bank_us: 0,
                    },
                    at: capture.deadline.plus_ms(1),
                };
                machine.keep(late).await;
            }
        }
        let stands = machine.resolve_owed(capture.id, OwedResolution::Stands);
        assert_eq!(stands.await, Err(OwedRefusal::AmountDiffers), "{name}");
        let undone = machine.resolve_owed(capture.id, OwedResolution::Undone);
        undone.await.unwrap();
        let after = shown(&machine, &original).await;
        assert_eq!(after, "AUTHORIZED RESOLVED 0 0", "{name}");
        machine.store.close().await;
    }
}

/// As for an authorization: a bank that found nothing to undo, and then says that it has captured, owes another answer.
#[tokio::test]
async fn a_capture_that_is_approved_after_nothing_was_undone_is_reversed_again() {
    for (name, acknowledged, expected) in [
        (
            "capture-done",
            Acknowledged::Done,
            "AUTHORIZED REVERSED APPROVED 0 0",
        ),
        (
            "capture-unknown",
            Acknowledged::OriginalUnknown,
            "AUTHORIZED REVERSED APPROVED QUEUED 0 0",
        ),
    ] {
        let (_folder, machine, capture, entry) = capture_undone(name).await;
        let sent = machine.step(&entry, OperationEvent::Sent, Beside::default(), |_| {});
        let entry = machine.record_step(entry, sent).await.unwrap();
        let without = without_effect(&entry.original).unwrap();
        let beside = Beside {
            original: Some(OperationEvent::ReversalConfirmed),
            payment: Some(without.0),
            change: without.1,
            ..Beside::default()
        };
        let approval = Approval {
            approval_code: String::new(),
            response_code: ResponseCode::APPROVED,
            partial_minor: None,
        };
        let done = OperationEvent::Acknowledged(approval, acknowledged);
        let step = machine.step(&entry, done, beside, |_| {});
        machine.record_step(entry, step).await.unwrap();
        for _ in 0..2 {
            machine
                .keep(HostNotice::LateResponse {
                    host_id: capture.host_id,
                    operation_id: capture.id,
                    response_code: ResponseCode::APPROVED,
                    approval_code: String::new(),
                    exchange: approved(),
                    at: capture.deadline.plus_ms(1),
                })
                .await;
        }
        assert_eq!(shown(&machine, &capture).await, expected);
        machine.store.close().await;
    }
}

fn act(number: u8) -> AuditRecord {
    AuditRecord {
        id: AuditId::from_parts(samples::NOW, [number; 10]),
        at: samples::NOW,
        operator: "payswitch".into(),
        action: "SettlementAdminService.ImportReport".into(),
        target: "an operation".into(),
        reason: "line 2 of the report has it as booked".into(),
        request_id: format!("a report:{number}"),
        body_hash: [7; 32],
        outcome: Some("DONE".into()),
        answer: Vec::new(),
    }
}

/// What nobody knows ends once by what a report has, and the audit trail has it once. A message that may be on its way is
/// no obstacle: what is booked it does not do again.
#[tokio::test]
async fn a_report_ends_what_a_merchant_asked_for_once() {
    let reason = UnknownReason::NoAnswerInTime;
    let unknown = OperationState::Unknown { reason };
    for (name, state, pending_minor) in [
        ("reported-unknown", unknown, 1000),
        ("reported-queued", OperationState::Queued, 0),
    ] {
        let (_folder, machine, payment, original) = authorized(name).await;
        let asked = (OperationKind::Capture, state);
        let event = (PaymentEvent::Captured, captured(1000, pending_minor));
        let (_, capture) = asked_for(&machine, (payment, &original), asked, event).await;
        let (one, other) = tokio::join!(
            machine.resolve_reported(capture.id, act(1)),
            machine.resolve_reported(capture.id, act(2))
        );
        assert_eq!(
            [&one, &other].iter().filter(|it| it.is_ok()).count(),
            1,
            "{one:?} {other:?}"
        );
        let again = machine.resolve_reported(capture.id, act(3)).await;
        assert_eq!(again.unwrap_err(), OwedRefusal::NotOwed);
        let after = shown(&machine, &original).await;
        assert_eq!(after, "PARTIALLY_CAPTURED RESOLVED 1000 0", "{name}");
        let ended = machine.store.operation(capture.id).await.unwrap().unwrap();
        let by_report = OperationState::Resolved {
            by: ResolvedBy::Report,
            response_code: None,
            took_effect: true,
            decline: None,
        };
        assert_eq!(ended.state, by_report);
        let trail = machine.store.list_audit(10, None).await.unwrap();
        assert_eq!(trail.len(), 1, "{trail:?}");
        machine.store.close().await;
    }
}

/// What payswitch undoes itself is undone, whatever a report has, until nobody sends that any more.
#[tokio::test]
async fn a_report_does_not_end_a_reversal_that_is_sent() {
    let (_folder, machine, capture, entry) = capture_undone("reported-reversal").await;
    let reported = machine.resolve_reported(entry.operation.id, act(1)).await;
    assert_eq!(reported.unwrap_err(), OwedRefusal::NotSuspended);
    let before = "AUTHORIZED UNKNOWN QUEUED 1000 1000";
    assert_eq!(shown(&machine, &capture).await, before);
    assert_eq!(machine.store.list_audit(10, None).await.unwrap(), []);
    machine
        .suspend(entry.clone(), SuspendReason::Refused, None)
        .await;
    let reported = machine.resolve_reported(entry.operation.id, act(1)).await;
    reported.unwrap();
    let after = "PARTIALLY_CAPTURED RESOLVED RESOLVED 1000 0";
    assert_eq!(shown(&machine, &capture).await, after);
    machine.store.close().await;
}
