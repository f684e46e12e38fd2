//! SignOnHost: signs a host's lines on again.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, done_or, read_call};
use crate::admin_api::lines::{HostLines, named};
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::host::host;
use crate::admin_api::{pb, read};
use crate::payment::ids::HostId;

/// Answers the call.
pub(super) async fn call(
    lines: &Arc<dyn HostLines>,
    audited: &Audited,
    request: Request<pb::SignOnHostRequest>,
) -> Result<Response<pb::SignOnHostResponse>, Status> {
    let (call, host_id) = read_call(
        request,
        |findings, request| read::host_id(findings, &request.host_id),
        HostId::to_string,
    )?;
    let lines = Arc::clone(lines);
    let effect = async move {
        let in_time = lines.sign_on(host_id).await;
        let in_time = in_time.ok_or(Refusal::HostNotFound)?;
        let host = named(&*lines, host_id).as_ref().map(host);
        Ok((
            pb::SignOnHostResponse { host },
            done_or(in_time, "NOT_IN_TIME"),
        ))
    };
    audited.perform(call, effect).await
}
