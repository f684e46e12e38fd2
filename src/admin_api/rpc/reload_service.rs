//! ReloadService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use super::audited::Audited;
use super::reload;
use crate::admin_api::pb;
use crate::admin_api::pb::reload_service_server::ReloadService;
use crate::reloading::Reloading;

/// The service.
pub(in crate::admin_api) struct ReloadApi {
    pub(in crate::admin_api) reloading: Arc<Reloading>,
    pub(in crate::admin_api) audited: Audited,
}

#[async_trait]
impl ReloadService for ReloadApi {
    async fn reload(
        &self,
        request: Request<pb::ReloadRequest>,
    ) -> Result<Response<pb::ReloadResponse>, Status> {
        reload::call(&self.reloading, &self.audited, request).await
    }
}
