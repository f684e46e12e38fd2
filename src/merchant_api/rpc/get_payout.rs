//! GetPayout: one payout by its id.

use tonic::{Request, Response, Status};

use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::merchant_api::pb;
use crate::merchant_api::read::id::payout_id;
use crate::merchant_api::show::errors;
use crate::merchant_api::show::payout::payout;
use crate::merchant_api::transport::gate;
use crate::store::Store;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: Request<pb::GetPayoutRequest>,
) -> Result<Response<pb::GetPayoutResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let mut findings = Findings::default();
    let id = payout_id(&mut findings, &request.get_ref().payout_id);
    let id = findings.finish(id).map_err(of_invalid_request)?;
    let found = store.payout(&merchant.id, id).await;
    let found = found
        .map_err(|error| of_unavailable(&error))?
        .ok_or_else(errors::payout_not_found)?;
    let paid = store.batches_paid_by(&[id]).await;
    let paid = paid.map_err(|error| of_unavailable(&error))?.remove(&id);
    Ok(Response::new(pb::GetPayoutResponse {
        payout: Some(payout(&found, &paid.unwrap_or_default())),
    }))
}
