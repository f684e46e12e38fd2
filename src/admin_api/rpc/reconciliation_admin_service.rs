//! ReconciliationAdminService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use super::audited::Audited;
use super::{get_discrepancy, list_discrepancies, list_report_lines, resolve_discrepancy};
use crate::admin_api::pb;
use crate::admin_api::pb::reconciliation_admin_service_server::ReconciliationAdminService;
use crate::reconciliation::discrepancies::Discrepancies;

/// The service.
pub(in crate::admin_api) struct ReconciliationAdminApi {
    pub(in crate::admin_api) discrepancies: Arc<Discrepancies>,
    pub(in crate::admin_api) audited: Audited,
}

#[async_trait]
impl ReconciliationAdminService for ReconciliationAdminApi {
    async fn list_discrepancies(
        &self,
        request: Request<pb::ListDiscrepanciesRequest>,
    ) -> Result<Response<pb::ListDiscrepanciesResponse>, Status> {
        list_discrepancies::call(&self.discrepancies, &request).await
    }

    async fn get_discrepancy(
        &self,
        request: Request<pb::GetDiscrepancyRequest>,
    ) -> Result<Response<pb::GetDiscrepancyResponse>, Status> {
        get_discrepancy::call(&self.discrepancies, &request).await
    }

    async fn resolve_discrepancy(
        &self,
        request: Request<pb::ResolveDiscrepancyRequest>,
    ) -> Result<Response<pb::ResolveDiscrepancyResponse>, Status> {
        resolve_discrepancy::call(&self.discrepancies, &self.audited, request).await
    }

    async fn list_report_lines(
        &self,
        request: Request<pb::ListReportLinesRequest>,
    ) -> Result<Response<pb::ListReportLinesResponse>, Status> {
        list_report_lines::call(&self.discrepancies, &request).await
    }
}
