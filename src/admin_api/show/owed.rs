//! What is owed to a bank, as the operators' API shows it.

use crate::admin_api::pb;
use crate::grpc::time::timestamp;
use crate::payment::operation::OperationState;
use crate::payment::record::Operation;

/// A message that is owed.
pub(in crate::admin_api) fn owed(operation: &Operation) -> pb::Owed {
    let (state, reason, response_code) = match &operation.state {
        OperationState::Suspended {
            reason,
            response_code,
        } => (
            pb::OwedState::Suspended,
            reason.to_string(),
            response_code.map(|code| code.to_string()),
        ),
        OperationState::Unknown { reason } => (pb::OwedState::Unknown, reason.to_string(), None),
        OperationState::Queued => (pb::OwedState::Queued, String::new(), None),
        _ => (pb::OwedState::Sent, String::new(), None),
    };
    pb::Owed {
        operation_id: operation.id.to_string(),
        payment_id: operation.payment_id.to_string(),
        host_id: operation.host_id.to_string(),
        kind: operation.kind.name().to_owned(),
        state: state.into(),
        attempts: i32::try_from(operation.times_sent()).unwrap_or(i32::MAX),
        next_attempt_time: operation.attempts.next_at.map(timestamp),
        create_time: Some(timestamp(operation.created_at)),
        suspend_reason: reason,
        response_code: response_code.unwrap_or_default(),
        stan: operation.stan.to_string(),
        rrn: operation.rrn.to_string(),
        amount_minor: operation.amount.amount_minor(),
        currency: operation.amount.currency().code().to_owned(),
    }
}
