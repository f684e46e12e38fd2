//! RotateDataKey: makes a new data key now.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::pb;
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::data_key::data_key;
use crate::admin_api::show::errors::Refusal;
use crate::operations::card_custody::CardCustody;

/// Answers the call.
pub(super) async fn call(
    custody: &Arc<CardCustody>,
    audited: &Audited,
    request: Request<pb::RotateDataKeyRequest>,
) -> Result<Response<pb::RotateDataKeyResponse>, Status> {
    let (call, ()) = read_call(request, |_, _| Some(()), |()| "data keys".to_owned())?;
    let custody = Arc::clone(custody);
    // Boxed: the way to the database makes it large.
    let effect = Box::pin(async move {
        let made = custody.rotate().await;
        let made = made.map_err(|error| Refusal::not_done(&error))?;
        let made = made.ok_or(Refusal::TooManyDataKeys)?;
        let answer = pb::RotateDataKeyResponse {
            data_key: Some(data_key(made)),
        };
        Ok((answer, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}
