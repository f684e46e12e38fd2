//! BalanceService: which file answers which call.

use tonic::{Request, Response, Status, async_trait};

use super::{get_balances, list_balance_entries};
use crate::merchant_api::pb;
use crate::merchant_api::pb::balance_service_server::BalanceService;
use crate::merchant_api::transport::gate;
use crate::payment::ids::MerchantId;
use crate::shares::{Place, Shares};
use crate::store::Store;

/// The service.
pub(crate) struct BalancesApi {
    /// Has the ledger.
    pub(crate) store: Store,
    /// Lists that each merchant reads at once.
    pub(crate) lists: Shares<MerchantId>,
}

impl BalancesApi {
    /// The caller's turn to read.
    async fn turn<T>(&self, request: &Request<T>) -> Result<Place<MerchantId>, Status> {
        let merchant = gate::caller(request)?;
        Ok(self.lists.wait(&merchant.id).await)
    }
}

#[async_trait]
impl BalanceService for BalancesApi {
    async fn get_balances(
        &self,
        request: Request<pb::GetBalancesRequest>,
    ) -> Result<Response<pb::GetBalancesResponse>, Status> {
        let _turn = self.turn(&request).await?;
        get_balances::call(&self.store, request).await
    }

    async fn list_balance_entries(
        &self,
        request: Request<pb::ListBalanceEntriesRequest>,
    ) -> Result<Response<pb::ListBalanceEntriesResponse>, Status> {
        let _turn = self.turn(&request).await?;
        list_balance_entries::call(&self.store, request).await
    }
}
