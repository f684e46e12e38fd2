//! CancelByRequestId: makes sure that an AuthorizePayment has no effect.

use tonic::{Request, Response, Status};

use super::perform::{Performer, answered, read_call};
use super::views::PaymentViews;
use crate::flows::authorization::Authorization;
use crate::flows::cancellation::{CancelPayment, Cancellation};
use crate::grpc::text::REQUEST_ID;
use crate::grpc::violations::Findings;
use crate::merchant_api::pb;
use crate::operations::cancel::{Cancel, Cancelled};
use crate::operations::flow::Flow;

/// Answers the call: with the payment of the request that is cancelled, or with none where it has not come. One that
/// took effect is undone.
pub(super) async fn call(
    cancellations: &Performer<Cancellation>,
    views: &PaymentViews,
    request: Request<pb::CancelByRequestIdRequest>,
) -> Result<Response<pb::CancelByRequestIdResponse>, Status> {
    let (call, request_id) = read_call(request, command)?;
    let merchant_id = call.merchant.id;
    let cancel = Cancel {
        method: Authorization::METHOD,
        request_id: &request_id,
        by_method: Cancellation::METHOD,
    };
    let cancelled = cancellations.operations.cancel_request(&call, cancel).await;
    let cancelled = cancelled.map_err(|failed| cancellations.failure(&failed, &merchant_id))?;
    let (payment, bank_us) = match cancelled {
        Cancelled::NotSeen => (None, 0),
        Cancelled::WithoutEffect(payment) => (Some(payment), 0),
        Cancelled::TookEffect(payment_id) => {
            let command = CancelPayment { payment_id };
            let concluded = cancellations.perform(call, command).await?;
            (Some(concluded.payment), concluded.bank_us)
        }
    };
    let payment = match payment {
        Some(payment) => views.changed(payment, None).await?,
        None => None,
    };
    let answer = pb::CancelByRequestIdResponse { payment };
    Ok(answered(answer, bank_us))
}

fn command(found: &mut Findings, request: pb::CancelByRequestIdRequest) -> Option<String> {
    let cancelled = request.cancelled_request_id;
    REQUEST_ID.read(found, "cancelled_request_id", cancelled)
}
