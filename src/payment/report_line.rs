//! The lines of a bank's report, the items that they are compared with, and what comes of them.

use super::difference::Difference;
use super::ids::{ImportId, MerchantId, OperationId, PaymentId, SubjectId};
use super::moment::{BusinessDate, UnixMillis};
use super::money::Currency;
use super::record::CardBrand;
use super::reference::Rrn;
use super::settlement::ItemKind;

/// An item, as far as a line of a report is compared with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedItem {
    /// Its operation.
    pub operation_id: OperationId,
    /// Its capture, refund or chargeback.
    pub subject_id: SubjectId,
    /// Of which payment it is.
    pub payment_id: PaymentId,
    /// Whose it is.
    pub merchant_id: MerchantId,
    /// Its currency.
    pub currency: Currency,
    /// Which way its money goes.
    pub kind: ItemKind,
    /// Its amount in minor units, above 0.
    pub amount_minor: i64,
    /// The date of its day.
    pub business_date: BusinessDate,
    /// The RRN of its own message.
    pub own_rrn: Rrn,
    /// The RRN of its payment by which it was found.
    pub found_by: Rrn,
    /// What the operation is whose own RRN that is: a capture or a refund. None of an authorization.
    pub found_kind: Option<ItemKind>,
    /// The approval codes by which its bank may know it: its own, and that of the operation that it is of.
    pub approval_codes: Vec<String>,
    /// The acquirer's reference (ARN), where a report has said it.
    pub acquirer_reference: Option<String>,
    /// The merchant's own reference, where it was asked for.
    pub merchant_reference: Option<String>,
    /// The import that has settled it; none before.
    pub settled_by: Option<ImportId>,
    /// Whether payswitch knows from a report that it was booked. Its day is the one that was open then.
    pub by_report: bool,
    /// Of a chargeback: what refunds and chargebacks leave of the captures of its payment now, in minor units.
    pub left_minor: Option<i64>,
    /// The brand of its card, where somebody has looked that up.
    pub brand: Option<CardBrand>,
}

/// What a line says of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemReport {
    /// The item's operation.
    pub operation_id: OperationId,
    /// The number of the line; of several, the first.
    pub line: i64,
    /// The acquirer's reference (ARN).
    pub acquirer_reference: Option<String>,
    /// The interchange, in minor units.
    pub interchange_minor: Option<i64>,
    /// The scheme's fee, in minor units.
    pub scheme_fee_minor: Option<i64>,
    /// The bank's commission, in minor units.
    pub commission_minor: Option<i64>,
    /// Its amount as the bank has it, in minor units; none in another currency.
    pub bank_minor: Option<i64>,
    /// Why the bank does not settle it.
    pub reject_code: Option<String>,
    /// Whether it is of an earlier day, whose report may have missed it.
    pub was_missed: bool,
}

/// Where a line of a report stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineState {
    /// Its item is looked for when all lines have come.
    Open,
    /// It is about an item, with others or alone.
    Matched,
    /// It is about an item that another line has settled.
    OnceMore,
    /// It may be about several items, or other lines about its item.
    Ambiguous,
    /// It is about nothing that payswitch has.
    Unknown,
}

impl LineState {
    const ALL: [Self; 5] = [
        Self::Open,
        Self::Matched,
        Self::OnceMore,
        Self::Ambiguous,
        Self::Unknown,
    ];

    /// The name that the store and the API use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Matched => "MATCHED",
            Self::OnceMore => "ONCE_MORE",
            Self::Ambiguous => "AMBIGUOUS",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What came of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineOutcome {
    /// Its number.
    pub number: i64,
    /// Where it stands.
    pub state: LineState,
    /// Whose item it is about; of several, the first.
    pub operation_id: Option<OperationId>,
    /// The rule that says so.
    pub rule: Option<String>,
}

/// The rule of what a person has matched.
pub const BY_HAND: &str = "by-hand";

/// What a person says that a line is about, together with a step of its discrepancy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineChange {
    /// It is about these items, 1 to 14 of them.
    Matched(Vec<ItemReport>),
    /// It is about nothing that a person has said, and is as `outcome` says.
    Undone {
        /// What came of it then.
        outcome: LineOutcome,
        /// When a person had said so. What was charged or funded since stays.
        matched_at: UnixMillis,
    },
}

/// A line as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLine {
    /// Its number.
    pub number: i64,
    /// The acceptor (DE 42) that it names.
    pub acceptor: String,
    /// Its currency.
    pub currency: Currency,
    /// What it says, as JSON.
    pub said: String,
}

/// What some lines of a report come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppliedLines {
    /// What came of each of them.
    pub lines: Vec<LineOutcome>,
    /// How many of them have an item.
    pub matched: i64,
    /// What they say of items.
    pub items: Vec<ItemReport>,
    /// What they have otherwise.
    pub differences: Vec<Difference>,
}
