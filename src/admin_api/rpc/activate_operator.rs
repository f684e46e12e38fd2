//! ActivateOperator: gives a deactivated operator its access again. Its role may not be above the caller's own.

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call, to_change};
use crate::admin_api::show::operator::operator;
use crate::admin_api::{pb, read};
use crate::payment::ids::OperatorName;
use crate::store::records::callers::OperatorRecord;

/// Answers the call.
pub(super) async fn call(
    audited: &Audited,
    request: Request<pb::ActivateOperatorRequest>,
) -> Result<Response<pb::ActivateOperatorResponse>, Status> {
    let (call, name) = read_call(
        request,
        |findings, request| read::operator_name(findings, &request.name),
        OperatorName::to_string,
    )?;
    let caller_role = call.caller.role;
    let decide = |before: Option<&OperatorRecord>| {
        Ok(OperatorRecord {
            active: true,
            ..to_change(before, caller_role)?
        })
    };
    let answer = |after: &OperatorRecord| pb::ActivateOperatorResponse {
        operator: Some(operator(after)),
    };
    audited.change(call, name, decide, answer).await
}
