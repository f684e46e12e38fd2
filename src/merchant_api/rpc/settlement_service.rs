//! SettlementService: which file answers which call.

use tonic::{Request, Response, Status, async_trait};

use super::{
    get_payout, get_settlement_batch, list_payouts, list_settlement_batches, list_settlement_notes,
};
use crate::merchant_api::pb;
use crate::merchant_api::pb::settlement_service_server::SettlementService;
use crate::merchant_api::transport::gate;
use crate::payment::ids::MerchantId;
use crate::shares::{Place, Shares};
use crate::store::Store;

/// The service.
pub(crate) struct SettlementApi {
    /// Has the batches.
    pub(crate) store: Store,
    /// Lists that each merchant reads at once.
    pub(crate) lists: Shares<MerchantId>,
}

impl SettlementApi {
    /// The caller's turn to read.
    async fn turn<T>(&self, request: &Request<T>) -> Result<Place<MerchantId>, Status> {
        let merchant = gate::caller(request)?;
        Ok(self.lists.wait(&merchant.id).await)
    }
}

#[async_trait]
impl SettlementService for SettlementApi {
    async fn get_settlement_batch(
        &self,
        request: Request<pb::GetSettlementBatchRequest>,
    ) -> Result<Response<pb::GetSettlementBatchResponse>, Status> {
        let _turn = self.turn(&request).await?;
        get_settlement_batch::call(&self.store, request).await
    }

    async fn list_settlement_batches(
        &self,
        request: Request<pb::ListSettlementBatchesRequest>,
    ) -> Result<Response<pb::ListSettlementBatchesResponse>, Status> {
        let _turn = self.turn(&request).await?;
        list_settlement_batches::call(&self.store, request).await
    }

    async fn list_settlement_notes(
        &self,
        request: Request<pb::ListSettlementNotesRequest>,
    ) -> Result<Response<pb::ListSettlementNotesResponse>, Status> {
        let _turn = self.turn(&request).await?;
        list_settlement_notes::call(&self.store, request).await
    }

    async fn get_payout(
        &self,
        request: Request<pb::GetPayoutRequest>,
    ) -> Result<Response<pb::GetPayoutResponse>, Status> {
        let _turn = self.turn(&request).await?;
        get_payout::call(&self.store, request).await
    }

    async fn list_payouts(
        &self,
        request: Request<pb::ListPayoutsRequest>,
    ) -> Result<Response<pb::ListPayoutsResponse>, Status> {
        let _turn = self.turn(&request).await?;
        list_payouts::call(&self.store, request).await
    }
}
