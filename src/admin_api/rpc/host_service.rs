//! HostService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use super::audited::Audited;
use super::{echo_host, list_hosts, sign_off_host, sign_on_host};
use crate::admin_api::lines::HostLines;
use crate::admin_api::pb;
use crate::admin_api::pb::host_service_server::HostService;

/// The service.
pub(in crate::admin_api) struct HostApi {
    pub(in crate::admin_api) lines: Arc<dyn HostLines>,
    pub(in crate::admin_api) audited: Audited,
}

#[async_trait]
impl HostService for HostApi {
    async fn list_hosts(
        &self,
        request: Request<pb::ListHostsRequest>,
    ) -> Result<Response<pb::ListHostsResponse>, Status> {
        list_hosts::call(&*self.lines, &request)
    }

    async fn sign_on_host(
        &self,
        request: Request<pb::SignOnHostRequest>,
    ) -> Result<Response<pb::SignOnHostResponse>, Status> {
        sign_on_host::call(&self.lines, &self.audited, request).await
    }

    async fn sign_off_host(
        &self,
        request: Request<pb::SignOffHostRequest>,
    ) -> Result<Response<pb::SignOffHostResponse>, Status> {
        sign_off_host::call(&self.lines, &self.audited, request).await
    }

    async fn echo_host(
        &self,
        request: Request<pb::EchoHostRequest>,
    ) -> Result<Response<pb::EchoHostResponse>, Status> {
        echo_host::call(&self.lines, &self.audited, request).await
    }
}
