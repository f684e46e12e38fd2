//! What a bank reports of a closed day, and where that is otherwise than here.

use super::ids::{HostId, ImportId, MerchantId, OperationId, PaymentId, SubjectId};
use super::moment::{BusinessDate, UnixMillis};
use super::money::Currency;
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
}

impl DifferenceKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::AmountDiffers,
        Self::CurrencyDiffers,
        Self::DateDiffers,
        Self::DuplicateLine,
        Self::NotInReport,
        Self::Rejected,
        Self::UnexpectedLine,
        Self::AboveCaptured,
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
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
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
    /// The operation whose item it is of; none of what is no item.
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
    /// When an approver accepted it.
    pub accepted_at: Option<UnixMillis>,
}

impl Difference {
    /// Its name: what it is of, so that the same thing is not found twice.
    #[must_use]
    pub fn id(&self, import: ImportId) -> String {
        // An item is settled with one line; of a line without an item there is one difference.
        match (self.kind, self.operation_id, self.line) {
            (DifferenceKind::DuplicateLine | DifferenceKind::UnexpectedLine, _, Some(line))
            | (_, None, Some(line)) => format!("{import}.{line:010x}.{}", self.kind.name()),
            (_, Some(operation), _) => format!("{import}.{operation}.{}", self.kind.name()),
            (_, None, None) => format!("{import}.{}", self.kind.name()),
        }
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
    /// The import that has settled it; none before.
    pub settled_by: Option<ImportId>,
    /// Of a chargeback: what refunds and chargebacks leave of the captures of its payment now, in minor units.
    pub left_minor: Option<i64>,
}

/// What a line says of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemReport {
    /// The item's operation.
    pub operation_id: OperationId,
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
}

/// What some lines of a report come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppliedLines {
    /// How many lines.
    pub lines: i64,
    /// How many of them have an item.
    pub matched: i64,
    /// What they say of items.
    pub items: Vec<ItemReport>,
    /// What they have otherwise.
    pub differences: Vec<Difference>,
}
