//! SetPayoutPlan: when a merchant is paid.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::merchant_terms::terms as shown;
use crate::admin_api::{pb, read};
use crate::settlement::merchant_terms::MerchantTerms;
use crate::settlement::payout_plan::PayoutPlan;

/// Answers the call.
pub(super) async fn call(
    terms: &Arc<MerchantTerms>,
    audited: &Audited,
    request: Request<pb::SetPayoutPlanRequest>,
) -> Result<Response<pb::SetPayoutPlanResponse>, Status> {
    let (call, (merchant, plan)) = read_call(
        request,
        |findings, request| {
            let merchant = read::merchant_id(findings, &request.merchant_id);
            // The errors of a plan name its key; there is nothing secret in one.
            let plan = serde_json::from_str::<PayoutPlan>(&request.payout_plan_json);
            let plan = findings.keep("payout_plan_json", "a plan as JSON", plan);
            merchant.zip(plan)
        },
        |(merchant, _)| merchant.to_string(),
    )?;
    let terms = Arc::clone(terms);
    let effect = Box::pin(async move {
        let set = terms.set_payout_plan(&merchant, &plan).await;
        let merchant_terms = shown(set.map_err(Refusal::from)?);
        let answer = pb::SetPayoutPlanResponse {
            merchant_terms: Some(merchant_terms),
        };
        Ok((answer, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}
