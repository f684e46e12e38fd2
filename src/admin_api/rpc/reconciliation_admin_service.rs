//! ReconciliationAdminService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming, async_trait};

use super::audited::Audited;
use super::{
    get_discrepancy, import_statement, list_discrepancies, list_report_lines, list_statement_lines,
    match_statement_line, resolve_discrepancy,
};
use crate::admin_api::pb;
use crate::admin_api::pb::reconciliation_admin_service_server::ReconciliationAdminService;
use crate::reconciliation::discrepancies::Discrepancies;
use crate::reconciliation::statement_imports::StatementImports;
use crate::reconciliation::statement_matching::Matching;
use crate::store::Store;

/// The service.
pub(in crate::admin_api) struct ReconciliationAdminApi {
    pub(in crate::admin_api) discrepancies: Arc<Discrepancies>,
    pub(in crate::admin_api) store: Store,
    pub(in crate::admin_api) imports: Arc<StatementImports>,
    pub(in crate::admin_api) matching: Arc<Matching>,
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

    async fn import_statement(
        &self,
        request: Request<Streaming<pb::ImportStatementRequest>>,
    ) -> Result<Response<pb::ImportStatementResponse>, Status> {
        import_statement::call(&self.imports, &self.audited, request).await
    }

    async fn list_statement_lines(
        &self,
        request: Request<pb::ListStatementLinesRequest>,
    ) -> Result<Response<pb::ListStatementLinesResponse>, Status> {
        list_statement_lines::call(&self.store, &self.imports, &request).await
    }

    async fn match_statement_line(
        &self,
        request: Request<pb::MatchStatementLineRequest>,
    ) -> Result<Response<pb::MatchStatementLineResponse>, Status> {
        match_statement_line::call(&self.matching, &self.audited, request).await
    }
}
