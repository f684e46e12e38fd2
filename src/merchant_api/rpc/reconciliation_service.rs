//! ReconciliationService: which file answers which call.

use tonic::{Request, Response, Status, async_trait};

use super::{
    get_discrepancy, get_reconciliation_run, list_discrepancies, list_reconciliation_runs,
};
use crate::merchant_api::pb;
use crate::merchant_api::pb::reconciliation_service_server::ReconciliationService;
use crate::merchant_api::transport::gate;
use crate::payment::ids::MerchantId;
use crate::shares::{Place, Shares};
use crate::store::Store;

/// The service.
pub(crate) struct ReconciliationApi {
    /// Has the discrepancies.
    pub(crate) store: Store,
    /// Lists that each merchant reads at once.
    pub(crate) lists: Shares<MerchantId>,
}

impl ReconciliationApi {
    /// The caller's turn to read.
    async fn turn<T>(&self, request: &Request<T>) -> Result<Place<MerchantId>, Status> {
        let merchant = gate::caller(request)?;
        Ok(self.lists.wait(&merchant.id).await)
    }
}

#[async_trait]
impl ReconciliationService for ReconciliationApi {
    async fn get_reconciliation_run(
        &self,
        request: Request<pb::GetReconciliationRunRequest>,
    ) -> Result<Response<pb::GetReconciliationRunResponse>, Status> {
        let _turn = self.turn(&request).await?;
        get_reconciliation_run::call(&self.store, request).await
    }

    async fn list_reconciliation_runs(
        &self,
        request: Request<pb::ListReconciliationRunsRequest>,
    ) -> Result<Response<pb::ListReconciliationRunsResponse>, Status> {
        let _turn = self.turn(&request).await?;
        list_reconciliation_runs::call(&self.store, request).await
    }

    async fn get_discrepancy(
        &self,
        request: Request<pb::GetDiscrepancyRequest>,
    ) -> Result<Response<pb::GetDiscrepancyResponse>, Status> {
        let _turn = self.turn(&request).await?;
        get_discrepancy::call(&self.store, request).await
    }

    async fn list_discrepancies(
        &self,
        request: Request<pb::ListDiscrepanciesRequest>,
    ) -> Result<Response<pb::ListDiscrepanciesResponse>, Status> {
        let _turn = self.turn(&request).await?;
        list_discrepancies::call(&self.store, request).await
    }
}
