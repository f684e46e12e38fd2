//! What is settled, as the API shows it.

use super::money::money;
use crate::grpc::time::timestamp;
use crate::merchant_api::pb;
use crate::payment::ids::SubjectId;
use crate::payment::settlement::{BatchState, ItemSettlement, SettlementBatch};
use crate::store::records::settlement::{NotedBatch, SettlementItem};

/// A batch. Its net is without fees until they are computed.
pub(crate) fn batch(found: &SettlementBatch) -> pb::SettlementBatch {
    let (key, totals) = (&found.key, &found.totals);
    let shown = |amount_minor| Some(money(amount_minor, key.currency));
    let fee_minor = found.fees.map_or(0, |fees| fees.total());
    pb::SettlementBatch {
        batch_id: found.id.to_string(),
        host_id: key.host_id.to_string(),
        business_date: key.business_date.to_string(),
        state: match found.state {
            BatchState::Open => pb::SettlementBatchState::Open,
            BatchState::Closed => pb::SettlementBatchState::Closed,
            BatchState::Submitted => pb::SettlementBatchState::Submitted,
            BatchState::Settled => pb::SettlementBatchState::Settled,
            BatchState::Disputed => pb::SettlementBatchState::Disputed,
        }
        .into(),
        payment_count: totals.capture_count,
        captured_total: shown(totals.captured_minor),
        refund_count: totals.refund_count,
        refunded_total: shown(totals.refunded_minor),
        fee_total: found.fees.and_then(|fees| shown(fees.total())),
        net_total: shown(found.net_minor().saturating_sub(fee_minor)),
        chargeback_count: found.charged_back.count,
        chargeback_total: shown(found.charged_back.minor),
        open_time: Some(timestamp(found.opened_at)),
        close_time: found.closed_at.map(timestamp),
        submit_time: found.submitted_at.map(timestamp),
        settle_time: found
            .funded_at
            .filter(|_| found.state == BatchState::Settled)
            .map(timestamp),
        bank_totals: found.bank_totals.map(|theirs| pb::BankTotals {
            capture_count: theirs.capture_count,
            captured_total: shown(theirs.captured_minor),
            refund_count: theirs.refund_count,
            refunded_total: shown(theirs.refunded_minor),
            fee_total: None,
            net_total: shown(theirs.net_minor()),
            net_difference: shown(theirs.net_minor().saturating_sub(totals.net_minor())),
        }),
        ..pb::SettlementBatch::default()
    }
}

/// An item of a batch.
pub(crate) fn note(batch: &NotedBatch, item: SettlementItem) -> pb::SettlementNote {
    let signed = match item.kind.is_credit() {
        true => item.amount.amount_minor(),
        false => item.amount.amount_minor().saturating_neg(),
    };
    let shown = |minor| Some(money(minor, item.amount.currency()));
    let amount = shown(signed);
    // An item without fees in a batch whose fees are computed costs nothing.
    let fees = batch.is_charged.then(|| item.fees.unwrap_or_default());
    let fee_minor = fees.map_or(0, |fees| fees.total());
    // What the bank has reported of an item that has no fees of its own.
    let reported = |minor: Option<i64>| minor.filter(|_| item.fees.is_none()).and_then(shown);
    let subject_id = item.subject_id.to_string();
    pb::SettlementNote {
        batch_id: batch.id.to_string(),
        subject_id: item.payment_id.to_string(),
        merchant_reference: item.merchant_reference,
        rrn: item.rrn.map(|rrn| rrn.to_string()).unwrap_or_default(),
        amount: amount.clone(),
        gross: amount,
        fee: fees.and_then(|_| shown(fee_minor)),
        interchange: reported(item.interchange_minor)
            .or_else(|| fees.and_then(|fees| shown(fees.interchange))),
        scheme_fee: reported(item.scheme_fee_minor)
            .or_else(|| fees.and_then(|fees| shown(fees.scheme))),
        commission: reported(item.commission_minor),
        markup: fees.and_then(|fees| shown(fees.markup)),
        tax: fees.and_then(|fees| shown(fees.tax)),
        net: shown(signed.saturating_sub(fee_minor)),
        item: Some(match item.subject_id {
            SubjectId::Capture(_) => pb::settlement_note::Item::CaptureId(subject_id),
            SubjectId::Refund(_) => pb::settlement_note::Item::RefundId(subject_id),
            SubjectId::Chargeback(_) => pb::settlement_note::Item::ChargebackId(subject_id),
        }),
        state: state(
            (batch.state, batch.funded_at.is_some()),
            item.reject_code.is_some(),
        )
        .into(),
        reject_code: item.reject_code.unwrap_or_default(),
        fund_time: batch.funded_at.map(timestamp),
        payout_id: batch
            .payout_id
            .map_or_else(String::new, |it| it.to_string()),
        bank_reference: batch.bank_reference.clone().unwrap_or_default(),
        ..pb::SettlementNote::default()
    }
}

/// Where the money of an item stands, whose batch stands there and is funded or not; or which the bank does not settle.
fn state((batch, is_funded): (BatchState, bool), is_rejected: bool) -> pb::SettlementState {
    match batch {
        _ if is_rejected => pb::SettlementState::SettlementRejected,
        // It is available, also where the bank has other totals.
        _ if is_funded => pb::SettlementState::Settled,
        BatchState::Open => pb::SettlementState::Unsettled,
        BatchState::Closed | BatchState::Submitted | BatchState::Disputed => {
            pb::SettlementState::InClearing
        }
        BatchState::Settled => pb::SettlementState::Settled,
    }
}

fn state_of(settlement: &ItemSettlement) -> pb::SettlementState {
    let batch = (settlement.batch_state, settlement.is_funded);
    state(batch, settlement.is_rejected)
}

/// What shows where its money stands.
pub(crate) trait Settled {
    /// Shows its day and batch.
    fn settle(&mut self, settlement: &ItemSettlement);

    /// Shows its note, once its batch is funded.
    fn note(&mut self, note: pb::SettlementNote);
}

impl Settled for pb::Capture {
    fn settle(&mut self, settlement: &ItemSettlement) {
        self.settlement_state = state_of(settlement).into();
        self.batch_id = settlement.batch_id.to_string();
        self.business_date = settlement.business_date.to_string();
    }

    fn note(&mut self, note: pb::SettlementNote) {
        self.settlement_note = Some(note);
    }
}

impl Settled for pb::Refund {
    fn settle(&mut self, settlement: &ItemSettlement) {
        self.settlement_state = state_of(settlement).into();
        self.batch_id = settlement.batch_id.to_string();
        self.business_date = settlement.business_date.to_string();
        self.acquirer_reference = settlement.acquirer_reference.clone().unwrap_or_default();
    }

    fn note(&mut self, note: pb::SettlementNote) {
        self.settlement_note = Some(note);
    }
}

impl Settled for pb::Operation {
    fn settle(&mut self, settlement: &ItemSettlement) {
        self.business_date = settlement.business_date.to_string();
    }

    fn note(&mut self, _: pb::SettlementNote) {}
}
