//! AddSealingKey: makes a key that is not published yet.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::pb;
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::sealing_keys::{KeyStep, SealingKeyBook};
use crate::admin_api::show::sealing_key::sealing_key;
use crate::card::header::Algorithm;

/// Answers the call.
pub(super) async fn call(
    keys: &Arc<SealingKeyBook>,
    audited: &Audited,
    request: Request<pb::AddSealingKeyRequest>,
) -> Result<Response<pb::AddSealingKeyResponse>, Status> {
    let (call, algorithm) = read_call(
        request,
        |_, request| match request.rsa {
            true => Some(Algorithm::RsaOaep256),
            false => Some(Algorithm::EcdhEs),
        },
        |algorithm| algorithm.name().to_owned(),
    )?;
    let keys = Arc::clone(keys);
    // Boxed: the way to the database makes it large.
    let effect = Box::pin(async move {
        let sealing_key = keys.step(KeyStep::Add(algorithm)).await?.map(sealing_key);
        let answer = pb::AddSealingKeyResponse { sealing_key };
        Ok((answer, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}
