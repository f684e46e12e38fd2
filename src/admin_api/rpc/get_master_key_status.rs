//! GetMasterKeyStatus: how a rotation of the master key stands.

use pb::MasterKeyRotation as Rotation;
use tonic::{Request, Response, Status};

use crate::admin_api::sealing_keys::SealingKeyBook;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::{gate, pb};
use crate::card::master_rotation::Stage;
use crate::grpc::time::timestamp;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) fn call(
    keys: &SealingKeyBook,
    request: &Request<pb::GetMasterKeyStatusRequest>,
) -> Result<Response<pb::GetMasterKeyStatusResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let stage = keys.master_stage().map_err(|error| {
        let error = &error as &dyn std::error::Error;
        tracing::error!(error, "The files of the master key can't be looked at");
        Refusal::MasterKeyUnreadable.status()
    })?;
    let (rotation, since, finished) = match stage {
        None => (Rotation::NotInAFile, None, None),
        Some(Stage::None) => (Rotation::None, None, None),
        Some(Stage::Finished(at)) => (Rotation::None, None, Some(at)),
        Some(Stage::Prepared(since)) => (Rotation::Prepared, Some(since), None),
        Some(Stage::Replaced(since)) => (Rotation::Replaced, Some(since), None),
    };
    Ok(Response::new(pb::GetMasterKeyStatusResponse {
        rotation: rotation.into(),
        since_time: since.map(timestamp),
        last_finish_time: finished.map(timestamp),
    }))
}
