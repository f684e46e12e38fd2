//! PayoutAdminService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming, async_trait};

use super::audited::Audited;
use super::{make_payouts, notify_payouts, refuse_order};
use crate::admin_api::pb;
use crate::admin_api::pb::payout_admin_service_server::PayoutAdminService;
use crate::hosts::Hosts;
use crate::settlement::payout_notices::PayoutNotices;
use crate::settlement::payouts::Payouts;

/// The service.
pub(in crate::admin_api) struct PayoutAdminApi {
    pub(in crate::admin_api) payouts: Arc<Payouts>,
    pub(in crate::admin_api) notices: Arc<PayoutNotices>,
    pub(in crate::admin_api) hosts: Arc<Hosts>,
    pub(in crate::admin_api) audited: Audited,
}

#[async_trait]
impl PayoutAdminService for PayoutAdminApi {
    async fn make_payouts(
        &self,
        request: Request<pb::MakePayoutsRequest>,
    ) -> Result<Response<pb::MakePayoutsResponse>, Status> {
        make_payouts::call(&self.payouts, &self.audited, request).await
    }

    async fn notify_payouts(
        &self,
        request: Request<Streaming<pb::NotifyPayoutsRequest>>,
    ) -> Result<Response<pb::NotifyPayoutsResponse>, Status> {
        let is_host = |name: &str| self.hosts.ids().any(|host| host.as_str() == name);
        notify_payouts::call(&self.notices, is_host, &self.audited, request).await
    }

    async fn refuse_order(
        &self,
        request: Request<pb::RefuseOrderRequest>,
    ) -> Result<Response<pb::RefuseOrderResponse>, Status> {
        refuse_order::call(&self.notices, &self.audited, request).await
    }
}
