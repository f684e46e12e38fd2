//! ListSealingKeys: the keys that cards are sealed to.

use tonic::{Request, Response, Status};

use crate::admin_api::sealing_keys::{KeyBookError, SealingKeyBook};
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::sealing_key::sealing_key;
use crate::admin_api::{gate, pb};
use crate::grpc::status::of_unavailable;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    keys: &SealingKeyBook,
    request: &Request<pb::ListSealingKeysRequest>,
) -> Result<Response<pb::ListSealingKeysResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let listed = keys.list().await;
    let listed = listed.map_err(|error| match error {
        KeyBookError::Store(error) => of_unavailable(&error),
        error => Refusal::from(error).status(),
    })?;
    Ok(Response::new(pb::ListSealingKeysResponse {
        sealing_keys: listed.into_iter().map(sealing_key).collect(),
    }))
}
