//! AddOperator: a new operator, with a role up to the caller's own.

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::records::COMMAND_LINE;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::operator::operator;
use crate::admin_api::{pb, read};
use crate::store::records::callers::{BY_ITSELF, OperatorRecord};

/// Answers the call.
pub(super) async fn call(
    audited: &Audited,
    request: Request<pb::AddOperatorRequest>,
) -> Result<Response<pb::AddOperatorResponse>, Status> {
    let (call, (name, role)) = read_call(
        request,
        |findings, request| {
            let name = read::operator_name(findings, &request.name);
            name.zip(read::role(findings, request.role))
        },
        |(name, role)| format!("{name} as {}", role.name()),
    )?;
    let caller_role = call.caller.role;
    let added = OperatorRecord {
        name: name.to_string(),
        role,
        active: true,
        created_at: audited.clock.now(),
        created_by: call.caller.name.clone(),
    };
    let decide = |before: Option<&OperatorRecord>| {
        if role > caller_role {
            Err(Refusal::RoleTooLow)
        } else if before.is_some() || [COMMAND_LINE, BY_ITSELF].contains(&name.as_str()) {
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
