//! SealingService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use super::{create_sealing_session, get_sealing_keys};
use crate::card::envelope::Opener;
use crate::clock::Clock;
use crate::config::environment::Environment;
use crate::merchant_api::pb;
use crate::merchant_api::pb::sealing_service_server::SealingService;

/// The service.
pub(crate) struct SealingApi {
    /// Whether this is a test environment.
    pub(crate) environment: Environment,
    /// Opens sealed session keys.
    pub(crate) opener: Arc<Opener>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl SealingService for SealingApi {
    async fn get_sealing_keys(
        &self,
        request: Request<pb::GetSealingKeysRequest>,
    ) -> Result<Response<pb::GetSealingKeysResponse>, Status> {
        get_sealing_keys::call(&self.opener, &request)
    }

    async fn create_sealing_session(
        &self,
        request: Request<pb::CreateSealingSessionRequest>,
    ) -> Result<Response<pb::CreateSealingSessionResponse>, Status> {
        create_sealing_session::call(&self.opener, &*self.clock, self.environment, request)
    }
}
