//! CustodyService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use super::audited::Audited;
use super::{destroy_expired_data_keys, list_data_keys, rotate_data_key};
use crate::admin_api::pb;
use crate::admin_api::pb::custody_service_server::CustodyService;
use crate::operations::card_custody::CardCustody;

/// The service.
pub(in crate::admin_api) struct CustodyApi {
    pub(in crate::admin_api) custody: Arc<CardCustody>,
    pub(in crate::admin_api) audited: Audited,
}

#[async_trait]
impl CustodyService for CustodyApi {
    async fn list_data_keys(
        &self,
        request: Request<pb::ListDataKeysRequest>,
    ) -> Result<Response<pb::ListDataKeysResponse>, Status> {
        list_data_keys::call(&self.custody, &request).await
    }

    async fn rotate_data_key(
        &self,
        request: Request<pb::RotateDataKeyRequest>,
    ) -> Result<Response<pb::RotateDataKeyResponse>, Status> {
        rotate_data_key::call(&self.custody, &self.audited, request).await
    }

    async fn destroy_expired_data_keys(
        &self,
        request: Request<pb::DestroyExpiredDataKeysRequest>,
    ) -> Result<Response<pb::DestroyExpiredDataKeysResponse>, Status> {
        destroy_expired_data_keys::call(&self.custody, &self.audited, request).await
    }
}
