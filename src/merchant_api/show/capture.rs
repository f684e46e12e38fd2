//! A capture as the API shows it.

use super::money::money;
use super::outcome::{decline, failure, pending};
use crate::grpc::time::timestamp;
use crate::merchant_api::pb;
use crate::payment::capture::Capture;
use crate::payment::decline::{Decline, DeclineAdvice, DeclineReason};
use crate::payment::operation::OperationState;
use crate::payment::record::Operation;

/// A capture as the API shows it: where it stands is said by its operation.
pub(crate) fn capture(capture: Capture, operation: &Operation) -> pb::Capture {
    let recorded = operation.state == OperationState::Recorded;
    let mut shown = pb::Capture {
        capture_id: capture.id.to_string(),
        payment_id: capture.payment_id.to_string(),
        amount: Some(money(
            capture.amount.amount_minor(),
            capture.amount.currency(),
        )),
        r#final: capture.is_final,
        settlement_state: pb::SettlementState::Unsettled.into(),
        rrn: match recorded {
            true => String::new(),
            false => operation.rrn.to_string(),
        },
        merchant_reference: capture.merchant_reference.unwrap_or_default(),
        create_time: Some(timestamp(capture.created_at)),
        update_time: Some(timestamp(operation.updated_at)),
        ..pb::Capture::default()
    };
    show_state(&operation.state, &mut shown);
    if capture.is_voided && shown.state() == pb::CaptureState::Captured {
        shown.state = pb::CaptureState::Reversed.into();
    }
    shown
}

fn show_state(state: &OperationState, shown: &mut pb::Capture) {
    use OperationState as S;
    use pb::CaptureState as C;
    let owed = pb::PendingReversalState::Owed;
    let shown_state = match state {
        S::Queued | S::Recorded => C::Recorded,
        S::Created => {
            shown.pending = Some(pending(None, owed));
            C::Sending
        }
        S::Unknown { reason } => {
            shown.pending = Some(pending(Some(*reason), owed));
            C::Sending
        }
        S::Sent | S::Suspended { .. } => C::Sending,
        S::Approved { .. } => C::Captured,
        S::Declined { decline: why } => {
            shown.decline = Some(decline(*why));
            C::Rejected
        }
        S::Rejected { reason } => {
            shown.failure = Some(failure(*reason));
            C::Failed
        }
        S::Reversed | S::Cancelled => C::Reversed,
        S::Resolved {
            took_effect: true, ..
        } => C::Captured,
        S::Resolved { response_code, .. } => match response_code {
            Some(response_code) => {
                shown.decline = Some(decline(Decline {
                    reason: DeclineReason::Other,
                    response_code: *response_code,
                    advice: DeclineAdvice::DoNotRetry,
                }));
                C::Rejected
            }
            None => C::Reversed,
        },
    };
    shown.state = shown_state.into();
}
