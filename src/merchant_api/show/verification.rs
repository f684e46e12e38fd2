//! A verification, as the API shows it: its state is that of its operation.

use super::operation::operation;
use super::outcome::{decline, failure};
use crate::grpc::time::timestamp;
use crate::hosts::message::definition::MessageProfile;
use crate::hosts::message::element::ElementName;
use crate::merchant_api::pb;
use crate::payment::ids::VerificationId;
use crate::payment::operation::OperationState;
use crate::payment::record::{Operation, Payment};

/// The verification whose operation lies with `payment`; `message` is that of its host.
pub(crate) fn verification(
    payment: Payment,
    verified: Operation,
    message: Option<&MessageProfile>,
) -> pb::Verification {
    use pb::VerificationState as P;
    let (state, declined, failed) = match &verified.state {
        OperationState::Approved { .. } => (P::Verified, None, None),
        OperationState::Declined { decline } => (P::Declined, Some(*decline), None),
        OperationState::Rejected { reason } => (P::Failed, None, Some(*reason)),
        _ => (P::Unknown, None, None),
    };
    let result = |name: fn(&MessageProfile) -> Option<&ElementName>| {
        let name = message.and_then(name);
        let value = name.and_then(|name| name.find(&verified.kept));
        value.unwrap_or_default().to_owned()
    };
    pb::Verification {
        verification_id: VerificationId::of(payment.id).to_string(),
        merchant_reference: payment.merchant_reference,
        state: state.into(),
        decline: declined.map(decline),
        failure: failed.map(failure),
        cvv_result: result(|message| message.cvv_result.as_ref()),
        avs_result: result(|message| message.avs_result.as_ref()),
        operation: Some(operation(verified, None)),
        create_time: Some(timestamp(payment.created_at)),
    }
}
