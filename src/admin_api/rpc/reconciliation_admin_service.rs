//! ReconciliationAdminService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming, async_trait};

use super::audited::Audited;
use super::{import_statement, list_statement_lines, match_statement_line};
use crate::admin_api::pb;
use crate::admin_api::pb::reconciliation_admin_service_server::ReconciliationAdminService;
use crate::reconciliation::matching::Matching;
use crate::reconciliation::statement_imports::StatementImports;
use crate::store::Store;

/// The service.
pub(in crate::admin_api) struct ReconciliationAdminApi {
    pub(in crate::admin_api) store: Store,
    pub(in crate::admin_api) imports: Arc<StatementImports>,
    pub(in crate::admin_api) matching: Arc<Matching>,
    pub(in crate::admin_api) audited: Audited,
}

#[async_trait]
impl ReconciliationAdminService for ReconciliationAdminApi {
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
