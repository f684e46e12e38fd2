//! Cutover: ends the open day of a host.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::business_day::business_day;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::{pb, read};
use crate::settlement::days::{BusinessDays, CutoverError};

/// Answers the call.
pub(super) async fn call(
    days: &Arc<BusinessDays>,
    audited: &Audited,
    request: Request<pb::CutoverRequest>,
) -> Result<Response<pb::CutoverResponse>, Status> {
    let (call, (host_id, date)) = read_call(
        request,
        |findings, request| {
            let host_id = read::host_id(findings, &request.host_id);
            let date = read::business_date(findings, &request.business_date);
            host_id.zip(date)
        },
        |(host_id, date)| format!("{host_id} {date}"),
    )?;
    let days = Arc::clone(days);
    // Boxed: the way to the database makes it large.
    let effect = Box::pin(async move {
        let settled = days.cut_over(host_id, date).await.map_err(refusal)?;
        let business_day = Some(business_day(&settled));
        Ok((pb::CutoverResponse { business_day }, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}

fn refusal(error: CutoverError) -> Refusal {
    match error {
        CutoverError::NoHost(_) => Refusal::HostNotFound,
        CutoverError::OtherDay { .. } => Refusal::OtherDayOpen,
        CutoverError::Store(error) => Refusal::not_done(&error),
    }
}
