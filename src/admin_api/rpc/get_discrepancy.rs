//! GetDiscrepancy: one discrepancy with its evidence and what was done about it.

use tonic::{Request, Response, Status};

use crate::admin_api::read::discrepancy_id;
use crate::admin_api::show::discrepancy::followed;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::{gate, pb};
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::reconciliation::discrepancies::{Discrepancies, DiscrepancyError};
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    discrepancies: &Discrepancies,
    request: &Request<pb::GetDiscrepancyRequest>,
) -> Result<Response<pb::GetDiscrepancyResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let mut findings = Findings::default();
    let id = discrepancy_id(&mut findings, &request.get_ref().discrepancy_id);
    let id = findings.finish(id).map_err(of_invalid_request)?;
    let found = discrepancies
        .follow(&id)
        .await
        .map_err(|error| match error {
            DiscrepancyError::Store(error) => of_unavailable(&error),
            error => Refusal::from(error).status(),
        })?;
    Ok(Response::new(pb::GetDiscrepancyResponse {
        discrepancy: Some(followed(&found)),
    }))
}
