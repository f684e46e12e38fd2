//! GetSealingKeys: the public keys to seal cards to.

use tonic::{Request, Response, Status};

use crate::card::envelope::Opener;
use crate::merchant_api::pb;
use crate::merchant_api::transport::gate;

/// Answers the call.
pub(super) fn call(
    opener: &Opener,
    request: &Request<pb::GetSealingKeysRequest>,
) -> Result<Response<pb::GetSealingKeysResponse>, Status> {
    gate::caller(request)?;
    Ok(Response::new(pb::GetSealingKeysResponse {
        jwks: opener.jwks(),
    }))
}
