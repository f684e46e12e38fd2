//! NotifyPayouts: what a bank says became of payouts.

use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming};

use super::audited::{Audited, read_call};
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::payouts::notified;
use crate::admin_api::{gate, pb, read};
use crate::grpc::status::of_invalid_request;
use crate::grpc::violations::Findings;
use crate::settlement::payout_notices::{NoticeError, PayoutNotices};
use crate::store::records::callers::OperatorRole;

/// The largest file, in bytes.
const MAX_FILE_BYTES: usize = 32 * 1024 * 1024;

/// Answers the call.
pub(super) async fn call(
    notices: &Arc<PayoutNotices>,
    is_host: impl Fn(&str) -> bool,
    audited: &Audited,
    request: Request<Streaming<pb::NotifyPayoutsRequest>>,
) -> Result<Response<pb::NotifyPayoutsResponse>, Status> {
    // Nobody else sends a file.
    gate::caller(&request, OperatorRole::Operator)?;
    let (metadata, extensions, stream) = request.into_parts();
    let whole = whole(stream).await?;
    let file = whole.data.clone();
    let request = Request::from_parts(metadata, extensions, whole);
    let (call, host_id) = read_call(
        request,
        |findings, request| read::host_id(findings, &request.host_id),
        ToString::to_string,
    )?;
    if !is_host(host_id.as_str()) {
        return Err(Refusal::HostNotFound.status());
    }
    let bookings = PayoutNotices::read(file).await;
    let bookings = bookings.map_err(|error| match error {
        NoticeError::File(error) => invalid(&error),
        error => Refusal::not_done(&error).status(),
    })?;
    let notices = Arc::clone(notices);
    let effect = Box::pin(async move {
        let found = notices.notify(host_id, &bookings).await;
        let found = found.map_err(|error| Refusal::not_done(&error))?;
        Ok((notified(&found), AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}

/// The first message with the bytes of all of them.
async fn whole(
    mut stream: Streaming<pb::NotifyPayoutsRequest>,
) -> Result<pb::NotifyPayoutsRequest, Status> {
    let mut whole = stream.message().await?.unwrap_or_default();
    while let Some(next) = stream.message().await? {
        if whole.data.len() + next.data.len() > MAX_FILE_BYTES {
            return Err(invalid(&"a larger file"));
        }
        whole.data.extend_from_slice(&next.data);
    }
    Ok(whole)
}

fn invalid(got: &dyn std::fmt::Display) -> Status {
    let mut findings = Findings::default();
    findings.add("data", "camt.054 in UTF-8 of at most 32 MiB", got);
    match findings.finish::<()>(None) {
        Err(invalid) => of_invalid_request(invalid),
        Ok(()) => Refusal::NotDone.status(),
    }
}
