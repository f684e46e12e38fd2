//! What is settled: captures, refunds and chargebacks, each in one of the bank's days.

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::ids::{BatchId, HostId, ImportId, MerchantId, OperationId, SubjectId};
use super::moment::{BusinessDate, UnixMillis};
use super::money::Currency;
use super::operation::OperationState;
use super::operation_kind::OperationKind;
use super::record::Operation;

/// Which way the money of an item goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// To the merchant: a capture, or a sale.
    Capture,
    /// From the merchant: a refund.
    Refund,
    /// From the merchant: a chargeback.
    Chargeback,
    /// To the merchant: a chargeback that is given back.
    ChargebackReversal,
}

impl ItemKind {
    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Capture,
            Self::Refund,
            Self::Chargeback,
            Self::ChargebackReversal,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }

    /// What an operation of this kind is, once it counts; none of what is no item.
    #[must_use]
    pub const fn of_operation(kind: OperationKind) -> Option<Self> {
        match kind {
            OperationKind::Capture | OperationKind::Sale => Some(Self::Capture),
            OperationKind::Refund => Some(Self::Refund),
            OperationKind::Chargeback => Some(Self::Chargeback),
            OperationKind::ChargebackReversal => Some(Self::ChargebackReversal),
            OperationKind::Authorization
            | OperationKind::Verification
            | OperationKind::Increment
            | OperationKind::Void
            | OperationKind::Reversal
            | OperationKind::Release
            | OperationKind::Inquiry => None,
        }
    }

    /// Whether its money goes to the merchant.
    #[must_use]
    pub const fn is_credit(self) -> bool {
        matches!(self, Self::Capture | Self::ChargebackReversal)
    }

    /// The name that the store uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Capture => "CAPTURE",
            Self::Refund => "REFUND",
            Self::Chargeback => "CHARGEBACK",
            Self::ChargebackReversal => "CHARGEBACK_REVERSAL",
        }
    }
}

/// What an operation does to the items of the days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemChange {
    /// It is an item of the open day from now on.
    Counts(ItemKind, SubjectId),
    /// The sale that this operation carried out is being voided. It is no item any more, which it can't be of a day
    /// that is closed.
    Leaves(OperationId),
    /// The void was refused. The sale is an item of the day that is open now.
    Returns(OperationId),
}

impl ItemChange {
    /// What `operation` does by being recorded as it is. What it did before is not done again: a state that counts, and
    /// one that refuses, is an operation's last.
    #[must_use]
    pub fn of(operation: &Operation) -> Option<Self> {
        use OperationKind as K;
        use OperationState as S;
        let counts = operation.state.counts();
        match (operation.kind, operation.subject_id) {
            (K::Capture | K::Sale, Some(subject)) if counts => {
                Some(Self::Counts(ItemKind::Capture, subject))
            }
            (K::Refund, Some(subject)) if counts => Some(Self::Counts(ItemKind::Refund, subject)),
            (K::Chargeback, Some(subject)) => Some(Self::Counts(ItemKind::Chargeback, subject)),
            (K::ChargebackReversal, Some(subject)) => {
                Some(Self::Counts(ItemKind::ChargebackReversal, subject))
            }
            (K::Void, Some(_)) => match operation.state {
                _ if operation.version == 1 => operation.original_id.map(Self::Leaves),
                S::Declined { .. } | S::Rejected { .. } | S::Cancelled => {
                    operation.original_id.map(Self::Returns)
                }
                S::Resolved { took_effect, .. } if !took_effect => {
                    operation.original_id.map(Self::Returns)
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// What one batch is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchKey {
    /// The bank's date.
    pub business_date: BusinessDate,
    /// The host that settles.
    pub host_id: HostId,
    /// Whose money it is.
    pub merchant_id: MerchantId,
    /// In which currency.
    pub currency: Currency,
}

impl BatchKey {
    /// The batch's name: the same before and after its day is closed, on every node. It sorts by when the day was
    /// opened.
    #[must_use]
    pub fn id(&self, opened_at: UnixMillis) -> BatchId {
        let text = format!(
            "{} {} {} {}",
            self.host_id,
            self.merchant_id,
            self.currency.code(),
            self.business_date
        );
        let mut bits = [0; 10];
        for (bit, byte) in bits
            .iter_mut()
            .zip(digest(&SHA256, text.as_bytes()).as_ref())
        {
            *bit = *byte;
        }
        BatchId::from_parts(opened_at, bits)
    }
}

/// What the captures and refunds of a batch sum to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchTotals {
    /// How many captures.
    pub capture_count: i64,
    /// Their sum, in minor units.
    pub captured_minor: i64,
    /// How many refunds.
    pub refund_count: i64,
    /// Their sum, in minor units.
    pub refunded_minor: i64,
}

impl BatchTotals {
    /// Both together.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            capture_count: self.capture_count.saturating_add(other.capture_count),
            captured_minor: self.captured_minor.saturating_add(other.captured_minor),
            refund_count: self.refund_count.saturating_add(other.refund_count),
            refunded_minor: self.refunded_minor.saturating_add(other.refunded_minor),
        }
    }

    /// Captures less refunds, in minor units; negative where more is given back.
    #[must_use]
    pub const fn net_minor(&self) -> i64 {
        self.captured_minor.saturating_sub(self.refunded_minor)
    }
}

/// What issuers have taken back, less what they gave back of it. Totals that are agreed with a bank leave it out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChargedBack {
    /// How many chargebacks, and how many were given back.
    pub count: i64,
    /// Their sum, in minor units; negative where more was given back than taken.
    pub minor: i64,
}

/// What is settled with a day in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayTotals {
    /// The currency.
    pub currency: Currency,
    /// How many batches: one for each merchant.
    pub batch_count: i64,
    /// What their items sum to.
    pub totals: BatchTotals,
}

/// What an item costs, in minor units of its currency. A negative part is given back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ItemFees {
    /// The issuer's share.
    pub interchange: i64,
    /// The card scheme's share.
    pub scheme: i64,
    /// The acquirer's and payswitch's share.
    pub markup: i64,
    /// The tax on these three.
    pub tax: i64,
}

impl ItemFees {
    /// Interchange, scheme fee and markup.
    #[must_use]
    pub const fn before_tax(&self) -> i64 {
        self.interchange
            .saturating_add(self.scheme)
            .saturating_add(self.markup)
    }

    /// Both together.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            interchange: self.interchange.saturating_add(other.interchange),
            scheme: self.scheme.saturating_add(other.scheme),
            markup: self.markup.saturating_add(other.markup),
            tax: self.tax.saturating_add(other.tax),
        }
    }

    /// All that the merchant pays.
    #[must_use]
    pub const fn total(&self) -> i64 {
        self.before_tax().saturating_add(self.tax)
    }
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchState {
    /// Its day is open.
    Open,
    /// Its day is closed, and its items don't change any more.
    Closed,
    /// Its totals were sent to the host.
    Submitted,
    /// The host has confirmed it; or it is one that confirms nothing.
    Settled,
    /// The host's totals are others, or it can't compare them.
    Disputed,
}

impl BatchState {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Open,
        Self::Closed,
        Self::Submitted,
        Self::Settled,
        Self::Disputed,
    ];

    /// The name that the store and the API use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Closed => "CLOSED",
            Self::Submitted => "SUBMITTED",
            Self::Settled => "SETTLED",
            Self::Disputed => "DISPUTED",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Who closed a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClosedBy {
    /// The host's time of cutover had come.
    Clock,
    /// The host's own message.
    Host,
    /// An operator.
    Operator,
}

impl ClosedBy {
    /// The name that the store and the API use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clock => "CLOCK",
            Self::Host => "HOST",
            Self::Operator => "OPERATOR",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Clock, Self::Host, Self::Operator]
            .into_iter()
            .find(|by| by.name() == name)
    }
}

/// A day of a host: what counts while it is open is settled under its date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusinessDay {
    /// The host.
    pub host_id: HostId,
    /// The date.
    pub date: BusinessDate,
    /// When it was opened.
    pub opened_at: UnixMillis,
    /// When it was closed; none while it is open.
    pub cut_at: Option<UnixMillis>,
    /// The last position of an event that was taken then.
    pub last_position: Option<i64>,
    /// Who closed it.
    pub closed_by: Option<ClosedBy>,
    /// When its batches were made; none before.
    pub batched_at: Option<UnixMillis>,
    /// When all of them were funded; none before.
    pub settled_at: Option<UnixMillis>,
}

impl BusinessDay {
    /// Whether it has ended, and its batches are not made yet.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        self.cut_at.is_some() && self.batched_at.is_none()
    }
}

/// The end of one day and the beginning of the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cutover {
    /// The host.
    pub host_id: HostId,
    /// The date of the day that ends.
    pub date: BusinessDate,
    /// The date of the day that begins, which is later.
    pub next: BusinessDate,
    /// When.
    pub at: UnixMillis,
    /// Who wants it.
    pub by: ClosedBy,
}

/// What one merchant settles with one host for one business date in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementBatch {
    /// Its name in the API.
    pub id: BatchId,
    /// What it is of.
    pub key: BatchKey,
    /// Where it stands.
    pub state: BatchState,
    /// What its captures and refunds sum to.
    pub totals: BatchTotals,
    /// What its chargebacks sum to.
    pub charged_back: ChargedBack,
    /// When its day was opened.
    pub opened_at: UnixMillis,
    /// When its day was closed; none while it is open.
    pub closed_at: Option<UnixMillis>,
    /// When its totals were first sent to the host; none where they were not.
    pub submitted_at: Option<UnixMillis>,
    /// When its money became available to the merchant; none before.
    pub funded_at: Option<UnixMillis>,
    /// What the host says it sums to; none where it says nothing of this batch alone.
    pub bank_totals: Option<BatchTotals>,
    /// The report of its day, once that is applied.
    pub report_id: Option<ImportId>,
    /// What its items cost the merchant; none before that is computed.
    pub fees: Option<ItemFees>,
}

impl SettlementBatch {
    /// Captures less refunds and chargebacks, in minor units, before fees.
    #[must_use]
    pub const fn net_minor(&self) -> i64 {
        self.totals
            .net_minor()
            .saturating_sub(self.charged_back.minor)
    }
}

/// The day and batch of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemSettlement {
    /// The date of its day.
    pub business_date: BusinessDate,
    /// Its batch.
    pub batch_id: BatchId,
    /// Where its batch stands.
    pub batch_state: BatchState,
    /// Whether its batch is funded: its money is available.
    pub is_funded: bool,
    /// The acquirer's reference (ARN), once a report has named it.
    pub acquirer_reference: Option<String>,
    /// Whether the bank does not settle it, as its report says.
    pub is_rejected: bool,
}

impl ItemSettlement {
    /// Whether the day is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.batch_state != BatchState::Open
    }
}

#[cfg(test)]
mod tests {
    use super::super::ids::CaptureId;
    use super::super::operation::ResolvedBy;
    use super::super::samples::{self, NOW, approval};
    use super::*;

    #[test]
    fn what_counts_is_an_item_and_a_void_takes_it_out_until_it_is_refused() {
        let subject = SubjectId::Capture(CaptureId::from_parts(NOW, [1; 10]));
        let sale = OperationId::from_parts(NOW, [2; 10]);
        let approved = OperationState::Approved {
            approval: approval(),
            acknowledged: None,
        };
        let resolved = |took_effect| OperationState::Resolved {
            by: ResolvedBy::Operator,
            response_code: None,
            took_effect,
            decline: None,
        };
        let item = Some(ItemChange::Counts(ItemKind::Capture, subject));
        let (leaves, returns) = (
            Some(ItemChange::Leaves(sale)),
            Some(ItemChange::Returns(sale)),
        );
        use OperationKind::{Authorization, Capture, Sale, Void};
        for (kind, state, version, expected) in [
            (Capture, OperationState::Queued, 1, None),
            (Capture, OperationState::Recorded, 1, item),
            (Capture, approved.clone(), 2, item),
            (Sale, approved.clone(), 2, item),
            (Sale, resolved(true), 3, item),
            (Sale, resolved(false), 3, None),
            (Authorization, approved.clone(), 2, None),
            (Void, OperationState::Created, 1, leaves),
            (Void, OperationState::Recorded, 1, leaves),
            (Void, approved, 2, None),
            (Void, resolved(true), 2, None),
            (Void, resolved(false), 2, returns),
            (Void, OperationState::Cancelled, 2, returns),
        ] {
            let operation = Operation {
                kind,
                state,
                version,
                subject_id: Some(subject),
                original_id: Some(sale),
                ..samples::operation()
            };
            assert_eq!(ItemChange::of(&operation), expected, "{operation:?}");
        }
    }

    #[test]
    fn a_batch_has_one_name() {
        let key = BatchKey {
            business_date: "2026-11-29".parse().unwrap(),
            host_id: "acquirer".parse().unwrap(),
            merchant_id: "demo-shop".parse().unwrap(),
            currency: "EUR".parse().unwrap(),
        };
        let other = BatchKey {
            currency: "USD".parse().unwrap(),
            ..key.clone()
        };
        assert_eq!(key.id(NOW), key.id(NOW));
        assert_ne!(key.id(NOW), other.id(NOW));
        assert!(key.id(NOW) < other.id(NOW.plus_ms(1)));
    }
}
