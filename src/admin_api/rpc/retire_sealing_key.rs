//! RetireSealingKey: removes a key that nobody seals to any more.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::sealing_keys::{KeyStep, SealingKeyBook};
use crate::admin_api::show::sealing_key::sealing_key;
use crate::admin_api::{pb, read};
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    keys: &Arc<SealingKeyBook>,
    audited: &Audited,
    request: Request<pb::RetireSealingKeyRequest>,
) -> Result<Response<pb::RetireSealingKeyResponse>, Status> {
    let (mut call, (kid, anyway)) = read_call(
        request,
        |findings, request| {
            let kid = read::kid(findings, &request.kid);
            kid.map(|kid| (kid, request.anyway))
        },
        |(kid, anyway)| match anyway {
            true => format!("{kid} ANYWAY"),
            false => kid.clone(),
        },
    )?;
    if anyway {
        // Cards may be refused.
        call.least_role = OperatorRole::Approver;
    }
    let keys = Arc::clone(keys);
    // Boxed: the way to the database makes it large.
    let effect = Box::pin(async move {
        let retired = keys.step(KeyStep::Retire { kid, anyway }).await?;
        let sealing_key = retired.map(sealing_key);
        let answer = pb::RetireSealingKeyResponse { sealing_key };
        Ok((answer, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}
