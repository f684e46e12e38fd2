//! Where a bank's report of a closed day is otherwise than here.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};

use super::ids::{DiscrepancyId, HostId, MerchantId, OperationId, SubjectId};
use super::moment::{BusinessDate, UnixMillis};
use super::money::Currency;
use super::reference::Rrn;
use super::settlement_import::SettlementImport;

/// In what way a report is otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DifferenceKind {
    /// The bank has another amount.
    AmountDiffers,
    /// The bank has another currency.
    CurrencyDiffers,
    /// The bank has another date, or the item is one of another day here.
    DateDiffers,
    /// The bank settles twice what is one item.
    DuplicateLine,
    /// The bank says nothing of an item.
    NotInReport,
    /// The bank does not settle an item.
    Rejected,
    /// The bank settles what is no item.
    UnexpectedLine,
    /// A chargeback is above what is left of its payment.
    AboveCaptured,
    /// The bank takes what it should give, or gives what it should take.
    SignDiffers,
    /// The bank settles in the report of a later day what it left out.
    LatePresentment,
    /// The bank has another RRN or approval code.
    ReferenceDiffers,
    /// A line may be about several items, or several lines about one.
    Ambiguous,
    /// The bank settles what payswitch has undone, or is undoing.
    ReversalNotApplied,
    /// The bank keeps other fees than is agreed with it.
    FeeDiffers,
}

impl DifferenceKind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::AmountDiffers,
        Self::CurrencyDiffers,
        Self::DateDiffers,
        Self::DuplicateLine,
        Self::NotInReport,
        Self::Rejected,
        Self::UnexpectedLine,
        Self::AboveCaptured,
        Self::SignDiffers,
        Self::LatePresentment,
        Self::ReferenceDiffers,
        Self::Ambiguous,
        Self::ReversalNotApplied,
        Self::FeeDiffers,
    ];

    /// The name that the store and the API use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AmountDiffers => "AMOUNT_DIFFERS",
            Self::CurrencyDiffers => "CURRENCY_DIFFERS",
            Self::DateDiffers => "DATE_DIFFERS",
            Self::DuplicateLine => "DUPLICATE_LINE",
            Self::NotInReport => "NOT_IN_REPORT",
            Self::Rejected => "REJECTED",
            Self::UnexpectedLine => "UNEXPECTED_LINE",
            Self::AboveCaptured => "ABOVE_CAPTURED",
            Self::SignDiffers => "SIGN_DIFFERS",
            Self::LatePresentment => "LATE_PRESENTMENT",
            Self::ReferenceDiffers => "REFERENCE_DIFFERS",
            Self::Ambiguous => "AMBIGUOUS",
            Self::ReversalNotApplied => "REVERSAL_NOT_APPLIED",
            Self::FeeDiffers => "FEE_DIFFERS",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name of a discrepancy of this kind, from whichever books it comes.
    #[must_use]
    pub const fn discrepancy_name(self) -> &'static str {
        match self {
            Self::NotInReport => "MISSING_AT_BANK",
            Self::UnexpectedLine => "UNKNOWN_TO_PAYSWITCH",
            Self::DuplicateLine => "DUPLICATE_AT_BANK",
            Self::Rejected => "OUTCOME_DIFFERS",
            Self::AmountDiffers
            | Self::CurrencyDiffers
            | Self::DateDiffers
            | Self::AboveCaptured
            | Self::SignDiffers
            | Self::LatePresentment
            | Self::ReferenceDiffers
            | Self::Ambiguous
            | Self::ReversalNotApplied
            | Self::FeeDiffers => self.name(),
        }
    }

    /// The one with this name of a discrepancy.
    #[must_use]
    pub fn from_discrepancy_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.discrepancy_name() == name)
    }
}

/// What a report has otherwise than payswitch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// In what way.
    pub kind: DifferenceKind,
    /// The host of the batch that it is about.
    pub host_id: HostId,
    /// The date of that batch.
    pub business_date: BusinessDate,
    /// Its merchant; none where no merchant is known of the line.
    pub merchant_id: Option<MerchantId>,
    /// Its currency.
    pub currency: Currency,
    /// The operation whose item it is of, or which a line is about that is no item; none of what payswitch does not know.
    pub operation_id: Option<OperationId>,
    /// The capture or refund of that.
    pub subject_id: Option<SubjectId>,
    /// The RRN, as the report has it.
    pub rrn: Option<String>,
    /// Minor units, a date or a currency, as the kind says; none where payswitch has nothing.
    pub ours: Option<String>,
    /// The same of the bank.
    pub theirs: Option<String>,
    /// The number of the report's line; none of what it does not have.
    pub line: Option<i64>,
    /// When an approver accepted it, or it was corrected.
    pub accepted_at: Option<UnixMillis>,
    /// The rule that found it.
    pub rule: Option<String>,
    /// What the line may be about, where that is not decided.
    pub candidates: Vec<LikeItem>,
}

/// A capture or refund that a line may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LikeItem {
    /// It.
    pub subject_id: SubjectId,
    /// The RRN of its message.
    pub rrn: Rrn,
}

impl fmt::Display for LikeItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.subject_id, self.rrn)
    }
}

impl FromStr for LikeItem {
    type Err = InvalidLikeItem;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once(':');
        let read = parts.and_then(|(subject, rrn)| {
            Some(Self {
                subject_id: subject.parse().ok()?,
                rrn: rrn.parse().ok()?,
            })
        });
        read.ok_or(InvalidLikeItem)
    }
}

/// A text that names no capture or refund with its RRN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the id of a capture or refund, a colon and an RRN")]
pub struct InvalidLikeItem;

impl Difference {
    /// Whether it is of a line that settles no item. What such a line is about has no rule by which it would be matched.
    #[must_use]
    pub const fn is_of_line(&self) -> bool {
        match self.kind {
            DifferenceKind::DuplicateLine
            | DifferenceKind::UnexpectedLine
            | DifferenceKind::Ambiguous
            | DifferenceKind::ReversalNotApplied => true,
            DifferenceKind::AmountDiffers => self.line.is_some() && self.rule.is_none(),
            DifferenceKind::CurrencyDiffers
            | DifferenceKind::DateDiffers
            | DifferenceKind::NotInReport
            | DifferenceKind::Rejected
            | DifferenceKind::AboveCaptured
            | DifferenceKind::SignDiffers
            | DifferenceKind::LatePresentment
            | DifferenceKind::ReferenceDiffers
            | DifferenceKind::FeeDiffers => false,
        }
    }

    /// Its name: what it is of, so that the same thing is not found twice. It sorts by when the report was given.
    #[must_use]
    pub fn id(&self, import: &SettlementImport) -> DiscrepancyId {
        // Of a line without an item there is one difference, and of an item one of each kind, but for references: each of
        // the lines that are one item has its own.
        let of = match (self.operation_id, self.line) {
            (_, Some(line)) if self.is_of_line() => line.to_string(),
            (Some(operation), Some(line)) if self.kind == DifferenceKind::ReferenceDiffers => {
                format!("{operation} {line}")
            }
            (Some(operation), _) => operation.to_string(),
            (None, Some(line)) => line.to_string(),
            (None, None) => String::new(),
        };
        let text = format!("{} {of} {}", import.id, self.kind.name());
        let mut bits = [0; 10];
        for (bit, byte) in bits
            .iter_mut()
            .zip(digest(&SHA256, text.as_bytes()).as_ref())
        {
            *bit = *byte;
        }
        DiscrepancyId::from_parts(import.at, bits)
    }
}
