//! GetDiscrepancy: one discrepancy by its id, with its evidence and what was done about it.

use tonic::{Request, Response, Status};

use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::merchant_api::pb;
use crate::merchant_api::read::id::discrepancy_id;
use crate::merchant_api::show::discrepancy::followed as shown;
use crate::merchant_api::show::errors;
use crate::merchant_api::transport::gate;
use crate::reconciliation::discrepancies::{DiscrepancyError, followed};
use crate::store::Store;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: Request<pb::GetDiscrepancyRequest>,
) -> Result<Response<pb::GetDiscrepancyResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let mut findings = Findings::default();
    let id = discrepancy_id(&mut findings, &request.get_ref().discrepancy_id);
    let id = findings.finish(id).map_err(of_invalid_request)?;
    let found = followed(store, &id, Some(&merchant.id)).await;
    let found = found.map_err(|error| match error {
        DiscrepancyError::Store(error) => of_unavailable(&error),
        _ => errors::discrepancy_not_found(),
    })?;
    Ok(Response::new(pb::GetDiscrepancyResponse {
        discrepancy: Some(shown(&found)),
    }))
}
