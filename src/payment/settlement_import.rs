//! What a bank reports of a closed day, and where that is otherwise than here.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};

use super::ids::{DiscrepancyId, HostId, ImportId, MerchantId, OperationId, PaymentId, SubjectId};
use super::moment::{BusinessDate, UnixMillis};
use super::money::Currency;
use super::record::CardBrand;
use super::reference::Rrn;
use super::settlement::ItemKind;

/// Where a file stands that was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImportState {
    /// All of it was read, and nothing is wrong with it.
    Received,
    /// Some of its lines are applied.
    Applying,
    /// It is applied.
    Done,
    /// Another file came in its place.
    Amended,
}

impl ImportState {
    const ALL: [Self; 4] = [Self::Received, Self::Applying, Self::Done, Self::Amended];

    /// The name that the store and the API use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "RECEIVED",
            Self::Applying => "APPLYING",
            Self::Done => "DONE",
            Self::Amended => "AMENDED",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// One of the files in which a bank reports a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportCycle {
    /// Its number, from 1.
    pub number: i64,
    /// How many files the date has.
    pub of_day: i64,
}

impl fmt::Display for ReportCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.number, self.of_day)
    }
}

/// A report that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementImport {
    /// Its name.
    pub id: ImportId,
    /// Whose report it is.
    pub host_id: HostId,
    /// The file's name, for people.
    pub name: String,
    /// The SHA-256 of the file.
    pub sha256: [u8; 32],
    /// The date that it is about.
    pub business_date: BusinessDate,
    /// Which cycle of the date it is; none where the bank reports a date in one file.
    pub cycle: Option<ReportCycle>,
    /// How many lines it has.
    pub lines: i64,
    /// Where it stands.
    pub state: ImportState,
    /// How many of its lines were applied.
    pub applied_to: i64,
    /// How many of them have an item.
    pub matched: i64,
    /// Whether an amended import of the date has left what is to be cleared before a line is applied.
    pub clears: bool,
    /// Who gave it.
    pub operator: String,
    /// When.
    pub at: UnixMillis,
}

/// The cycles of a date that have not come, and of which a later one has. `reports` are those of the date that stand.
#[must_use]
pub fn missing_cycles(reports: &[SettlementImport]) -> Vec<i64> {
    let came: Vec<i64> = (reports.iter())
        .filter_map(|report| Some(report.cycle?.number))
        .collect();
    let last = came.iter().copied().max().unwrap_or(0);
    (1..last).filter(|number| !came.contains(number)).collect()
}

/// Whether all cycles of a date are applied. `reports` are those of the date that stand.
#[must_use]
pub fn has_all_cycles(reports: &[SettlementImport], cycle: ReportCycle) -> bool {
    let is_applied = |number| {
        let mut reports = reports.iter();
        reports.any(|report| {
            let is_it = report.cycle.is_some_and(|cycle| cycle.number == number);
            is_it && report.state == ImportState::Done
        })
    };
    (1..=cycle.of_day).all(is_applied)
}

/// What the differences of a host's reports mean for the batches that they are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReportRule {
    /// They are funded all the same.
    DifferencesPass,
    /// They are funded once an approver has accepted the differences.
    DifferencesHold,
}

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
