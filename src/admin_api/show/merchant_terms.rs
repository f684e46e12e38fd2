//! The terms of merchants. Account numbers are masked.

use crate::admin_api::pb;
use crate::grpc::time::timestamp;
use crate::payment::ids::MerchantId;
use crate::settlement::payout_account::PayoutAccount;
use crate::store::merchant_money::{AccountChange, AccountChangeState, AccountText, TermsRecord};

/// The terms of a merchant, who may have none.
pub(in crate::admin_api) fn terms(
    merchant: &MerchantId,
    found: Option<TermsRecord>,
) -> pb::MerchantTerms {
    let Some(found) = found else {
        return pb::MerchantTerms {
            merchant_id: merchant.to_string(),
            ..pb::MerchantTerms::default()
        };
    };
    pb::MerchantTerms {
        merchant_id: found.merchant_id.to_string(),
        version: found.version,
        legal_name: found.legal_name,
        fee_plan_json: found.fee_plan.unwrap_or_default(),
        payout_plan_json: found.payout_plan.unwrap_or_default(),
        account: found.account.as_ref().and_then(account),
        update_time: Some(timestamp(found.updated_at)),
    }
}

/// A change of an account.
pub(in crate::admin_api) fn account_change(change: &AccountChange) -> pb::PayoutAccountChange {
    use pb::PayoutAccountChangeState as S;
    pb::PayoutAccountChange {
        account_change_id: change.id.to_string(),
        merchant_id: change.merchant_id.to_string(),
        account: account(&change.account),
        state: match change.state {
            AccountChangeState::Pending => S::Pending,
            AccountChangeState::Confirmed => S::Confirmed,
            AccountChangeState::Effective => S::Effective,
            AccountChangeState::Cancelled => S::Cancelled,
        }
        .into(),
        asked_by: change.asked_by.clone(),
        ask_time: Some(timestamp(change.asked_at)),
        confirmed_by: change.confirmed_by.clone().unwrap_or_default(),
        confirm_time: change.confirmed_at.map(timestamp),
        effective_time: change.effective_at.map(timestamp),
    }
}

fn account(text: &AccountText) -> Option<pb::PayoutAccount> {
    let account = PayoutAccount::from_text(text).ok()?;
    Some(pb::PayoutAccount {
        name: account.name().to_owned(),
        masked_number: account.masked(),
        bic: account.bic().to_owned(),
    })
}
