//! MerchantService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use super::audited::Audited;
use super::{
    cancel_payout_account, confirm_payout_account, get_merchant_terms, list_payout_account_changes,
    propose_payout_account, set_fee_plan, set_merchant_details, set_payout_plan,
};
use crate::admin_api::pb;
use crate::admin_api::pb::merchant_service_server::MerchantService;
use crate::settlement::merchant_terms::MerchantTerms;

/// The service.
pub(in crate::admin_api) struct MerchantApi {
    pub(in crate::admin_api) terms: Arc<MerchantTerms>,
    pub(in crate::admin_api) audited: Audited,
}

#[async_trait]
impl MerchantService for MerchantApi {
    async fn get_merchant_terms(
        &self,
        request: Request<pb::GetMerchantTermsRequest>,
    ) -> Result<Response<pb::GetMerchantTermsResponse>, Status> {
        get_merchant_terms::call(&self.terms, &request).await
    }

    async fn set_fee_plan(
        &self,
        request: Request<pb::SetFeePlanRequest>,
    ) -> Result<Response<pb::SetFeePlanResponse>, Status> {
        set_fee_plan::call(&self.terms, &self.audited, request).await
    }

    async fn set_payout_plan(
        &self,
        request: Request<pb::SetPayoutPlanRequest>,
    ) -> Result<Response<pb::SetPayoutPlanResponse>, Status> {
        set_payout_plan::call(&self.terms, &self.audited, request).await
    }

    async fn set_merchant_details(
        &self,
        request: Request<pb::SetMerchantDetailsRequest>,
    ) -> Result<Response<pb::SetMerchantDetailsResponse>, Status> {
        set_merchant_details::call(&self.terms, &self.audited, request).await
    }

    async fn propose_payout_account(
        &self,
        request: Request<pb::ProposePayoutAccountRequest>,
    ) -> Result<Response<pb::ProposePayoutAccountResponse>, Status> {
        propose_payout_account::call(&self.terms, &self.audited, request).await
    }

    async fn confirm_payout_account(
        &self,
        request: Request<pb::ConfirmPayoutAccountRequest>,
    ) -> Result<Response<pb::ConfirmPayoutAccountResponse>, Status> {
        confirm_payout_account::call(&self.terms, &self.audited, request).await
    }

    async fn cancel_payout_account(
        &self,
        request: Request<pb::CancelPayoutAccountRequest>,
    ) -> Result<Response<pb::CancelPayoutAccountResponse>, Status> {
        cancel_payout_account::call(&self.terms, &self.audited, request).await
    }

    async fn list_payout_account_changes(
        &self,
        request: Request<pb::ListPayoutAccountChangesRequest>,
    ) -> Result<Response<pb::ListPayoutAccountChangesResponse>, Status> {
        list_payout_account_changes::call(&self.terms, &request).await
    }
}
