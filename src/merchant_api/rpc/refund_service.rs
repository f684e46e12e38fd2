//! RefundService: which file answers which call.

use tonic::{Request, Response, Status, async_trait};

use super::perform::Performer;
use super::{create_refund, get_refund, list_refunds};
use crate::flows::refund::Refund;
use crate::merchant_api::pb;
use crate::merchant_api::pb::refund_service_server::RefundService;
use crate::merchant_api::transport::gate;
use crate::payment::ids::MerchantId;
use crate::shares::{Place, Shares};
use crate::store::Store;

/// The service.
pub(crate) struct RefundsApi {
    /// Refunds payments.
    pub(crate) refunds: Performer<Refund>,
    /// Finds refunds again.
    pub(crate) store: Store,
    /// Lists them.
    pub(crate) listed: Store,
    /// Reads of each merchant at once.
    pub(crate) reads: Shares<MerchantId>,
    /// Its lists, likewise.
    pub(crate) lists: Shares<MerchantId>,
}

impl RefundsApi {
    /// The caller's turn to read.
    async fn turn<T>(&self, request: &Request<T>) -> Result<Place<MerchantId>, Status> {
        let merchant = gate::caller(request)?;
        Ok(self.reads.wait(&merchant.id).await)
    }
}

#[async_trait]
impl RefundService for RefundsApi {
    async fn create_refund(
        &self,
        request: Request<pb::CreateRefundRequest>,
    ) -> Result<Response<pb::CreateRefundResponse>, Status> {
        create_refund::call(&self.refunds, &self.store, request).await
    }

    async fn get_refund(
        &self,
        request: Request<pb::GetRefundRequest>,
    ) -> Result<Response<pb::GetRefundResponse>, Status> {
        let _turn = self.turn(&request).await?;
        get_refund::call(&self.store, request).await
    }

    async fn list_refunds(
        &self,
        request: Request<pb::ListRefundsRequest>,
    ) -> Result<Response<pb::ListRefundsResponse>, Status> {
        let merchant = gate::caller(&request)?;
        let _turn = self.lists.wait(&merchant.id).await;
        list_refunds::call(&self.listed, request).await
    }
}
