//! The fees of a day: after its batches are made, and its report is applied where its host sends one, each item is charged
//! by its merchant's plan as it is then. Only then is a batch funded.
//!
//! Every node does so, some items in each transaction, and goes on where another one, or an earlier run, has come to.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::fee_plan::{FeePlan, Origin, RefundFee};
use super::fees::{FeeError, FeeItem, RefundedCapture, fee_of};
use super::looking::look_until;
use crate::clock::Clock;
use crate::fault_points::FaultPoint;
use crate::payment::ids::{HostId, OperationId, PaymentId, SubjectId};
use crate::payment::settlement::{ItemFees, ItemKind};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::merchant_money::{FeeBatch, ItemToCharge, SettledItem};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The most batches that are read at once.
const BATCHES_AT_ONCE: usize = 100;
/// The most items that are charged in one transaction.
const ITEMS_AT_ONCE: usize = 100;

/// Charges what is settled.
pub struct Charging {
    store: Store,
    clock: Arc<dyn Clock>,
    /// The hosts whose reports name fees: their batches wait for them.
    reporting: Vec<HostId>,
}

/// Why a batch can't be charged. It waits, and is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ChargingError {
    /// The merchant's plan is for no such item. Another plan ends it.
    #[error("{subject}: {fault}")]
    Fee {
        /// The capture or refund.
        subject: SubjectId,
        /// Why it has no fee.
        fault: FeeError,
    },
    /// The plan that is kept does not read.
    #[error("the plan of terms {version} does not read: {fault}")]
    Plan {
        /// The version of the terms.
        version: i64,
        /// Why not.
        fault: serde_json::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Charging {
    /// Charges what is settled in this store. `reporting` are the hosts that send reports: their batches are charged once
    /// that of their day is applied, because it may name fees.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>, reporting: Vec<HostId>) -> Self {
        Self {
            store,
            clock,
            reporting,
        }
    }

    /// Charges batches until `stop` is set. What fails is logged, and tried again.
    pub async fn look_until(self: Arc<Self>, stop: watch::Receiver<bool>) {
        look_until(stop, LOOK_EVERY, "Fees could not be computed", || {
            self.look()
        })
        .await;
    }

    /// Charges the batches that are not charged. One that can't be holds up no other merchant's.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub async fn look(&self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let (store, reporting) = (&self.store, &self.reporting);
            let batches = store.batches_without_fees(reporting, BATCHES_AT_ONCE, after);
            let batches = batches.await?;
            let Some(last) = batches.last() else {
                return Ok(());
            };
            after = Some((last.key.business_date, last.id));
            for batch in batches {
                let (id, merchant) = (batch.id, batch.key.merchant_id);
                match self.charge(batch).await {
                    Ok(()) => {}
                    Err(ChargingError::Store(error)) => return Err(error),
                    Err(error) => tracing::error!(
                        batch.id = %id, merchant.id = %merchant, %error,
                        "The fees of a batch can't be computed; it is not funded until its merchant has another plan"
                    ),
                }
            }
        }
    }

    /// Charges a batch to its end.
    ///
    /// # Errors
    /// [`ChargingError`].
    pub async fn charge(&self, batch: FeeBatch) -> Result<(), ChargingError> {
        let id = batch.id;
        let mut next = Some(batch);
        while let Some(batch) = next {
            match self.charge_next(&batch).await {
                // Another plan may be for it.
                Err(ChargingError::Fee { .. }) if self.begin(&batch).await? => {}
                charged => charged?,
            }
            next = self.store.batch_without_fees(id).await?;
        }
        FaultPoint::FeesRecorded.pass();
        Ok(())
    }

    /// Begins the fees of a batch by the terms of its merchant as they are now. Whether these are others than those that
    /// it had.
    async fn begin(&self, batch: &FeeBatch) -> Result<bool, StoreError> {
        let terms = self.store.merchant_terms(&batch.key.merchant_id).await?;
        let plan = terms.as_ref().and_then(|terms| terms.fee_plan.as_deref());
        let version = terms.as_ref().map_or(0, |terms| terms.version);
        if batch.terms_version == Some(version) {
            return Ok(false);
        }
        self.store.begin_fees(batch, version, plan).await?;
        Ok(true)
    }

    /// Takes one step: begins, charges the next items, or ends.
    async fn charge_next(&self, batch: &FeeBatch) -> Result<(), ChargingError> {
        let Some(version) = batch.terms_version else {
            self.begin(batch).await?;
            return Ok(());
        };
        let now = self.clock.now();
        // Without a plan nothing is charged.
        let Some(plan) = &batch.plan else {
            return Ok(self.store.end_fees(batch, now).await?);
        };
        let plan: FeePlan =
            serde_json::from_str(plan).map_err(|fault| ChargingError::Plan { version, fault })?;
        let mut items = self.store.items_to_charge(batch, ITEMS_AT_ONCE).await?;
        // Refunds may give back what captures cost: these are recorded before.
        let kind = items.first().map(|item| item.kind);
        let alike = items.iter().take_while(|item| Some(item.kind) == kind);
        let alike = alike.count();
        items.truncate(alike);
        let Some(last) = items.last() else {
            return Ok(self.store.end_fees(batch, now).await?);
        };
        let charged = self.fees(batch, &plan, &items).await?;
        let to = last.subject_id;
        self.store.charge_items(batch, to, &charged).await?;
        FaultPoint::Fees.pass();
        Ok(())
    }

    async fn fees(
        &self,
        batch: &FeeBatch,
        plan: &FeePlan,
        items: &[ItemToCharge],
    ) -> Result<Vec<(OperationId, ItemFees)>, ChargingError> {
        let gives_back = plan.terms().refunds == RefundFee::GiveBack;
        let mut refunded: Vec<PaymentId> = items
            .iter()
            .filter(|item| gives_back && item.kind == ItemKind::Refund)
            .map(|item| item.payment_id)
            .collect();
        refunded.sort_unstable();
        refunded.dedup();
        let settled = match refunded.is_empty() {
            true => Vec::new(),
            false => self.store.settled_items_of(&refunded).await?,
        };
        let mut charged = Vec::with_capacity(items.len());
        for item in items {
            let given_back = item.kind == ItemKind::Refund && gives_back;
            let refunded = given_back
                .then(|| capture_of(batch, item, &settled))
                .flatten();
            let fees = match given_back && refunded.is_none() {
                // What was captured is settled later, or was before there were fees.
                true => ItemFees::default(),
                false => fee_of(plan, &fee_item(item, refunded)).map_err(|fault| {
                    let subject = item.subject_id;
                    ChargingError::Fee { subject, fault }
                })?,
            };
            charged.push((item.operation_id, fees));
        }
        Ok(charged)
    }
}

fn fee_item(item: &ItemToCharge, refunded: Option<RefundedCapture>) -> FeeItem {
    FeeItem {
        kind: item.kind,
        brand: item.brand,
        // Nothing is known of where a card was issued.
        origin: Origin::Domestic,
        amount: item.amount,
        bank_interchange: item.bank_interchange_minor,
        bank_scheme_fee: item.bank_scheme_fee_minor,
        refunded,
    }
}

/// What a refund gives back of: its capture, if it is settled, less the refunds of that before it. None where it does not
/// cover it.
fn capture_of(
    batch: &FeeBatch,
    refund: &ItemToCharge,
    settled: &[SettledItem],
) -> Option<RefundedCapture> {
    let date = batch.key.business_date;
    let is_it = |item: &&SettledItem| {
        Some(item.operation_id) == refund.original_id && item.business_date <= date
    };
    let capture = settled.iter().find(is_it)?;
    let mut refunded_before_minor = 0_i64;
    for other in settled.iter().filter(|item| {
        item.original_id == refund.original_id
            && item.kind == ItemKind::Refund
            && (item.business_date, item.subject_id) < (date, refund.subject_id)
    }) {
        refunded_before_minor = refunded_before_minor.checked_add(other.amount.amount_minor())?;
    }
    let after = refunded_before_minor.checked_add(refund.amount.amount_minor())?;
    (after <= capture.amount.amount_minor()).then_some(())?;
    Some(RefundedCapture {
        amount: capture.amount,
        refunded_before_minor,
        fees: capture.fees.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::ids::{BatchId, CaptureId, RefundId};
    use crate::payment::moment::BusinessDate;
    use crate::payment::record::CardBrand;
    use crate::payment::samples::{NOW, eur};
    use crate::payment::settlement::BatchKey;

    fn operation(number: u8) -> OperationId {
        OperationId::from_parts(NOW, [number; 10])
    }

    /// An item of a day, which has cost something where it is a capture.
    fn item(number: u8, capture: Option<u8>, day: u8, minor: i64) -> SettledItem {
        let subject_id = match capture {
            None => SubjectId::Capture(CaptureId::from_parts(NOW, [number; 10])),
            Some(_) => SubjectId::Refund(RefundId::from_parts(NOW, [number; 10])),
        };
        let fees = ItemFees {
            markup: minor / 100,
            ..ItemFees::default()
        };
        SettledItem {
            operation_id: operation(number),
            original_id: capture.map(operation),
            subject_id,
            kind: match capture {
                None => ItemKind::Capture,
                Some(_) => ItemKind::Refund,
            },
            business_date: BusinessDate::new(2026, 11, day),
            amount: eur(minor),
            fees: capture.is_none().then_some(fees),
        }
    }

    #[test]
    fn a_refund_gives_back_of_its_own_capture() {
        let settled = [
            item(1, None, 1, 1_000),
            item(2, None, 1, 10_000),
            item(3, Some(2), 2, 4_000),
            item(4, Some(1), 2, 1_000),
            item(5, None, 3, 500),
        ];
        let of = |capture: u8, minor: i64| {
            let key = BatchKey {
                business_date: BusinessDate::new(2026, 11, 2),
                host_id: "acquirer".parse().unwrap(),
                merchant_id: "shop".parse().unwrap(),
                currency: "EUR".parse().unwrap(),
            };
            let batch = FeeBatch {
                id: BatchId::from_parts(NOW, [0; 10]),
                key,
                terms_version: None,
                plan: None,
                computed_to: None,
            };
            let refund = ItemToCharge {
                operation_id: operation(9),
                original_id: Some(operation(capture)),
                subject_id: SubjectId::Refund(RefundId::from_parts(NOW, [9; 10])),
                payment_id: PaymentId::from_parts(NOW, [0; 10]),
                kind: ItemKind::Refund,
                amount: eur(minor),
                brand: CardBrand::Visa,
                bank_interchange_minor: None,
                bank_scheme_fee_minor: None,
            };
            capture_of(&batch, &refund, &settled)
                .map(|it| (it.amount, it.refunded_before_minor, it.fees.total()))
        };
        assert_eq!(of(2, 6_000), Some((eur(10_000), 4_000, 100)));
        assert_eq!(of(2, 6_001), None, "more than was captured");
        assert_eq!(of(1, 1), None, "all of it came back before");
        assert_eq!(of(5, 500), None, "it is settled later");
    }
}
