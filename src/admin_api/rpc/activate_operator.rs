//! ActivateOperator: gives a deactivated operator its access again. Its role may not be above the caller's own.

use tonic::{Request, Response, Status};

use super::audited::{Audited, Call};
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::operator::operator;
use crate::admin_api::{gate, pb, read};
use crate::grpc::status::of_invalid_request;
use crate::grpc::violations::Findings;
use crate::store::records::{OperatorRecord, OperatorRole};

/// Answers the call.
pub(super) async fn call(
    audited: &Audited,
    request: Request<pb::ActivateOperatorRequest>,
) -> Result<Response<pb::ActivateOperatorResponse>, Status> {
    let caller = gate::caller(&request, OperatorRole::Viewer)?;
    let request = request.into_inner();
    let mut findings = Findings::default();
    let asked = read::asked(
        &mut findings,
        &request,
        &request.request_id,
        &request.reason,
    );
    let name = read::operator_name(&mut findings, &request.name);
    let (asked, name) = findings
        .finish(asked.zip(name))
        .map_err(of_invalid_request)?;
    let caller_role = caller.role;
    let call = Call {
        caller,
        asked,
        action: "OperatorService.ActivateOperator",
        target: name.to_string(),
    };
    let decide = |before: Option<&OperatorRecord>| {
        let before = before.ok_or(Refusal::OperatorNotFound)?;
        if before.role > caller_role {
            return Err(Refusal::RoleTooLow);
        }
        Ok(OperatorRecord {
            active: true,
            ..before.clone()
        })
    };
    let answer = |after: &OperatorRecord| pb::ActivateOperatorResponse {
        operator: Some(operator(after)),
    };
    audited.change(call, name, decide, answer).await
}
