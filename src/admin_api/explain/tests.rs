use super::standing::{next, stands};
use super::timeline::{EntryKind, timeline};
use super::words::amount;
use crate::ledger::template::AnyTemplate;
use crate::payment::amounts::Amounts;
use crate::payment::decline::{Approval, Decline, ResponseCode, UnknownReason};
use crate::payment::event_kind::EventKind;
use crate::payment::ids::{CaptureId, OperationId, QuarantineId, SubjectId};
use crate::payment::operation::{Acknowledged, OperationState, ResolvedBy, SuspendReason};
use crate::payment::operation_kind::OperationKind;
use crate::payment::reason::Reason;
use crate::payment::record::{Attempts, Operation};
use crate::payment::reference::{Rrn, Stan};
use crate::payment::samples::{NOW, approval, operation, payment_of};
use crate::payment::state::PaymentState;
use crate::store::reads::explain::{PaymentRecords, RecordedRequest, ToldRecords};
use crate::store::reads::ledger::{KeptJournal, KeptLine};
use crate::store::records::{LateResponse, QuarantinedResponse, RecordedEvent};

fn authorized() -> PaymentState {
    PaymentState::Authorized {
        approval: approval(),
        expires_at: NOW.plus_days(7),
    }
}

const UNKNOWN: UnknownReason = UnknownReason::NoAnswerInTime;

/// An operation of the payment, `after_ms` after its beginning.
fn later(kind: OperationKind, after_ms: i64, mti: &str, original: &Operation) -> Operation {
    Operation {
        id: OperationId::from_parts(NOW.plus_ms(after_ms), [2; 10]),
        kind,
        mti: mti.parse().unwrap(),
        original_id: Some(original.id),
        created_at: NOW.plus_ms(after_ms),
        updated_at: NOW.plus_ms(after_ms),
        ..operation()
    }
}

fn event(
    position: i64,
    after_ms: i64,
    kind: EventKind,
    of: &Operation,
    state: PaymentState,
    amounts: Amounts,
) -> RecordedEvent {
    RecordedEvent {
        position,
        merchant_id: "demo-shop".parse().unwrap(),
        payment_id: of.payment_id,
        version: position,
        kind,
        at: NOW.plus_ms(after_ms),
        operation_id: of.id,
        state,
        amounts,
    }
}

fn records(operations: Vec<Operation>) -> PaymentRecords {
    PaymentRecords {
        payment: payment_of(&operations[0]),
        operations,
        requests: Vec::new(),
        events: Vec::new(),
        journals: Vec::new(),
        late: Vec::new(),
        quarantined: Vec::new(),
        audit: Vec::new(),
        settled: Vec::new(),
    }
}

/// Authorized, captured with two messages; then a message that matched nothing.
fn captured() -> PaymentRecords {
    let mut authorization = operation();
    authorization.state = OperationState::Approved {
        approval: approval(),
        acknowledged: None,
    };
    authorization.updated_at = NOW.plus_ms(20);
    authorization.bank_us = Some(3_210);
    let mut capture = later(OperationKind::Capture, 60_000, "0220", &authorization);
    capture.subject_id = Some(SubjectId::Capture(CaptureId::from_parts(NOW, [1; 10])));
    capture.reason = Some(Reason::SameAmount);
    capture.updated_at = NOW.plus_ms(63_000);
    capture.attempts = Attempts {
        count: 2,
        first_at: Some(NOW.plus_ms(60_001)),
        last_at: Some(NOW.plus_ms(62_990)),
        next_at: None,
    };
    capture.state = OperationState::Approved {
        approval: Approval {
            approval_code: String::new(),
            ..approval()
        },
        acknowledged: Some(Acknowledged::Done),
    };
    let held = Amounts {
        authorized_minor: 1_250,
        ..Amounts::ZERO
    };
    let pending = Amounts {
        captured_minor: 1_250,
        captured_pending_minor: 1_250,
        ..held
    };
    let taken = Amounts {
        captured_pending_minor: 0,
        ..pending
    };
    let done = PaymentState::Captured {
        approval: approval(),
        expires_at: Some(NOW.plus_days(7)),
    };
    let line = |account: &str, amount_minor| KeptLine {
        account: account.into(),
        merchant_id: "demo-shop".into(),
        host_id: "acquirer".into(),
        currency: "EUR".into(),
        amount_minor,
    };
    let asked = |method: &str, of: &Operation, told: (PaymentState, i64)| RecordedRequest {
        method: method.into(),
        request_id: format!("{method}-1"),
        operation_id: of.id,
        told: Some(ToldRecords {
            payment: told.0,
            operation: of.state.clone(),
            at: NOW.plus_ms(told.1),
        }),
    };
    let template = AnyTemplate::all().next().unwrap().name();
    let mut records = PaymentRecords {
        requests: vec![
            asked("CapturePayment", &capture, (authorized(), 60_000)),
            asked("AuthorizePayment", &authorization, (authorized(), 20)),
        ],
        events: vec![
            event(
                7,
                20,
                EventKind::PaymentAuthorized,
                &authorization,
                authorized(),
                held,
            ),
            event(
                9,
                60_000,
                EventKind::CapturePending,
                &capture,
                authorized(),
                pending,
            ),
            // The clock of another node is behind.
            event(
                12,
                59_000,
                EventKind::PaymentCaptured,
                &capture,
                done.clone(),
                taken,
            ),
        ],
        journals: vec![KeptJournal {
            position: 9,
            id: format!("{}:{template}", capture.id),
            payment_id: None,
            business_date: None,
            at: NOW.plus_ms(60_000),
            content_sha256: String::new(),
            lines: vec![line("RECEIVABLE", 1_250), line("PAYABLE_PENDING", -1_250)],
        }],
        quarantined: vec![QuarantinedResponse {
            id: QuarantineId::from_parts(NOW, [1; 10]),
            host_id: "acquirer".parse().unwrap(),
            reason: "nothing waits for it".into(),
            mti: "0110".into(),
            stan: None,
            rrn: Some(authorization.rrn),
            response_code: Some(ResponseCode::APPROVED),
            message: "0110**".into(),
            received_at: NOW.plus_ms(61_000),
        }],
        ..records(vec![authorization, capture])
    };
    records.payment.state = done;
    records.payment.amounts = taken;
    records
}

#[test]
fn what_happened_is_told_in_the_order_in_which_it_happened() {
    let records = captured();
    let (authorization, capture) = (&records.operations[0], &records.operations[1]);
    let told: Vec<String> = timeline(&records)
        .iter()
        .map(|entry| {
            let after = entry.at.as_i64() - NOW.as_i64();
            format!("{after} {:?} {}", entry.kind, entry.text)
        })
        .collect();
    let node = authorization.node_id;
    let held = "12.50 EUR authorized";
    let template = AnyTemplate::all().next().unwrap().name();
    let expected = [
        "0 Request AuthorizePayment, request_id AuthorizePayment-1".to_owned(),
        format!(
            "0 Operation authorization of 12.50 EUR to acquirer: 0100, STAN 000042, RRN 632200000041, to be answered \
             within 4.3 s; {}",
            authorization.id
        ),
        format!("0 Message authorization: 0100 sent to acquirer, once, by {node}"),
        "20 Answer authorization approved, DE 39 00, DE 38 A1B2C3, after 3.2 ms".to_owned(),
        format!("20 Payment payment authorized: AUTHORIZED, {held}"),
        "20 Told AuthorizePayment answered: authorization APPROVED, payment AUTHORIZED".to_owned(),
        "60000 Request CapturePayment, request_id CapturePayment-1".to_owned(),
        format!(
            "60000 Operation capture of 12.50 EUR to acquirer: 0220, STAN 000042, RRN 632200000041, of authorization, \
             because the whole amount is captured; {}; {}",
            capture.subject_id.unwrap(),
            capture.id
        ),
        format!("60000 Payment capture pending: AUTHORIZED, {held}, 12.50 EUR captured (pending)"),
        format!("60000 Journal {template}: RECEIVABLE 12.50 EUR, PAYABLE_PENDING -12.50 EUR"),
        format!("59000 Payment payment captured: CAPTURED, {held}, 12.50 EUR captured"),
        "60000 Told CapturePayment answered: capture APPROVED, payment AUTHORIZED".to_owned(),
        format!("60001 Message capture: 0220 sent to acquirer by {node}"),
        "61000 Quarantine 0110 from acquirer with the RRN of authorization, DE 39 00: nothing waits for it".to_owned(),
        "62990 Message capture: sent again, 2 times by now".to_owned(),
        "63000 Answer capture acknowledged: the bank has done it, DE 39 00".to_owned(),
    ];
    assert_eq!(told, expected);
    assert_eq!(
        stands(&records),
        [
            "CAPTURED: 12.50 EUR authorized, 12.50 EUR captured.",
            "The bank approved with DE 39 00 under the approval code A1B2C3 (DE 38).",
        ]
    );
    assert_eq!(
        next(&records, NOW.plus_ms(64_000), |_| None),
        [
            "Nothing is on its way, and nothing is owed to a bank.",
            "The merchant can still refund 12.50 EUR.",
        ]
    );
}

/// A line for each state that an operation can have: what is told of its end, and what comes next.
#[test]
fn every_end_of_an_operation_has_its_words() {
    use OperationState as S;
    let resolved = |took_effect| S::Resolved {
        by: ResolvedBy::LateResponse,
        response_code: Some(ResponseCode::APPROVED),
        took_effect,
        decline: None,
    };
    let suspended = S::Suspended {
        reason: SuspendReason::Refused,
        response_code: "30".parse().ok(),
    };
    let again = "2026-11-18 11:07:20 UTC, in 39.0 s";
    for (state, attempts, ended, comes_next) in [
        (
            S::Created,
            0,
            "",
            "On its way to acquirer: refund of 12.50 EUR. Its answer is waited for until",
        ),
        (
            S::Queued,
            0,
            "",
            "Owed to acquirer: refund of 12.50 EUR, to be sent at {again}. But no line: it waits for that.",
        ),
        (
            S::Sent,
            3,
            "",
            "sent 3 times, first 800 ms ago, and not acknowledged. It is sent again at {again}. But no line",
        ),
        (
            suspended,
            1,
            "Answer refund suspended: the host refused it, DE 39 30",
            "Waiting for an operator: refund of 12.50 EUR, sent once: the host refused it (DE 39 30). Ask acquirer",
        ),
        (
            S::Unknown { reason: UNKNOWN },
            0,
            "End refund: the outcome is not known: no answer in time",
            "what became of refund of 12.50 EUR, for this reason: no answer in time. Its amount stays taken",
        ),
        (
            S::Cancelled,
            0,
            "End refund cancelled: it was never sent",
            "Nothing is on its way",
        ),
        (
            resolved(true),
            0,
            "End refund resolved by a late answer, DE 39 00: the bank has done it",
            "Nothing",
        ),
        (
            resolved(false),
            0,
            "End refund resolved by a late answer, DE 39 00: it has no effect",
            "Nothing",
        ),
    ] {
        let mut refund = later(OperationKind::Refund, 100, "0200", &operation());
        let name = state.name();
        refund.state = state;
        refund.attempts = Attempts {
            count: attempts,
            first_at: (attempts > 0).then_some(NOW.plus_ms(200)),
            last_at: None,
            next_at: Some(NOW.plus_ms(40_000)),
        };
        let mut authorization = operation();
        authorization.state = S::Cancelled;
        let records = records(vec![authorization, refund]);
        let told = timeline(&records);
        let told = told
            .iter()
            .filter(|it| it.operation_id == Some(records.operations[1].id));
        let told = told.filter(|it| matches!(it.kind, EntryKind::Answer | EntryKind::End));
        let told: Vec<String> = told
            .map(|it| format!("{:?} {}", it.kind, it.text))
            .collect();
        assert_eq!(told.concat(), ended, "{name}");
        let next = next(&records, NOW.plus_ms(1_000), |_| Some("no line")).concat();
        assert!(
            next.contains(&comes_next.replace("{again}", again)),
            "{name}: {next}"
        );
    }
}

#[test]
fn a_reversal_and_a_cancellation_have_their_places() {
    let mut authorization = operation();
    authorization.state = OperationState::Unknown { reason: UNKNOWN };
    authorization.updated_at = NOW.plus_ms(4_000);
    let mut reversal = later(OperationKind::Reversal, 4_000, "0420", &authorization);
    reversal.state = OperationState::Queued;
    reversal.attempts.next_at = Some(NOW.plus_ms(4_300));
    let cancelled = PaymentState::Authorizing {
        pending: Some(UnknownReason::CancelledByMerchant),
    };
    let mut records = records(vec![authorization, reversal]);
    let id = records.operations[0].id;
    records.events = vec![event(
        3,
        1_000,
        EventKind::PaymentPending,
        &records.operations[0],
        cancelled,
        Amounts::ZERO,
    )];
    records.requests = vec![RecordedRequest {
        method: "CancelByRequestId".into(),
        request_id: "never-mind".into(),
        operation_id: id,
        told: None,
    }];
    records.late = vec![LateResponse {
        operation_id: id,
        host_id: "acquirer".parse().unwrap(),
        response_code: ResponseCode::APPROVED,
        approval_code: Some("A1B2C3".into()),
        amount_differs: false,
        received_at: NOW.plus_ms(5_000),
    }];
    let kinds: Vec<_> = timeline(&records)
        .iter()
        .map(|entry| (entry.at.as_i64() - NOW.as_i64(), entry.kind))
        .collect();
    use EntryKind as K;
    assert_eq!(
        kinds,
        [
            (0, K::Operation),
            (0, K::Message),
            (1_000, K::Request),
            (1_000, K::Payment),
            (4_000, K::End),
            (4_000, K::Operation),
            (5_000, K::LateResponse),
        ]
    );
    // The authorization is undone by the reversal: nobody has to look.
    let next = next(&records, NOW.plus_ms(4_100), |_| None);
    assert_eq!(next.len(), 1, "{next:?}");
    assert!(
        next[0].contains("in 200 ms, not before what it undoes can't arrive any more"),
        "{next:?}"
    );

    // Both end with the bank's confirmation, the reversal first.
    for operation in &mut records.operations {
        operation.updated_at = NOW.plus_ms(4_400);
    }
    records.operations[0].state = OperationState::Reversed;
    records.operations[1].state = OperationState::Approved {
        approval: approval(),
        acknowledged: Some(Acknowledged::Done),
    };
    let ends = timeline(&records);
    let ends = ends.iter().filter(|entry| entry.at == NOW.plus_ms(4_400));
    let ends: Vec<_> = ends.map(|entry| (entry.kind, entry.operation_id)).collect();
    let [original, reversal] = [0, 1].map(|n: usize| Some(records.operations[n].id));
    assert_eq!(ends, [(K::Answer, reversal), (K::End, original)]);
}

#[test]
fn amounts_read_well() {
    for (minor, currency, expected) in [
        (-1_250, "EUR", "-12.50 EUR"),
        (1_250, "JPY", "1250 JPY"),
        (i64::MIN, "EUR", "-9223372036854775808 minor units of EUR"),
        (5, "eur", "5 minor units of eur"),
    ] {
        assert_eq!(amount(minor, currency), expected);
    }
}

/// What payswitch itself has declined: nothing says that a message was sent.
#[test]
fn a_decline_of_payswitch_names_no_message() {
    let decline = Decline::RISK_LIMIT;
    let declined = Operation {
        state: OperationState::Declined { decline },
        stan: Stan::NONE,
        rrn: Rrn::NONE,
        ..operation()
    };
    let mut records = records(vec![declined.clone()]);
    let state = PaymentState::Declined { decline };
    records.payment.state = state.clone();
    let kind = EventKind::PaymentDeclined;
    let told = event(1, 0, kind, &declined, state, Amounts::ZERO);
    records.events.push(told);
    let entries = timeline(&records);
    let said: Vec<_> = entries.iter().map(|it| it.text.as_str()).collect();
    for part in [
        ": no message, a limit of payswitch was reached; ",
        "authorization declined: risk limit of payswitch, no bank was asked",
        "payment declined: DECLINED: risk limit of payswitch, no bank was asked",
    ] {
        assert!(said.iter().any(|it| it.contains(part)), "{part}: {said:#?}");
    }
    for part in ["DE 39", "STAN", " sent to ", "answered within"] {
        assert!(
            !said.iter().any(|it| it.contains(part)),
            "{part}: {said:#?}"
        );
    }
    assert_eq!(said.len(), 3, "{said:#?}");
}
