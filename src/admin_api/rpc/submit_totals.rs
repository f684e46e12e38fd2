//! SubmitTotals: goes on with the totals of a day that are stopped.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use super::list_totals::refusal;
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::{pb, read};
use crate::settlement::agreement::{Agreement, Resubmit};
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    agreement: &Arc<Agreement>,
    audited: &Audited,
    request: Request<pb::SubmitTotalsRequest>,
) -> Result<Response<pb::SubmitTotalsResponse>, Status> {
    let (mut call, (host_id, date, how)) = read_call(
        request,
        |findings, request| {
            let host_id = read::host_id(findings, &request.host_id);
            let date = read::business_date(findings, &request.business_date);
            let how = match request.accept {
                true => Resubmit::Accept,
                false => Resubmit::Again,
            };
            host_id
                .zip(date)
                .map(|(host_id, date)| (host_id, date, how))
        },
        |(host_id, date, how)| match how {
            Resubmit::Accept => format!("{host_id} {date} ACCEPT"),
            Resubmit::Again => format!("{host_id} {date}"),
        },
    )?;
    if how == Resubmit::Accept {
        // Money becomes available that the bank does not confirm.
        call.least_role = OperatorRole::Approver;
    }
    let agreement = Arc::clone(agreement);
    let effect = Box::pin(async move {
        let taken = agreement.resubmit(host_id, date, how).await;
        let taken = taken.map_err(|error| refusal(&error))?;
        let answer = pb::SubmitTotalsResponse {
            totals_count: i32::try_from(taken.totals).unwrap_or(i32::MAX),
            difference_count: i64::try_from(taken.differences).unwrap_or(i64::MAX),
            file_count: i32::try_from(taken.files).unwrap_or(i32::MAX),
        };
        Ok((answer, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}
