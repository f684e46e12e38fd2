//! SealingService: the public keys to seal cards to, and session keys.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use super::from_proto;
use super::gate;
use super::pb;
use super::pb::sealing_service_server::SealingService;
use super::to_proto::{self, status};
use crate::card::envelope::Opener;
use crate::clock::Clock;

/// The service.
pub(super) struct SealingApi {
    opener: Arc<Opener>,
    clock: Arc<dyn Clock>,
}

impl SealingApi {
    pub(super) fn new(opener: Arc<Opener>, clock: Arc<dyn Clock>) -> Self {
        Self { opener, clock }
    }
}

#[async_trait]
impl SealingService for SealingApi {
    async fn get_sealing_keys(
        &self,
        request: Request<pb::GetSealingKeysRequest>,
    ) -> Result<Response<pb::GetSealingKeysResponse>, Status> {
        gate::caller(&request)?;
        Ok(Response::new(pb::GetSealingKeysResponse {
            jwks: self.opener.jwks(),
        }))
    }

    async fn create_sealing_session(
        &self,
        request: Request<pb::CreateSealingSessionRequest>,
    ) -> Result<Response<pb::CreateSealingSessionResponse>, Status> {
        let merchant = gate::caller(&request)?;
        let sealed = from_proto::sealed_session_key(request.into_inner())
            .map_err(status::of_invalid_request)?;
        let session = self
            .opener
            .open_session(&sealed, &merchant.id, self.clock.now())
            .map_err(|_| status::sealed_card_refused())?;
        Ok(Response::new(to_proto::sealing_session(session)))
    }
}
