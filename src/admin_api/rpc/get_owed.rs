//! GetOwed: one message that is owed.

use tonic::{Request, Response, Status};

use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::owed::owed;
use crate::admin_api::{gate, pb, read};
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::store::Store;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: &Request<pb::GetOwedRequest>,
) -> Result<Response<pb::GetOwedResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let mut findings = Findings::default();
    let text = &request.get_ref().operation_id;
    let read = read::operation_id(&mut findings, text);
    let id = findings.finish(read).map_err(of_invalid_request)?;
    let found = store.operation(id).await;
    let found = found.map_err(|error| of_unavailable(&error))?;
    let found = found.ok_or_else(|| Refusal::NotOwed.status())?;
    let is_owed = store.is_owed_or_waits(&found).await;
    if !is_owed.map_err(|error| of_unavailable(&error))? {
        return Err(Refusal::NotOwed.status());
    }
    Ok(Response::new(pb::GetOwedResponse {
        owed: Some(owed(&found)),
    }))
}
