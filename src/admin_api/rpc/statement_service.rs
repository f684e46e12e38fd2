//! StatementService: which file answers which call.

use tonic::{Request, Response, Status, async_trait};

use super::write_statement;
use crate::admin_api::pb;
use crate::admin_api::pb::statement_service_server::StatementService;
use crate::store::Store;

/// The service.
pub(in crate::admin_api) struct StatementApi {
    pub(in crate::admin_api) store: Store,
}

#[async_trait]
impl StatementService for StatementApi {
    type WriteStatementStream = write_statement::Parts;

    async fn write_statement(
        &self,
        request: Request<pb::WriteStatementRequest>,
    ) -> Result<Response<Self::WriteStatementStream>, Status> {
        write_statement::call(&self.store, &request).await
    }
}
