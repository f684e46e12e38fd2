//! What became of an increment, as the API shows it.

use super::operation::operation;
use super::outcome::{decline, failure, pending};
use crate::merchant_api::pb;
use crate::payment::operation::OperationState;
use crate::payment::record::Operation;

/// The increment beside its payment, as it is shown already.
pub(crate) fn increment(
    payment: Option<pb::Payment>,
    increment: Operation,
) -> pb::IncrementAuthorizationResponse {
    let mut shown = pb::IncrementAuthorizationResponse {
        payment,
        ..Default::default()
    };
    match &increment.state {
        OperationState::Declined { decline: why } => shown.decline = Some(decline(*why)),
        OperationState::Rejected { reason } => shown.failure = Some(failure(*reason)),
        OperationState::Unknown { reason } => {
            let owed = pb::PendingReversalState::Owed;
            shown.pending = Some(pending(Some(*reason), Some(owed)));
        }
        _ => {}
    }
    shown.increment = Some(operation(increment, None));
    shown
}
