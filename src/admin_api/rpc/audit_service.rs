//! AuditService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use super::list_audit_entries;
use crate::admin_api::pb;
use crate::admin_api::pb::audit_service_server::AuditService;
use crate::admin_api::records::OperatorRecords;

/// The service.
pub(in crate::admin_api) struct AuditApi {
    pub(in crate::admin_api) records: Arc<dyn OperatorRecords>,
}

#[async_trait]
impl AuditService for AuditApi {
    async fn list_audit_entries(
        &self,
        request: Request<pb::ListAuditEntriesRequest>,
    ) -> Result<Response<pb::ListAuditEntriesResponse>, Status> {
        list_audit_entries::call(&*self.records, &request).await
    }
}
