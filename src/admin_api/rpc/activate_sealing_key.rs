//! ActivateSealingKey: publishes a key in place of the one before.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::sealing_keys::{KeyStep, SealingKeyBook};
use crate::admin_api::show::sealing_key::sealing_key;
use crate::admin_api::{pb, read};

/// Answers the call.
pub(super) async fn call(
    keys: &Arc<SealingKeyBook>,
    audited: &Audited,
    request: Request<pb::ActivateSealingKeyRequest>,
) -> Result<Response<pb::ActivateSealingKeyResponse>, Status> {
    let (call, kid) = read_call(
        request,
        |findings, request| read::kid(findings, &request.kid),
        String::clone,
    )?;
    let keys = Arc::clone(keys);
    // Boxed: the way to the database makes it large.
    let effect = Box::pin(async move {
        let sealing_key = keys.step(KeyStep::Activate(kid)).await?.map(sealing_key);
        let answer = pb::ActivateSealingKeyResponse { sealing_key };
        Ok((answer, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}
