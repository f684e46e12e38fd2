//! ListHosts: the hosts and their lines.

use tonic::{Request, Response, Status};

use crate::admin_api::gate;
use crate::admin_api::lines::HostLines;
use crate::admin_api::pb;
use crate::admin_api::show::host::host;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) fn call(
    lines: &dyn HostLines,
    request: &Request<pb::ListHostsRequest>,
) -> Result<Response<pb::ListHostsResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let hosts = lines.hosts();
    Ok(Response::new(pb::ListHostsResponse {
        hosts: hosts.iter().map(host).collect(),
    }))
}
