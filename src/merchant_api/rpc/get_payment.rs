//! GetPayment: one payment by its id.

use tonic::{Request, Response, Status};

use super::views::PaymentViews;
use crate::grpc::status;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::read::id::payment_id;
use crate::merchant_api::show::errors;
use crate::merchant_api::transport::gate;
use crate::payment::ids::PaymentId;

/// Answers the call.
pub(super) async fn call(
    views: &PaymentViews,
    request: Request<pb::GetPaymentRequest>,
) -> Result<Response<pb::GetPaymentResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let id = read(request.get_ref()).map_err(status::of_invalid_request)?;
    let found = views
        .store
        .payment(&merchant.id, id)
        .await
        .map_err(|error| status::of_unavailable(&error))?
        .ok_or_else(errors::payment_not_found)?;
    Ok(Response::new(pb::GetPaymentResponse {
        payment: views
            .of(vec![found])
            .await
            .map_err(|error| status::of_unavailable(&error))?
            .pop(),
    }))
}

fn read(request: &pb::GetPaymentRequest) -> Result<PaymentId, InvalidRequest> {
    let mut findings = Findings::default();
    let read = payment_id(&mut findings, &request.payment_id);
    findings.finish(read)
}
