//! RiskService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use super::audited::Audited;
use super::{get_counts, list_limits, release_counts};
use crate::admin_api::pb;
use crate::admin_api::pb::risk_service_server::RiskService;
use crate::clock::Clock;
use crate::risk::exchange::CountExchange;
use crate::risk::limits::Limits;
use crate::store::Store;

/// The service.
pub(in crate::admin_api) struct RiskApi {
    pub(in crate::admin_api) limits: Arc<Limits>,
    pub(in crate::admin_api) counts: Arc<CountExchange>,
    pub(in crate::admin_api) store: Store,
    pub(in crate::admin_api) clock: Arc<dyn Clock>,
    pub(in crate::admin_api) audited: Audited,
}

#[async_trait]
impl RiskService for RiskApi {
    async fn list_limits(
        &self,
        request: Request<pb::ListLimitsRequest>,
    ) -> Result<Response<pb::ListLimitsResponse>, Status> {
        list_limits::call(&self.limits, &request)
    }

    async fn get_counts(
        &self,
        request: Request<pb::GetCountsRequest>,
    ) -> Result<Response<pb::GetCountsResponse>, Status> {
        let now = self.clock.now();
        get_counts::call(&self.limits, &self.store, now, &request).await
    }

    async fn release_counts(
        &self,
        request: Request<pb::ReleaseCountsRequest>,
    ) -> Result<Response<pb::ReleaseCountsResponse>, Status> {
        release_counts::call(&self.counts, &self.store, &self.audited, request).await
    }
}
