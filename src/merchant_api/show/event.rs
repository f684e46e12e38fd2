//! An event as the API shows it, and the names of its kinds.

use super::discrepancy::discrepancy;
use super::payout::payout;
use super::refund::refund;
use super::settlement::{batch, note};
use crate::grpc::time::timestamp;
use crate::merchant_api::pb;
use crate::merchant_api::read::cursor::Cursors;
use crate::payment::capture::Capture;
use crate::payment::event_kind::EventKind;
use crate::payment::operation::OperationState;
use crate::payment::record::{Operation, Payment};
use crate::store::reads::events::{Event, Part, Subject};

/// The kinds of events that happen in this version, as they are recorded and as they are shown.
pub(crate) const KINDS: [(EventKind, pb::EventKind); 32] = [
    (
        EventKind::PaymentAuthorized,
        pb::EventKind::PaymentAuthorized,
    ),
    (EventKind::PaymentDeclined, pb::EventKind::PaymentDeclined),
    (EventKind::PaymentFailed, pb::EventKind::PaymentFailed),
    (EventKind::PaymentPending, pb::EventKind::PaymentPending),
    (EventKind::PaymentCaptured, pb::EventKind::PaymentCaptured),
    (EventKind::PaymentVoiding, pb::EventKind::PaymentVoiding),
    (EventKind::PaymentVoided, pb::EventKind::PaymentVoided),
    (EventKind::PaymentReversing, pb::EventKind::PaymentReversing),
    (EventKind::PaymentReversed, pb::EventKind::PaymentReversed),
    (EventKind::PaymentExpired, pb::EventKind::PaymentExpired),
    (EventKind::ReleasePending, pb::EventKind::ReleasePending),
    (EventKind::PaymentReleased, pb::EventKind::PaymentReleased),
    (EventKind::CapturePending, pb::EventKind::CapturePending),
    (EventKind::CaptureFailed, pb::EventKind::CaptureFailed),
    (EventKind::RefundPending, pb::EventKind::RefundUpdated),
    (EventKind::RefundMade, pb::EventKind::RefundUpdated),
    (EventKind::RefundFailed, pb::EventKind::RefundUpdated),
    (EventKind::VoidFailed, pb::EventKind::VoidFailed),
    (EventKind::Chargeback, pb::EventKind::Chargeback),
    (
        EventKind::ChargebackReversed,
        pb::EventKind::ChargebackReversed,
    ),
    (EventKind::IncrementPending, pb::EventKind::IncrementPending),
    (
        EventKind::PaymentIncremented,
        pb::EventKind::PaymentIncremented,
    ),
    (EventKind::IncrementFailed, pb::EventKind::IncrementFailed),
    (EventKind::PaymentSettled, pb::EventKind::PaymentSettled),
    (EventKind::BatchClosed, pb::EventKind::BatchClosed),
    (EventKind::BatchSettled, pb::EventKind::BatchSettled),
    (EventKind::BatchDisputed, pb::EventKind::BatchDisputed),
    (EventKind::PayoutMade, pb::EventKind::PayoutMade),
    (EventKind::PayoutPaid, pb::EventKind::PayoutPaid),
    (EventKind::PayoutReturned, pb::EventKind::PayoutReturned),
    (EventKind::PayoutFailed, pb::EventKind::PayoutFailed),
    (
        EventKind::DiscrepancyUpdated,
        pb::EventKind::DiscrepancyUpdated,
    ),
];

/// An event with what it happened to, as that was right after.
pub(crate) fn event(
    event: &Event,
    cursors: &Cursors,
    payment: impl FnOnce(Payment) -> pb::Payment,
    capture: impl FnOnce(Capture, &Operation) -> pb::Capture,
) -> pb::Event {
    let kind = KINDS.iter().find(|(kind, _)| *kind == event.kind);
    let kind = kind.map_or(pb::EventKind::Unspecified, |(_, shown)| *shown);
    let subject = match &event.subject {
        Subject::Payment {
            part: Some(Part::Capture(found)),
            ..
        } => {
            let (found, operation) = &**found;
            let shown = capture(found.clone(), &right_after(event, operation));
            pb::event::Subject::Capture(shown)
        }
        Subject::Payment {
            part: Some(Part::Refund(found)),
            ..
        } => {
            let (found, operation) = &**found;
            let shown = refund(found.clone(), &right_after(event, operation));
            pb::event::Subject::Refund(shown)
        }
        Subject::Payment {
            payment: after,
            part: None,
        } => pb::event::Subject::Payment(Box::new(payment((**after).clone()))),
        Subject::Batch(found) => pb::event::Subject::SettlementBatch(batch(found)),
        Subject::Item(found) => {
            let (batch, item) = &**found;
            pb::event::Subject::SettlementNote(note(batch, item.clone()))
        }
        Subject::Payout(found, batches) => pb::event::Subject::Payout(payout(found, batches)),
        Subject::Discrepancy {
            discrepancy: found, ..
        } => pb::event::Subject::Discrepancy(discrepancy(found)),
    };
    pb::Event {
        event_id: cursors.event_id(event.position, event.at).to_string(),
        cursor: cursors.write(event.position),
        kind: kind.into(),
        create_time: Some(timestamp(event.at)),
        payment_sequence: event.payment().map_or(0, |payment| payment.version),
        subject: Some(subject),
    }
}

/// The operation as it was right after an event, as far as that is shown. What has ended a capture or a refund stands;
/// what was only begun then may have ended since.
fn right_after(event: &Event, operation: &Operation) -> Operation {
    Operation {
        state: state_after(event.kind, &operation.state),
        updated_at: event.at,
        ..operation.clone()
    }
}

fn state_after(kind: EventKind, now: &OperationState) -> OperationState {
    use OperationState as S;
    let began = matches!(kind, EventKind::CapturePending | EventKind::RefundPending);
    match now {
        _ if began => S::Sent,
        // A request that was approved, or found to stand; and what is recorded without a message.
        S::Approved {
            acknowledged: None, ..
        }
        | S::Resolved {
            took_effect: true, ..
        }
        | S::Recorded => now.clone(),
        _ if kind == EventKind::RefundMade => S::Queued,
        _ => now.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::decline::{Approval, Decline, DeclineAdvice, DeclineReason, ResponseCode};
    use crate::payment::operation::Acknowledged;

    #[test]
    fn a_refund_is_shown_as_it_was_right_after() {
        let approved = |acknowledged| OperationState::Approved {
            approval: Approval {
                approval_code: String::new(),
                response_code: ResponseCode::APPROVED,
                partial_minor: None,
            },
            acknowledged,
        };
        let declined = OperationState::Declined {
            decline: Decline {
                reason: DeclineReason::NotPermitted,
                response_code: "57".parse().unwrap(),
                advice: DeclineAdvice::DoNotRetry,
            },
        };
        use EventKind::{RefundFailed, RefundMade, RefundPending};
        for (kind, now, expected) in [
            (RefundPending, approved(None), "SENT"),
            (RefundMade, approved(None), "APPROVED"),
            (RefundMade, approved(Some(Acknowledged::Done)), "QUEUED"),
            (RefundMade, declined.clone(), "QUEUED"),
            (RefundMade, OperationState::Recorded, "RECORDED"),
            (RefundFailed, declined, "DECLINED"),
        ] {
            assert_eq!(state_after(kind, &now).name(), expected, "{kind:?}");
        }
    }

    #[test]
    fn each_kind_is_shown_under_its_own_name() {
        for (kind, shown) in KINDS {
            let name = shown.as_str_name().trim_start_matches("EVENT_KIND_");
            assert!(kind.name() == name || name == "REFUND_UPDATED", "{kind:?}");
        }
    }
}
