//! SignOnHost: signs a host's lines on again.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, Call};
use crate::admin_api::lines::{HostLines, named};
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::host::host;
use crate::admin_api::{gate, pb, read};
use crate::grpc::status::of_invalid_request;
use crate::grpc::violations::Findings;
use crate::store::records::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    lines: &Arc<dyn HostLines>,
    audited: &Audited,
    request: Request<pb::SignOnHostRequest>,
) -> Result<Response<pb::SignOnHostResponse>, Status> {
    let caller = gate::caller(&request, OperatorRole::Viewer)?;
    let request = request.into_inner();
    let mut findings = Findings::default();
    let asked = read::asked(
        &mut findings,
        &request,
        &request.request_id,
        &request.reason,
    );
    let host_id = read::host_id(&mut findings, &request.host_id);
    let (asked, host_id) = findings
        .finish(asked.zip(host_id))
        .map_err(of_invalid_request)?;
    let call = Call {
        caller,
        asked,
        action: "HostService.SignOnHost",
        target: host_id.to_string(),
    };
    let lines = Arc::clone(lines);
    let effect = async move {
        let in_time = lines.sign_on(host_id).await;
        let in_time = in_time.ok_or(Refusal::HostNotFound)?;
        let outcome = if in_time {
            AuditOutcome::Done
        } else {
            AuditOutcome::Failed("NOT_IN_TIME".into())
        };
        let host = named(&*lines, host_id).as_ref().map(host);
        Ok((pb::SignOnHostResponse { host }, outcome))
    };
    audited.perform(call, effect).await
}
