//! NotifyPayouts: what a bank says became of payouts.

use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming};

use super::audited::{Audited, read_call};
use super::incoming_file::WholeFile;
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::payouts::notified;
use crate::admin_api::{gate, pb, read};
use crate::settlement::payout_notices::{NoticeError, PayoutNotices};
use crate::store::records::callers::OperatorRole;

const NOTIFICATION: WholeFile = WholeFile {
    field: "data",
    expected: "camt.054 in UTF-8 of at most 32 MiB",
    most_bytes: 32 * 1024 * 1024,
};

/// Answers the call.
pub(super) async fn call(
    notices: &Arc<PayoutNotices>,
    is_host: impl Fn(&str) -> bool,
    audited: &Audited,
    request: Request<Streaming<pb::NotifyPayoutsRequest>>,
) -> Result<Response<pb::NotifyPayoutsResponse>, Status> {
    // Nobody else sends a file.
    gate::caller(&request, OperatorRole::Operator)?;
    let (metadata, extensions, mut parts) = request.into_parts();
    let mut whole = parts.message().await?.unwrap_or_default();
    let begins = std::mem::take(&mut whole.data);
    whole.data = NOTIFICATION
        .read(begins, parts, |next| Some(next.data))
        .await?;
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
        NoticeError::File(error) => NOTIFICATION.invalid(NOTIFICATION.expected, &error),
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
