//! VoidPayment: gives back what is held, before anything is captured; or a whole sale, before anything is refunded.

use tonic::{Request, Response, Status};

use super::perform::{Performer, answered, read_call};
use super::views::PaymentViews;
use crate::flows::void::{Void, VoidPayment};
use crate::grpc::violations::Findings;
use crate::merchant_api::pb;
use crate::merchant_api::read::id::payment_id;
use crate::merchant_api::show::operation::operation;

/// Answers the call.
pub(super) async fn call(
    voids: &Performer<Void>,
    views: &PaymentViews,
    request: Request<pb::VoidPaymentRequest>,
) -> Result<Response<pb::VoidPaymentResponse>, Status> {
    let (call, command) = read_call(request, command)?;
    let concluded = voids.perform(call, command).await?;
    let answer = pb::VoidPaymentResponse {
        payment: views.changed(concluded.payment, None).await?,
        void: Some(operation(*concluded.operation, None)),
    };
    Ok(answered(answer, concluded.bank_us))
}

fn command(found: &mut Findings, request: pb::VoidPaymentRequest) -> Option<VoidPayment> {
    let payment_id = payment_id(found, &request.payment_id)?;
    Some(VoidPayment { payment_id })
}
