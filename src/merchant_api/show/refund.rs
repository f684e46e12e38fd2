//! A refund as the API shows it.

use super::money::money;
use super::outcome::{decline, failure, pending};
use crate::grpc::time::timestamp;
use crate::merchant_api::pb;
use crate::payment::decline::{Decline, DeclineAdvice, DeclineReason};
use crate::payment::operation::OperationState;
use crate::payment::record::Operation;
use crate::payment::refund::Refund;

/// A refund as the API shows it: where it stands is said by its operation.
pub(crate) fn refund(refund: Refund, operation: &Operation) -> pb::Refund {
    let recorded = operation.state == OperationState::Recorded;
    let number = |text: String| if recorded { String::new() } else { text };
    let mut shown = pb::Refund {
        refund_id: refund.id.to_string(),
        payment_id: refund.payment_id.to_string(),
        merchant_reference: refund.merchant_reference.unwrap_or_default(),
        amount: Some(money(
            refund.amount.amount_minor(),
            refund.amount.currency(),
        )),
        stan: number(operation.stan.to_string()),
        rrn: number(operation.rrn.to_string()),
        settlement_state: pb::SettlementState::Unsettled.into(),
        create_time: Some(timestamp(refund.created_at)),
        update_time: Some(timestamp(operation.updated_at)),
        capture_id: refund.capture_id.to_string(),
        ..pb::Refund::default()
    };
    show_state(&operation.state, &mut shown);
    shown
}

fn show_state(state: &OperationState, shown: &mut pb::Refund) {
    use OperationState as S;
    use pb::RefundState as R;
    // A change that a merchant can see is a step of these; attempts are none.
    let (shown_state, version) = match state {
        S::Queued | S::Recorded => (R::Created, 1),
        S::Created => {
            shown.pending = Some(pending(None, None));
            (R::Sending, 1)
        }
        S::Unknown { reason } => {
            // It is never reversed: that would debit a customer.
            shown.pending = Some(pending(Some(*reason), None));
            (R::Sending, 2)
        }
        S::Sent | S::Suspended { .. } => (R::Sending, 2),
        S::Approved { .. } => (R::Refunded, 3),
        S::Declined { decline: why } => {
            shown.decline = Some(decline(*why));
            (R::Declined, 3)
        }
        S::Rejected { reason } => {
            shown.failure = Some(failure(*reason));
            (R::Failed, 3)
        }
        S::Reversed | S::Cancelled => (R::Reversed, 3),
        S::Resolved {
            took_effect: true, ..
        } => (R::Refunded, 3),
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
                (R::Declined, 3)
            }
            None => (R::Reversed, 3),
        },
    };
    shown.state = shown_state.into();
    shown.version = version;
}
