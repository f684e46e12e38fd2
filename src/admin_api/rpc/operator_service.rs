//! OperatorService: which file answers which call.

use tonic::{Request, Response, Status, async_trait};

use super::audited::Audited;
use super::{
    activate_operator, add_operator, deactivate_operator, list_operators, set_operator_role,
};
use crate::admin_api::pb;
use crate::admin_api::pb::operator_service_server::OperatorService;

/// The service.
pub(in crate::admin_api) struct OperatorApi {
    pub(in crate::admin_api) audited: Audited,
}

#[async_trait]
impl OperatorService for OperatorApi {
    async fn add_operator(
        &self,
        request: Request<pb::AddOperatorRequest>,
    ) -> Result<Response<pb::AddOperatorResponse>, Status> {
        add_operator::call(&self.audited, request).await
    }

    async fn list_operators(
        &self,
        request: Request<pb::ListOperatorsRequest>,
    ) -> Result<Response<pb::ListOperatorsResponse>, Status> {
        list_operators::call(&self.audited.store, &request).await
    }

    async fn set_operator_role(
        &self,
        request: Request<pb::SetOperatorRoleRequest>,
    ) -> Result<Response<pb::SetOperatorRoleResponse>, Status> {
        set_operator_role::call(&self.audited, request).await
    }

    async fn deactivate_operator(
        &self,
        request: Request<pb::DeactivateOperatorRequest>,
    ) -> Result<Response<pb::DeactivateOperatorResponse>, Status> {
        deactivate_operator::call(&self.audited, request).await
    }

    async fn activate_operator(
        &self,
        request: Request<pb::ActivateOperatorRequest>,
    ) -> Result<Response<pb::ActivateOperatorResponse>, Status> {
        activate_operator::call(&self.audited, request).await
    }
}
