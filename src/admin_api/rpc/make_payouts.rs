//! MakePayouts: makes the payouts of a host, and orders them.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::payouts::decision;
use crate::admin_api::{pb, read};
use crate::settlement::payouts::{Payouts, When};
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    payouts: &Arc<Payouts>,
    audited: &Audited,
    request: Request<pb::MakePayoutsRequest>,
) -> Result<Response<pb::MakePayoutsResponse>, Status> {
    let (mut call, (host_id, when)) = read_call(
        request,
        |findings, request| {
            let when = match request.now {
                true => When::Now,
                false => When::AsPlanned,
            };
            let host_id = read::host_id(findings, &request.host_id);
            host_id.map(|host_id| (host_id, when))
        },
        |(host_id, when)| match when {
            When::Now => format!("{host_id} NOW"),
            When::AsPlanned => host_id.to_string(),
        },
    )?;
    if when == When::Now {
        // Money goes out on a day on which no plan says so.
        call.least_role = OperatorRole::Approver;
    }
    let payouts = Arc::clone(payouts);
    // Boxed: the way to the database makes it large.
    let effect = Box::pin(async move {
        let decided = payouts.pay(host_id, when).await.map_err(Refusal::from)?;
        let decisions = decided.iter().map(decision).collect();
        Ok((pb::MakePayoutsResponse { decisions }, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}
