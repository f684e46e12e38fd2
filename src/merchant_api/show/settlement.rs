//! What is settled, as the API shows it.

use super::money::money;
use crate::grpc::time::timestamp;
use crate::merchant_api::pb;
use crate::payment::ids::{BatchId, SubjectId};
use crate::payment::settlement::{BatchState, ItemKind, ItemSettlement, SettlementBatch};
use crate::store::records::SettlementItem;

/// A batch. What the bank says of it, and fees, are not known yet.
pub(crate) fn batch(found: &SettlementBatch) -> pb::SettlementBatch {
    let (key, totals) = (&found.key, &found.totals);
    let shown = |amount_minor| Some(money(amount_minor, key.currency));
    pb::SettlementBatch {
        batch_id: found.id.to_string(),
        host_id: key.host_id.to_string(),
        business_date: key.business_date.to_string(),
        state: match found.state {
            BatchState::Open => pb::SettlementBatchState::Open,
            BatchState::Closed => pb::SettlementBatchState::Closed,
        }
        .into(),
        payment_count: totals.capture_count,
        captured_total: shown(totals.captured_minor),
        refund_count: totals.refund_count,
        refunded_total: shown(totals.refunded_minor),
        net_total: shown(totals.net_minor()),
        open_time: Some(timestamp(found.opened_at)),
        close_time: found.closed_at.map(timestamp),
        ..pb::SettlementBatch::default()
    }
}

/// An item of a batch.
pub(crate) fn note(
    (batch_id, batch): (BatchId, BatchState),
    item: SettlementItem,
) -> pb::SettlementNote {
    let signed = match item.kind {
        ItemKind::Capture => item.amount.amount_minor(),
        ItemKind::Refund => item.amount.amount_minor().saturating_neg(),
    };
    let amount = Some(money(signed, item.amount.currency()));
    let subject_id = item.subject_id.to_string();
    pb::SettlementNote {
        batch_id: batch_id.to_string(),
        subject_id: item.payment_id.to_string(),
        merchant_reference: item.merchant_reference,
        rrn: item.rrn.map(|rrn| rrn.to_string()).unwrap_or_default(),
        amount: amount.clone(),
        gross: amount.clone(),
        net: amount,
        item: Some(match item.subject_id {
            SubjectId::Capture(_) => pb::settlement_note::Item::CaptureId(subject_id),
            SubjectId::Refund(_) => pb::settlement_note::Item::RefundId(subject_id),
        }),
        state: state(batch == BatchState::Closed).into(),
        ..pb::SettlementNote::default()
    }
}

fn state(is_closed: bool) -> pb::SettlementState {
    match is_closed {
        true => pb::SettlementState::InClearing,
        false => pb::SettlementState::Unsettled,
    }
}

/// What shows where its money stands.
pub(crate) trait Settled {
    /// Shows its day and batch.
    fn settle(&mut self, settlement: &ItemSettlement);
}

macro_rules! settled {
    ($shown:ty) => {
        impl Settled for $shown {
            fn settle(&mut self, settlement: &ItemSettlement) {
                self.settlement_state = state(settlement.is_closed).into();
                self.batch_id = settlement.batch_id.to_string();
                self.business_date = settlement.business_date.to_string();
            }
        }
    };
}
settled!(pb::Capture);
settled!(pb::Refund);

impl Settled for pb::Operation {
    fn settle(&mut self, settlement: &ItemSettlement) {
        self.business_date = settlement.business_date.to_string();
    }
}
