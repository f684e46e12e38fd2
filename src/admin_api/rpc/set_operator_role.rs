//! SetOperatorRole: another role, neither it nor the one before above the caller's own.

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call, to_change};
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::operator::operator;
use crate::admin_api::{pb, read};
use crate::store::records::callers::OperatorRecord;

/// Answers the call.
pub(super) async fn call(
    audited: &Audited,
    request: Request<pb::SetOperatorRoleRequest>,
) -> Result<Response<pb::SetOperatorRoleResponse>, Status> {
    let (call, (name, role)) = read_call(
        request,
        |findings, request| {
            let name = read::operator_name(findings, &request.name);
            name.zip(read::role(findings, request.role))
        },
        |(name, role)| format!("{name} as {}", role.name()),
    )?;
    let caller_role = call.caller.role;
    let decide = |before: Option<&OperatorRecord>| {
        let before = to_change(before, caller_role)?;
        if role > caller_role {
            return Err(Refusal::RoleTooLow);
        }
        Ok(OperatorRecord { role, ..before })
    };
    let answer = |after: &OperatorRecord| pb::SetOperatorRoleResponse {
        operator: Some(operator(after)),
    };
    audited.change(call, name, decide, answer).await
}
