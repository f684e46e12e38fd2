//! KeyService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use super::audited::Audited;
use super::{
    activate_sealing_key, add_sealing_key, get_master_key_status, list_sealing_keys,
    retire_sealing_key,
};
use crate::admin_api::pb;
use crate::admin_api::pb::key_service_server::KeyService;
use crate::admin_api::sealing_keys::SealingKeyBook;

/// The service.
pub(in crate::admin_api) struct KeyApi {
    pub(in crate::admin_api) keys: Arc<SealingKeyBook>,
    pub(in crate::admin_api) audited: Audited,
}

#[async_trait]
impl KeyService for KeyApi {
    async fn list_sealing_keys(
        &self,
        request: Request<pb::ListSealingKeysRequest>,
    ) -> Result<Response<pb::ListSealingKeysResponse>, Status> {
        list_sealing_keys::call(&self.keys, &request).await
    }

    async fn add_sealing_key(
        &self,
        request: Request<pb::AddSealingKeyRequest>,
    ) -> Result<Response<pb::AddSealingKeyResponse>, Status> {
        add_sealing_key::call(&self.keys, &self.audited, request).await
    }

    async fn activate_sealing_key(
        &self,
        request: Request<pb::ActivateSealingKeyRequest>,
    ) -> Result<Response<pb::ActivateSealingKeyResponse>, Status> {
        activate_sealing_key::call(&self.keys, &self.audited, request).await
    }

    async fn retire_sealing_key(
        &self,
        request: Request<pb::RetireSealingKeyRequest>,
    ) -> Result<Response<pb::RetireSealingKeyResponse>, Status> {
        retire_sealing_key::call(&self.keys, &self.audited, request).await
    }

    async fn get_master_key_status(
        &self,
        request: Request<pb::GetMasterKeyStatusRequest>,
    ) -> Result<Response<pb::GetMasterKeyStatusResponse>, Status> {
        get_master_key_status::call(&self.keys, &request)
    }
}
