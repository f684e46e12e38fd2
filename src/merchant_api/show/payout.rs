//! A payout as the API shows it.

use super::money::money;
use crate::grpc::time::timestamp;
use crate::merchant_api::pb;
use crate::payment::ids::BatchId;
use crate::payment::payout::PayoutState;
use crate::store::merchant_money::Payout;

/// A payout that pays these batches.
pub(crate) fn payout(found: &Payout, batches: &[BatchId]) -> pb::Payout {
    pb::Payout {
        payout_id: found.id.to_string(),
        amount: Some(money(found.amount.amount_minor(), found.amount.currency())),
        state: match found.state {
            PayoutState::Created => pb::PayoutState::Created,
            PayoutState::Sent => pb::PayoutState::Sent,
            PayoutState::Paid => pb::PayoutState::Paid,
            PayoutState::Returned => pb::PayoutState::Returned,
            PayoutState::Failed => pb::PayoutState::Failed,
        }
        .into(),
        batch_ids: batches.iter().map(ToString::to_string).collect(),
        bank_reference: found.bank_reference.clone().unwrap_or_default(),
        create_time: Some(timestamp(found.created_at)),
        destination: found.destination.clone(),
        arrival_date: found.arrival_date.to_string(),
        return_reason: found.return_reason.clone().unwrap_or_default(),
    }
}
