//! RefuseOrder: the bank has refused an order whole.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::{pb, read};
use crate::settlement::payout_notices::{NoticeError, PayoutNotices};
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    notices: &Arc<PayoutNotices>,
    audited: &Audited,
    request: Request<pb::RefuseOrderRequest>,
) -> Result<Response<pb::RefuseOrderResponse>, Status> {
    let (mut call, (host_id, order_id)) = read_call(
        request,
        |findings, request| {
            let host_id = read::host_id(findings, &request.host_id);
            host_id.zip(read::order_id(findings, &request.order_id))
        },
        |(host_id, order_id)| format!("{host_id} {order_id}"),
    )?;
    // What a bank pays after all was paid twice then.
    call.least_role = OperatorRole::Approver;
    let (notices, reason) = (Arc::clone(notices), call.asked.reason.clone());
    let effect = Box::pin(async move {
        let refused = notices.refuse(host_id, order_id, &reason).await;
        let failed = refused.map_err(|error| match error {
            NoticeError::NoOrder(_) => Refusal::OrderNotFound,
            NoticeError::OtherState(_) => Refusal::OrderNotRefusable,
            error => Refusal::not_done(&error),
        })?;
        let failed_payout_ids = failed.iter().map(ToString::to_string).collect();
        let answer = pb::RefuseOrderResponse { failed_payout_ids };
        Ok((answer, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}
