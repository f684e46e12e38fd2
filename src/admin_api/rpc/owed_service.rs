//! OwedService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use super::audited::Audited;
use super::{get_owed, list_owed, resolve_owed, retry_owed};
use crate::admin_api::pb;
use crate::admin_api::pb::owed_service_server::OwedService;
use crate::operations::machine::Operations;
use crate::store::Store;

/// The service.
pub(in crate::admin_api) struct OwedApi {
    pub(in crate::admin_api) store: Store,
    pub(in crate::admin_api) operations: Arc<Operations>,
    pub(in crate::admin_api) audited: Audited,
}

#[async_trait]
impl OwedService for OwedApi {
    async fn list_owed(
        &self,
        request: Request<pb::ListOwedRequest>,
    ) -> Result<Response<pb::ListOwedResponse>, Status> {
        list_owed::call(&self.store, &request).await
    }

    async fn get_owed(
        &self,
        request: Request<pb::GetOwedRequest>,
    ) -> Result<Response<pb::GetOwedResponse>, Status> {
        get_owed::call(&self.store, &request).await
    }

    async fn retry_owed(
        &self,
        request: Request<pb::RetryOwedRequest>,
    ) -> Result<Response<pb::RetryOwedResponse>, Status> {
        retry_owed::call(&self.operations, &self.audited, request).await
    }

    async fn resolve_owed(
        &self,
        request: Request<pb::ResolveOwedRequest>,
    ) -> Result<Response<pb::ResolveOwedResponse>, Status> {
        resolve_owed::call(&self.operations, &self.audited, request).await
    }
}
