//! ExplainService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use super::explain_payment;
use crate::admin_api::pb;
use crate::admin_api::pb::explain_service_server::ExplainService;
use crate::clock::Clock;
use crate::hosts::Hosts;
use crate::store::Store;

/// The service.
pub(in crate::admin_api) struct ExplainApi {
    pub(in crate::admin_api) store: Store,
    pub(in crate::admin_api) hosts: Arc<Hosts>,
    pub(in crate::admin_api) clock: Arc<dyn Clock>,
}

#[async_trait]
impl ExplainService for ExplainApi {
    async fn explain_payment(
        &self,
        request: Request<pb::ExplainPaymentRequest>,
    ) -> Result<Response<pb::ExplainPaymentResponse>, Status> {
        explain_payment::call(&self.store, &self.hosts, &*self.clock, &request).await
    }
}
