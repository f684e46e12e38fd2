//! GetRefund: one refund by its id.

use tonic::{Request, Response, Status};

use super::views::settled;
use crate::grpc::status;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::read::id::refund_id;
use crate::merchant_api::show::errors;
use crate::merchant_api::show::refund::refund;
use crate::merchant_api::transport::gate;
use crate::payment::ids::RefundId;
use crate::store::Store;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: Request<pb::GetRefundRequest>,
) -> Result<Response<pb::GetRefundResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let id = read(request.get_ref()).map_err(status::of_invalid_request)?;
    let (found, operation) = store
        .refund(&merchant.id, id)
        .await
        .map_err(|error| status::of_unavailable(&error))?
        .ok_or_else(errors::refund_not_found)?;
    let shown = settled(store, vec![(operation.id, refund(found, &operation))]).await;
    Ok(Response::new(pb::GetRefundResponse {
        refund: shown.map_err(|error| status::of_unavailable(&error))?.pop(),
    }))
}

fn read(request: &pb::GetRefundRequest) -> Result<RefundId, InvalidRequest> {
    let mut findings = Findings::default();
    let read = refund_id(&mut findings, &request.refund_id);
    findings.finish(read)
}
