//! EchoHost: sends an echo on each line of a host.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, done_or, read_call};
use crate::admin_api::lines::HostLines;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::host::echo_results;
use crate::admin_api::{pb, read};
use crate::payment::ids::HostId;

/// Answers the call.
pub(super) async fn call(
    lines: &Arc<dyn HostLines>,
    audited: &Audited,
    request: Request<pb::EchoHostRequest>,
) -> Result<Response<pb::EchoHostResponse>, Status> {
    let (call, host_id) = read_call(
        request,
        |findings, request| read::host_id(findings, &request.host_id),
        HostId::to_string,
    )?;
    let lines = Arc::clone(lines);
    let effect = async move {
        let echoes = lines.echo(host_id).await.ok_or(Refusal::HostNotFound)?;
        let outcome = done_or(echoes.iter().all(Result::is_ok), "NOT_ANSWERED");
        let results = echo_results(echoes);
        Ok((pb::EchoHostResponse { results }, outcome))
    };
    audited.perform(call, effect).await
}
