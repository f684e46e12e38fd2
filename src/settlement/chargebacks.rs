//! Records what issuers take back, and what they give back of it, as the lines of a report say: each line once, however
//! often the report is gone on with and on whichever node. It is an item of the day that is open then.

use std::sync::Arc;

use super::report::format::ReportKind;
use super::report::line::ReportLine;
use crate::clock::Clock;
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::custody::CustodyEnd;
use crate::payment::event::PaymentEvent;
use crate::payment::ids::{ChargebackId, OperationId, SubjectId};
use crate::payment::money::Money;
use crate::payment::operation::OperationState;
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Attempts, Element, Operation};
use crate::payment::reference::Mti;
use crate::payment::report_line::ReportedItem;
use crate::payment::settlement::ItemKind;
use crate::payment::settlement_import::SettlementImport;
use crate::random::{NoEntropy, Random};
use crate::store::Store;
use crate::store::change::{Change, PaymentChange, Verdict};
use crate::store::error::StoreError;

/// How often a chargeback is decided again where its payment was changed meanwhile.
const ATTEMPTS: u32 = 5;
/// The name of the line of the report in [`Operation::sent`], by which it is known again.
const LINE: &str = "line";
/// The message that an issuer charges back with, where it sends one: class 4, an advice of the issuer (x4x2).
const ADVICE: &str = "0422";

/// A chargeback, or one that is given back, that a line has and that is no item yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChargeback {
    /// The number of the line.
    pub line: u64,
    /// Chargeback, or chargeback reversal.
    pub kind: ItemKind,
    /// The item that it takes back: a capture, or a chargeback.
    pub original: ReportedItem,
    /// How much, above 0.
    pub amount: Money,
}

/// What a line takes back that is no item yet: of the captures, or the chargebacks, that it may mean by its RRN, the one
/// that is most like it. None of other lines, and where there is none in its currency.
#[must_use]
pub fn to_take_back<'i>(
    line: &ReportLine,
    items: impl Iterator<Item = &'i ReportedItem>,
) -> Option<NewChargeback> {
    let (kind, of, minor) = match line.kind {
        ReportKind::Chargeback => (
            ItemKind::Chargeback,
            ItemKind::Capture,
            line.gross_minor.checked_neg()?,
        ),
        ReportKind::ChargebackReversal => (
            ItemKind::ChargebackReversal,
            ItemKind::Chargeback,
            line.gross_minor,
        ),
        ReportKind::Capture | ReportKind::Refund => return None,
    };
    if line.reject_code.is_some() || minor <= 0 {
        return None;
    }
    let rrn = line.known_rrn()?;
    let of_kind: Vec<&ReportedItem> = items
        .filter(|item| item.kind == of && (item.found_by == rrn || item.own_rrn == rrn))
        .collect();
    let has_own = of_kind.iter().any(|item| item.own_rrn == rrn);
    let original = of_kind
        .into_iter()
        .filter(|item| item.own_rrn == rrn || !has_own)
        .filter(|item| item.currency == line.currency)
        .min_by_key(|item| (item.amount_minor != minor, item.amount_minor < minor))?;
    Some(NewChargeback {
        line: line.number,
        kind,
        original: original.clone(),
        amount: Money::new(minor, line.currency).ok()?,
    })
}

/// Records chargebacks.
pub struct Chargebacks {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Random,
}

/// What came of recording chargebacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// At least one was recorded.
    Now,
    /// All that can be were recorded before.
    Before,
    /// There was none that can be recorded.
    Nothing,
}

/// Why a chargeback could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum ChargebackError {
    /// Its payment was changed each time.
    #[error("the payment of operation {0} is changed all the time")]
    Busy(OperationId),
    /// No name for it could be made.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Chargebacks {
    /// Records chargebacks in this store.
    #[must_use]
    pub const fn new(store: Store, clock: Arc<dyn Clock>, random: Random) -> Self {
        Self {
            store,
            clock,
            random,
        }
    }

    /// Records the chargebacks of a report that are not recorded yet. What its payment can't take, as giving back more
    /// than was taken, is left out.
    ///
    /// # Errors
    /// [`ChargebackError`].
    pub async fn record(
        &self,
        import: &SettlementImport,
        chargebacks: &[NewChargeback],
    ) -> Result<Recorded, ChargebackError> {
        let mut recorded = Recorded::Nothing;
        for new in chargebacks {
            let line = Element {
                name: LINE.to_owned(),
                value: format!("{}:{}", import.id, new.line),
            };
            match self.record_one(new, &line).await? {
                Recorded::Now => recorded = Recorded::Now,
                Recorded::Before if recorded == Recorded::Nothing => recorded = Recorded::Before,
                Recorded::Before | Recorded::Nothing => {}
            }
        }
        Ok(recorded)
    }

    async fn record_one(
        &self,
        new: &NewChargeback,
        line: &Element,
    ) -> Result<Recorded, ChargebackError> {
        let item = &new.original;
        for _ in 0..ATTEMPTS {
            // The payment first: a chargeback that is recorded after that has changed it.
            let payment = self.store.payment(&item.merchant_id, item.payment_id);
            let payment = payment.await?;
            let operations = self.store.operations_of(item.payment_id).await?;
            if operations.iter().any(|it| it.sent.contains(line)) {
                return Ok(Recorded::Before);
            }
            let original = operations.iter().find(|it| it.id == item.operation_id);
            let (Some(payment), Some(original)) = (payment, original) else {
                return Ok(Recorded::Nothing);
            };
            let operation = self.operation(new, original, line)?;
            let adjustment = adjustment(&operation);
            let Ok(expected) = adjustment.apply(Box::new(payment)) else {
                return Ok(Recorded::Nothing);
            };
            let change = Change {
                payment: Some(PaymentChange::Adjusted {
                    expected: &expected,
                    adjustment: &adjustment,
                }),
                unmoved: true,
                new_operation: Some(&operation),
                ..Change::default()
            };
            if let Verdict::Committed { .. } = self.store.commit(&change).await? {
                tracing::warn!(
                    payment.id = %operation.payment_id, operation.id = %operation.id,
                    merchant.id = %item.merchant_id, amount = %operation.amount,
                    kind = operation.kind.name(), "A report has a chargeback"
                );
                return Ok(Recorded::Now);
            }
        }
        Err(ChargebackError::Busy(item.operation_id))
    }

    /// The operation of a chargeback: under the numbers of what it takes back, as the bank's line is.
    fn operation(
        &self,
        new: &NewChargeback,
        original: &Operation,
        line: &Element,
    ) -> Result<Operation, NoEntropy> {
        let now = self.clock.now();
        let id = OperationId::from_parts(now, self.random.bytes_for_name()?);
        let subject = ChargebackId::from_parts(now, self.random.bytes_for_name()?);
        Ok(Operation {
            id,
            kind: match new.kind {
                ItemKind::ChargebackReversal => OperationKind::ChargebackReversal,
                _ => OperationKind::Chargeback,
            },
            state: OperationState::Recorded,
            original_id: Some(original.id),
            reason: None,
            subject_id: Some(SubjectId::Chargeback(subject)),
            amount: new.amount,
            accepts_partial: false,
            releases_minor: 0,
            mti: ADVICE.parse::<Mti>().unwrap_or(original.mti),
            deadline: now,
            bank_us: None,
            attempts: Attempts::default(),
            sent: vec![line.clone()],
            kept: Vec::new(),
            created_at: now,
            updated_at: now,
            version: 1,
            ..original.clone()
        })
    }
}

/// What a chargeback does to its payment.
fn adjustment(operation: &Operation) -> Adjustment {
    let amount_minor = operation.amount.amount_minor();
    let (event, disputed_minor) = match operation.kind {
        OperationKind::ChargebackReversal => (PaymentEvent::ChargebackReversed, -amount_minor),
        _ => (PaymentEvent::ChargedBack, amount_minor),
    };
    Adjustment {
        event,
        change: Amounts {
            disputed_minor,
            ..Amounts::ZERO
        },
        at: operation.created_at,
        custody: CustodyEnd::Unchanged,
    }
}
