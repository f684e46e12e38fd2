//! CancelPayoutAccount: a change of an account never comes to be.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::merchant_terms::account_change;
use crate::admin_api::{pb, read};
use crate::settlement::merchant_terms::MerchantTerms;

/// Answers the call.
pub(super) async fn call(
    terms: &Arc<MerchantTerms>,
    audited: &Audited,
    request: Request<pb::CancelPayoutAccountRequest>,
) -> Result<Response<pb::CancelPayoutAccountResponse>, Status> {
    let (call, (merchant, id)) = read_call(
        request,
        |findings, request| {
            let merchant = read::merchant_id(findings, &request.merchant_id);
            let id = read::account_change_id(findings, &request.account_change_id);
            merchant.zip(id)
        },
        |(merchant, id)| format!("{merchant} {id}"),
    )?;
    let terms = Arc::clone(terms);
    let effect = Box::pin(async move {
        let change = terms.cancel_account(&merchant, id).await;
        let change = account_change(&change.map_err(Refusal::from)?);
        let answer = pb::CancelPayoutAccountResponse {
            account_change: Some(change),
        };
        Ok((answer, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}
