//! GetCounts: what counts of a card, a merchant or an address now.

use tonic::{Request, Response, Status};

use super::counted_subject::About;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::risk::count;
use crate::admin_api::{gate, pb};
use crate::grpc::status::of_invalid_request;
use crate::grpc::violations::Findings;
use crate::payment::moment::UnixMillis;
use crate::risk::limits::Limits;
use crate::store::Store;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    limits: &Limits,
    store: &Store,
    now: UnixMillis,
    request: &Request<pb::GetCountsRequest>,
) -> Result<Response<pb::GetCountsResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let mut findings = Findings::default();
    let about = About::read(&mut findings, request.get_ref().subject.as_ref());
    let about = findings.finish(about).map_err(of_invalid_request)?;
    let subject = about.subject(store).await.map_err(Refusal::status)?;
    let counts = limits.counts(&subject, None, now);
    Ok(Response::new(pb::GetCountsResponse {
        counts: counts.into_iter().map(count).collect(),
    }))
}
