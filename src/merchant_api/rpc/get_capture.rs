//! GetCapture: one capture by its id.

use tonic::{Request, Response, Status};

use super::views::PaymentViews;
use crate::grpc::status;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::read::id::capture_id;
use crate::merchant_api::show::errors;
use crate::merchant_api::transport::gate;
use crate::payment::ids::CaptureId;

/// Answers the call.
pub(super) async fn call(
    views: &PaymentViews,
    request: Request<pb::GetCaptureRequest>,
) -> Result<Response<pb::GetCaptureResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let id = read(request.get_ref()).map_err(status::of_invalid_request)?;
    let found = views
        .store
        .capture(&merchant.id, id)
        .await
        .map_err(|error| status::of_unavailable(&error))?
        .ok_or_else(errors::capture_not_found)?;
    let shown = views.captures(vec![found]).await;
    Ok(Response::new(pb::GetCaptureResponse {
        capture: shown.map_err(|error| status::of_unavailable(&error))?.pop(),
    }))
}

fn read(request: &pb::GetCaptureRequest) -> Result<CaptureId, InvalidRequest> {
    let mut findings = Findings::default();
    let read = capture_id(&mut findings, &request.capture_id);
    findings.finish(read)
}
