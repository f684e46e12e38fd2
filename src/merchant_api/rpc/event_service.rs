//! EventService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use super::watcher::EventViews;
use super::{list_events, watch_events};
use crate::merchant_api::pb;
use crate::merchant_api::pb::event_service_server::EventService;
use crate::merchant_api::show::errors;
use crate::merchant_api::transport::gate;
use crate::payment::ids::MerchantId;
use crate::shares::Shares;

/// The service.
pub(crate) struct EventsApi {
    /// Reads and shows events.
    pub(crate) views: Arc<EventViews>,
    /// Lists that each merchant reads at once.
    pub(crate) lists: Shares<MerchantId>,
}

#[async_trait]
impl EventService for EventsApi {
    async fn list_events(
        &self,
        request: Request<pb::ListEventsRequest>,
    ) -> Result<Response<pb::ListEventsResponse>, Status> {
        let merchant = gate::caller(&request)?;
        let _turn = self.lists.wait(&merchant.id).await;
        list_events::call(&self.views, request).await
    }

    type WatchEventsStream = watch_events::Events;

    async fn watch_events(
        &self,
        request: Request<pb::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        watch_events::call(&self.views, request).await
    }

    async fn create_webhook_endpoint(
        &self,
        _: Request<pb::CreateWebhookEndpointRequest>,
    ) -> Result<Response<pb::CreateWebhookEndpointResponse>, Status> {
        Err(errors::not_built("EventService/CreateWebhookEndpoint"))
    }

    async fn get_webhook_endpoint(
        &self,
        _: Request<pb::GetWebhookEndpointRequest>,
    ) -> Result<Response<pb::GetWebhookEndpointResponse>, Status> {
        Err(errors::not_built("EventService/GetWebhookEndpoint"))
    }

    async fn list_webhook_endpoints(
        &self,
        _: Request<pb::ListWebhookEndpointsRequest>,
    ) -> Result<Response<pb::ListWebhookEndpointsResponse>, Status> {
        Err(errors::not_built("EventService/ListWebhookEndpoints"))
    }

    async fn update_webhook_endpoint(
        &self,
        _: Request<pb::UpdateWebhookEndpointRequest>,
    ) -> Result<Response<pb::UpdateWebhookEndpointResponse>, Status> {
        Err(errors::not_built("EventService/UpdateWebhookEndpoint"))
    }

    async fn rotate_webhook_secret(
        &self,
        _: Request<pb::RotateWebhookSecretRequest>,
    ) -> Result<Response<pb::RotateWebhookSecretResponse>, Status> {
        Err(errors::not_built("EventService/RotateWebhookSecret"))
    }

    async fn delete_webhook_endpoint(
        &self,
        _: Request<pb::DeleteWebhookEndpointRequest>,
    ) -> Result<Response<pb::DeleteWebhookEndpointResponse>, Status> {
        Err(errors::not_built("EventService/DeleteWebhookEndpoint"))
    }
}
