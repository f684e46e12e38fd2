//! A capture as the API shows it.

use super::money::money;
use super::outcome::{decline, failure, pending};
use crate::grpc::time::timestamp;
use crate::merchant_api::pb;
use crate::payment::capture::Capture;
use crate::payment::decline::{Decline, DeclineAdvice, DeclineReason};
use crate::payment::operation::OperationState;
use crate::payment::record::Operation;

/// A capture as the API shows it: where it stands is said by its operation. `is_reversed` says whether its host
/// reverses captures whose outcome is not known.
pub(crate) fn capture(capture: Capture, operation: &Operation, is_reversed: bool) -> pb::Capture {
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
    show_state(&operation.state, is_reversed, &mut shown);
    if capture.is_voided && shown.state() == pb::CaptureState::Captured {
        shown.state = pb::CaptureState::Reversed.into();
    }
    shown
}

fn show_state(state: &OperationState, is_reversed: bool, shown: &mut pb::Capture) {
    use OperationState as S;
    use pb::CaptureState as C;
    let owed = is_reversed.then_some(pb::PendingReversalState::Owed);
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
        S::Resolved {
            response_code,
            decline: said,
            ..
        } => match response_code {
            Some(response_code) => {
                // An older version kept no more than the code.
                shown.decline = Some(decline(said.unwrap_or(Decline {
                    reason: DeclineReason::Other,
                    response_code: *response_code,
                    advice: DeclineAdvice::DoNotRetry,
                })));
                C::Rejected
            }
            None => C::Reversed,
        },
    };
    shown.state = shown_state.into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::decline::UnknownReason;
    use crate::payment::samples;

    /// Only where its bank wants it reversed a reversal is owed.
    #[test]
    fn a_capture_without_an_outcome_owes_what_its_bank_wants() {
        let operation = Operation {
            state: OperationState::Unknown {
                reason: UnknownReason::NoAnswerInTime,
            },
            ..samples::operation()
        };
        for is_reversed in [true, false] {
            let shown = capture(samples::capture_of(&operation), &operation, is_reversed);
            let pending = shown.pending.unwrap();
            assert_eq!(pending.reversal_owed, is_reversed);
            assert_eq!(pending.reversal.is_some(), is_reversed);
            assert_eq!(pending.reason(), pb::PendingReason::NoAnswerInTime);
        }
    }
}
