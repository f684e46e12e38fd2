//! RetryOwed: sends a suspended message again.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::owed::owed;
use crate::admin_api::{pb, read};
use crate::operations::machine::Operations;
use crate::payment::ids::OperationId;

/// Answers the call.
pub(super) async fn call(
    operations: &Arc<Operations>,
    audited: &Audited,
    request: Request<pb::RetryOwedRequest>,
) -> Result<Response<pb::RetryOwedResponse>, Status> {
    let (call, id) = read_call(
        request,
        |findings, request| read::operation_id(findings, &request.operation_id),
        OperationId::to_string,
    )?;
    let operations = Arc::clone(operations);
    let effect = async move {
        let retried = Box::pin(operations.retry_owed(id)).await?;
        let owed = Some(owed(&retried));
        Ok((pb::RetryOwedResponse { owed }, AuditOutcome::Done))
    };
    audited.perform(call, effect).await
}
