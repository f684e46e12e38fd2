//! AddOperator: a new operator, with a role up to the caller's own.

use tonic::{Request, Response, Status};

use super::audited::{Audited, Call};
use crate::admin_api::records::COMMAND_LINE;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::operator::operator;
use crate::admin_api::{gate, pb, read};
use crate::grpc::status::of_invalid_request;
use crate::grpc::violations::Findings;
use crate::store::records::{OperatorRecord, OperatorRole};

/// Answers the call.
pub(super) async fn call(
    audited: &Audited,
    request: Request<pb::AddOperatorRequest>,
) -> Result<Response<pb::AddOperatorResponse>, Status> {
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
    let role = read::role(&mut findings, request.role);
    let ((asked, name), role) = findings
        .finish(asked.zip(name).zip(role))
        .map_err(of_invalid_request)?;
    let added = OperatorRecord {
        name: name.to_string(),
        role,
        active: true,
        created_at: audited.clock.now(),
        created_by: caller.name.clone(),
    };
    let caller_role = caller.role;
    let call = Call {
        caller,
        asked,
        action: "OperatorService.AddOperator",
        target: format!("{name} as {}", role.name()),
    };
    let decide = |before: Option<&OperatorRecord>| {
        if role > caller_role {
            Err(Refusal::RoleTooLow)
        } else if before.is_some() || name.as_str() == COMMAND_LINE {
            Err(Refusal::OperatorExists)
        } else {
            Ok(added.clone())
        }
    };
    let answer = |added: &OperatorRecord| pb::AddOperatorResponse {
        operator: Some(operator(added)),
    };
    audited.change(call, name, decide, answer).await
}
