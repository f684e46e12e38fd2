//! DestroyExpiredDataKeys: destroys the data keys that have ended.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::pb;
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::errors::Refusal;
use crate::operations::card_custody::CardCustody;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    custody: &Arc<CardCustody>,
    audited: &Audited,
    request: Request<pb::DestroyExpiredDataKeysRequest>,
) -> Result<Response<pb::DestroyExpiredDataKeysResponse>, Status> {
    let (mut call, ()) = read_call(request, |_, _| Some(()), |()| "data keys".to_owned())?;
    call.least_role = OperatorRole::Approver;
    let custody = Arc::clone(custody);
    // Boxed: the way to the database makes it large.
    let effect = Box::pin(async move {
        let destroyed = custody.destroy_expired().await;
        let destroyed = destroyed.map_err(|error| Refusal::not_done(&error))?;
        let answer = pb::DestroyExpiredDataKeysResponse {
            destroyed_count: i64::try_from(destroyed.len()).unwrap_or(i64::MAX),
        };
        Ok((answer, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}
