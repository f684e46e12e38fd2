//! ProposePayoutAccount: asks for another account of a merchant.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::merchant_terms::account_change;
use crate::admin_api::{pb, read};
use crate::settlement::merchant_terms::MerchantTerms;
use crate::settlement::payout_account::PayoutAccount;

/// Answers the call.
pub(super) async fn call(
    terms: &Arc<MerchantTerms>,
    audited: &Audited,
    request: Request<pb::ProposePayoutAccountRequest>,
) -> Result<Response<pb::ProposePayoutAccountResponse>, Status> {
    let (call, (merchant, account)) = read_call(
        request,
        |findings, request| {
            let merchant = read::merchant_id(findings, &request.merchant_id);
            // An IBAN may look like a card number; another number that does so is one.
            if !findings.no_clear_card("name", &request.name)
                || !findings.no_clear_card("other_number", &request.other_number)
            {
                return None;
            }
            let (name, other) = (&request.name, &request.other_number);
            let account = PayoutAccount::new(name, &request.iban, other, &request.bic);
            let account = findings.keep("account", "an account that can be paid to", account);
            merchant.zip(account)
        },
        |(merchant, account)| format!("{merchant} {}", account.masked()),
    )?;
    let (terms, by) = (Arc::clone(terms), call.caller.name.clone());
    let effect = Box::pin(async move {
        let change = terms.propose_account(&merchant, &account, &by).await;
        let change = account_change(&change.map_err(Refusal::from)?);
        let answer = pb::ProposePayoutAccountResponse {
            account_change: Some(change),
        };
        Ok((answer, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}
