//! CreateSealingSession: sets up a key of the merchant's own, under which many cards are sealed.

use tonic::{Request, Response, Status};
use tracing::info;

use crate::card::envelope::Opener;
use crate::card::session::SealingSession;
use crate::clock::Clock;
use crate::config::environment::Environment;
use crate::grpc::status;
use crate::grpc::time::timestamp;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::read::text::is_shaped_like_jwe;
use crate::merchant_api::show::errors;
use crate::merchant_api::transport::gate;

/// Answers the call.
pub(super) fn call(
    opener: &Opener,
    clock: &dyn Clock,
    environment: Environment,
    request: Request<pb::CreateSealingSessionRequest>,
) -> Result<Response<pb::CreateSealingSessionResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let sealed = read(request.into_inner()).map_err(status::of_invalid_request)?;
    let session = opener
        .open_session(&sealed, &merchant.id, clock.now())
        .map_err(|fault| {
            info!(merchant.id = %merchant.id, reason = fault.name(), "a sealed session key was refused");
            errors::sealed_card_refused(fault, environment)
        })?;
    Ok(Response::new(show(session)))
}

/// Reads the request.
fn read(request: pb::CreateSealingSessionRequest) -> Result<String, InvalidRequest> {
    let mut findings = Findings::default();
    let sealed = request.sealed_session_key;
    let clear =
        !is_shaped_like_jwe(&sealed) && !findings.no_clear_card("sealed_session_key", &sealed);
    findings.finish((!clear).then_some(sealed))
}

fn show(session: SealingSession) -> pb::CreateSealingSessionResponse {
    pb::CreateSealingSessionResponse {
        kid: session.kid,
        expire_time: Some(timestamp(session.expires_at)),
        max_messages: i32::try_from(session.max_messages).unwrap_or(i32::MAX),
    }
}
