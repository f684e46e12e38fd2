//! ResolveOwed: ends a debt by what was found out at the bank.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::owed::owed;
use crate::admin_api::{pb, read};
use crate::operations::machine::Operations;
use crate::operations::resolution::OwedResolution;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    operations: &Arc<Operations>,
    audited: &Audited,
    request: Request<pb::ResolveOwedRequest>,
) -> Result<Response<pb::ResolveOwedResponse>, Status> {
    let (call, (id, resolution)) = read_call(
        request,
        |findings, request| {
            let id = read::operation_id(findings, &request.operation_id);
            let resolution = match request.resolution() {
                pb::OwedResolution::Undone => Ok(OwedResolution::Undone),
                pb::OwedResolution::Stands => Ok(OwedResolution::Stands),
                pb::OwedResolution::NeverHappened => Ok(OwedResolution::NeverHappened),
                pb::OwedResolution::Unspecified => Err("none".to_owned()),
            };
            let expected = "undone, stands or never happened";
            let resolution = findings.keep("resolution", expected, resolution);
            id.zip(resolution)
        },
        |(id, _)| id.to_string(),
    )?;
    // Who says that it stands approves the payment.
    let may = resolution != OwedResolution::Stands || call.caller.role >= OperatorRole::Approver;
    let operations = Arc::clone(operations);
    let effect = async move {
        if !may {
            return Err(Refusal::RoleTooLow);
        }
        let ended = Box::pin(operations.resolve_owed(id, resolution)).await?;
        let owed = Some(owed(&ended));
        Ok((pb::ResolveOwedResponse { owed }, AuditOutcome::Done))
    };
    audited.perform(call, effect).await
}
