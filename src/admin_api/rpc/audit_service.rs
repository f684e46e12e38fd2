//! AuditService: which file answers which call.

use tonic::{Request, Response, Status, async_trait};

use super::list_audit_entries;
use crate::admin_api::pb;
use crate::admin_api::pb::audit_service_server::AuditService;
use crate::store::Store;

/// The service.
pub(in crate::admin_api) struct AuditApi {
    pub(in crate::admin_api) store: Store,
}

#[async_trait]
impl AuditService for AuditApi {
    async fn list_audit_entries(
        &self,
        request: Request<pb::ListAuditEntriesRequest>,
    ) -> Result<Response<pb::ListAuditEntriesResponse>, Status> {
        list_audit_entries::call(&self.store, &request).await
    }
}
