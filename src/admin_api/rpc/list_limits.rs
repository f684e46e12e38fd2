//! ListLimits: the limits of the settings.

use tonic::{Request, Response, Status};

use crate::admin_api::show::risk::limit;
use crate::admin_api::{gate, pb};
use crate::risk::limits::Limits;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) fn call(
    limits: &Limits,
    request: &Request<pb::ListLimitsRequest>,
) -> Result<Response<pb::ListLimitsResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let declined = limits.declined().map(|(_, declined)| declined);
    let limits = limits.settings().zip(declined);
    Ok(Response::new(pb::ListLimitsResponse {
        limits: limits.map(|(it, declined)| limit(it, declined)).collect(),
    }))
}
