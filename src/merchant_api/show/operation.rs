//! An exchange with a bank, as the API shows it.

use super::money::money;
use crate::grpc::time::timestamp;
use crate::merchant_api::pb;
use crate::payment::operation::OperationState;
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::Operation;
use crate::store::records::LateResponse;

/// An operation as the API shows it, with the response that came late for it.
pub(crate) fn operation(operation: Operation, late: Option<LateResponse>) -> pb::Operation {
    let repeats = operation.attempts;
    let attempts = i32::try_from(operation.times_sent()).unwrap_or(i32::MAX);
    let has_message = operation.state != OperationState::Recorded;
    let number = |text: String| if has_message { text } else { String::new() };
    let (state, response_code, approval_code) = show_state(operation.state);
    pb::Operation {
        operation_id: operation.id.to_string(),
        kind: show_kind(operation.kind).into(),
        state: state.into(),
        amount: Some(money(
            operation.amount.amount_minor(),
            operation.amount.currency(),
        )),
        original_operation_id: operation
            .original_id
            .map(|id| id.to_string())
            .unwrap_or_default(),
        subject_id: operation
            .subject_id
            .map(|id| id.to_string())
            .unwrap_or_default(),
        host_id: operation.host_id.to_string(),
        mti: number(operation.mti.to_string()),
        stan: number(operation.stan.to_string()),
        rrn: number(operation.rrn.to_string()),
        response_code,
        approval_code,
        attempts,
        first_send_time: repeats.first_at.map(timestamp),
        last_send_time: repeats.last_at.map(timestamp),
        next_attempt_time: repeats.next_at.map(timestamp),
        create_time: Some(timestamp(operation.created_at)),
        update_time: Some(timestamp(operation.updated_at)),
        reason: operation
            .reason
            .map_or_else(String::new, |reason| reason.to_string()),
        late_response: late.map(|late| pb::LateResponse {
            response_code: late.response_code.to_string(),
            time: Some(timestamp(late.received_at)),
        }),
        ..pb::Operation::default()
    }
}

fn show_kind(kind: OperationKind) -> pb::OperationKind {
    match kind {
        OperationKind::Authorization => pb::OperationKind::Authorization,
        OperationKind::Verification => pb::OperationKind::Verification,
        OperationKind::Sale => pb::OperationKind::Sale,
        OperationKind::Increment => pb::OperationKind::Increment,
        OperationKind::Capture => pb::OperationKind::Capture,
        OperationKind::Refund => pb::OperationKind::Refund,
        OperationKind::Reversal => pb::OperationKind::Reversal,
        OperationKind::Void => pb::OperationKind::Void,
        OperationKind::Release => pb::OperationKind::Release,
        OperationKind::Inquiry => pb::OperationKind::Inquiry,
        OperationKind::Chargeback => pb::OperationKind::Chargeback,
        OperationKind::ChargebackReversal => pb::OperationKind::ChargebackReversal,
    }
}

/// The state, and the response code and the approval code that are known in it.
fn show_state(state: OperationState) -> (pb::OperationState, String, String) {
    use OperationState as S;
    use pb::OperationState as P;
    let none = String::new;
    match state {
        S::Created => (P::Created, none(), none()),
        S::Sent => (P::Sent, none(), none()),
        S::Approved { approval, .. } => (
            P::Approved,
            approval.response_code.to_string(),
            approval.approval_code,
        ),
        S::Declined { decline } => (P::Declined, decline.response_code.to_string(), none()),
        S::Rejected { .. } => (P::Rejected, none(), none()),
        S::Unknown { .. } => (P::Unknown, none(), none()),
        S::Queued => (P::Queued, none(), none()),
        S::Recorded => (P::Created, none(), none()),
        S::Suspended { response_code, .. } => (
            P::Suspended,
            response_code.map_or_else(none, |code| code.to_string()),
            none(),
        ),
        S::Cancelled => (P::Cancelled, none(), none()),
        S::Reversed => (P::Reversed, none(), none()),
        S::Resolved { response_code, .. } => (
            P::Resolved,
            response_code.map_or_else(none, |code| code.to_string()),
            none(),
        ),
    }
}
