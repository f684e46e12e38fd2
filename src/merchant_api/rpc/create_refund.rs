//! CreateRefund: gives back all or part of what was captured.

use tonic::{Request, Response, Status};

use super::perform::{Performer, answered, read_call};
use crate::flows::refund::Refund;
use crate::grpc::violations::Findings;
use crate::merchant_api::pb;
use crate::merchant_api::read::id::{optional_capture_id, payment_id};
use crate::merchant_api::read::money::optional_amount;
use crate::merchant_api::read::text::REFERENCE;
use crate::merchant_api::show::refund::refund;
use crate::merchant_api::show::refusal::not_readable;
use crate::operations::giving_back::CreateRefund;
use crate::operations::resource::Resource;
use crate::payment::ids::SubjectId;
use crate::store::Store;

/// Answers the call.
pub(super) async fn call(
    refunds: &Performer<Refund>,
    store: &Store,
    request: Request<pb::CreateRefundRequest>,
) -> Result<Response<pb::CreateRefundResponse>, Status> {
    let (call, command) = read_call(request, command)?;
    let merchant_id = call.merchant.id;
    let concluded = refunds.perform(call, command).await?;
    let operation = concluded.operation;
    let found = match (concluded.made, operation.subject_id) {
        (Some(Resource::Refund(made)), _) => Some(made),
        (_, Some(SubjectId::Refund(id))) => {
            let found = store.refund(&merchant_id, id).await;
            let found = found.map_err(|error| not_readable(&error))?;
            found.map(|(found, _)| found)
        }
        _ => None,
    };
    // As it was when this request was answered first.
    let shown = found.map(|found| refund(found, &operation));
    let answer = pb::CreateRefundResponse { refund: shown };
    Ok(answered(answer, concluded.bank_us))
}

fn command(found: &mut Findings, request: pb::CreateRefundRequest) -> Option<CreateRefund> {
    let payment_id = payment_id(found, &request.payment_id);
    let amount = optional_amount(found, request.amount);
    let capture_id = optional_capture_id(found, &request.capture_id);
    let merchant_reference =
        REFERENCE.read_optional(found, "merchant_reference", request.merchant_reference);
    Some(CreateRefund {
        payment_id: payment_id?,
        amount: amount?,
        capture_id: capture_id?,
        merchant_reference: merchant_reference?,
    })
}
