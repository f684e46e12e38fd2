//! EchoHost: sends an echo on each line of a host.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, Call};
use crate::admin_api::lines::HostLines;
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::host::echo_results;
use crate::admin_api::{gate, pb, read};
use crate::grpc::status::of_invalid_request;
use crate::grpc::violations::Findings;
use crate::store::records::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    lines: &Arc<dyn HostLines>,
    audited: &Audited,
    request: Request<pb::EchoHostRequest>,
) -> Result<Response<pb::EchoHostResponse>, Status> {
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
        action: "HostService.EchoHost",
        target: host_id.to_string(),
    };
    let lines = Arc::clone(lines);
    let effect = async move {
        let echoes = lines.echo(host_id).await.ok_or(Refusal::HostNotFound)?;
        let outcome = if echoes.iter().all(Result::is_ok) {
            AuditOutcome::Done
        } else {
            AuditOutcome::Failed("NOT_ANSWERED".into())
        };
        let results = echo_results(echoes);
        Ok((pb::EchoHostResponse { results }, outcome))
    };
    audited.perform(call, effect).await
}
