//! The terms of merchants. Account numbers are masked.

use crate::admin_api::pb;
use crate::grpc::time::timestamp;
use crate::settlement::merchant_terms::Terms;
use crate::settlement::payout_account::PayoutAccount;
use crate::store::merchant_money::{AccountChange, AccountChangeState, AccountText};

/// The terms of a merchant.
pub(in crate::admin_api) fn terms(terms: Terms) -> pb::MerchantTerms {
    let Terms { merchant, agreed } = terms;
    let nothing = pb::MerchantTerms {
        merchant_id: merchant.id.to_string(),
        time_zone: merchant.time_zone,
        ..pb::MerchantTerms::default()
    };
    let Some(found) = agreed else {
        return nothing;
    };
    pb::MerchantTerms {
        version: found.version,
        legal_name: found.legal_name,
        fee_plan_json: found.fee_plan.unwrap_or_default(),
        payout_plan_json: found.payout_plan.unwrap_or_default(),
        account: found.account.as_ref().and_then(account),
        update_time: Some(timestamp(found.updated_at)),
        ..nothing
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
