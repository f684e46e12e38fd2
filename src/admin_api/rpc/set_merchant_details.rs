//! SetMerchantDetails: the name of a merchant in orders and on statements, and its time zone.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::merchant_terms::terms as shown;
use crate::admin_api::{pb, read};
use crate::settlement::merchant_details::MerchantDetails;
use crate::settlement::merchant_terms::MerchantTerms;

/// Answers the call.
pub(super) async fn call(
    terms: &Arc<MerchantTerms>,
    audited: &Audited,
    request: Request<pb::SetMerchantDetailsRequest>,
) -> Result<Response<pb::SetMerchantDetailsResponse>, Status> {
    let (call, (merchant, details)) = read_call(
        request,
        |findings, request| {
            let merchant = read::merchant_id(findings, &request.merchant_id);
            if !findings.no_clear_card("legal_name", &request.legal_name) {
                return None;
            }
            let details = MerchantDetails::new(&request.legal_name, &request.time_zone);
            let details = findings.keep("details", "a legal name or a time zone", details);
            merchant.zip(details)
        },
        |(merchant, _)| merchant.to_string(),
    )?;
    let terms = Arc::clone(terms);
    let effect = Box::pin(async move {
        let set = terms.set_details(&merchant, &details).await;
        let answer = pb::SetMerchantDetailsResponse {
            merchant_terms: Some(shown(set.map_err(Refusal::from)?)),
        };
        Ok((answer, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}
