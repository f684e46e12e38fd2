//! LedgerService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use super::{list_account_balances, list_journals, verify_ledger};
use crate::admin_api::pb;
use crate::admin_api::pb::ledger_service_server::LedgerService;
use crate::ledger_seals::sealer::LedgerSealer;
use crate::store::Store;

/// The service.
pub(in crate::admin_api) struct LedgerApi {
    pub(in crate::admin_api) store: Store,
    pub(in crate::admin_api) sealer: Arc<LedgerSealer>,
}

#[async_trait]
impl LedgerService for LedgerApi {
    async fn list_account_balances(
        &self,
        request: Request<pb::ListAccountBalancesRequest>,
    ) -> Result<Response<pb::ListAccountBalancesResponse>, Status> {
        list_account_balances::call(&self.store, &request).await
    }

    async fn list_journals(
        &self,
        request: Request<pb::ListJournalsRequest>,
    ) -> Result<Response<pb::ListJournalsResponse>, Status> {
        list_journals::call(&self.store, &request).await
    }

    async fn verify_ledger(
        &self,
        request: Request<pb::VerifyLedgerRequest>,
    ) -> Result<Response<pb::VerifyLedgerResponse>, Status> {
        verify_ledger::call(&self.sealer, &request).await
    }
}
