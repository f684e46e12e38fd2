//! ConfirmPayoutAccount: another operator confirms a change of an account.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::merchant_terms::account_change;
use crate::admin_api::{pb, read};
use crate::settlement::merchant_terms::MerchantTerms;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    terms: &Arc<MerchantTerms>,
    audited: &Audited,
    request: Request<pb::ConfirmPayoutAccountRequest>,
) -> Result<Response<pb::ConfirmPayoutAccountResponse>, Status> {
    let (mut call, (merchant, id)) = read_call(
        request,
        |findings, request| {
            let merchant = read::merchant_id(findings, &request.merchant_id);
            let id = read::account_change_id(findings, &request.account_change_id);
            merchant.zip(id)
        },
        |(merchant, id)| format!("{merchant} {id}"),
    )?;
    // Money goes to another account.
    call.least_role = OperatorRole::Approver;
    let (terms, by) = (Arc::clone(terms), call.caller.name.clone());
    let effect = Box::pin(async move {
        let change = terms.confirm_account(&merchant, id, &by).await;
        let change = account_change(&change.map_err(Refusal::from)?);
        let answer = pb::ConfirmPayoutAccountResponse {
            account_change: Some(change),
        };
        Ok((answer, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}
