//! What is settled: batches, their items, and where lists of them go on.

use std::fmt;
use std::str::FromStr;

use super::lists::InvalidCursor;
use crate::payment::account_finding::AccountFindingKind;
use crate::payment::difference::DifferenceKind;
use crate::payment::discrepancy::DiscrepancyState;
use crate::payment::ids::{
    BankAccountName, BatchId, HostId, ImportId, PaymentId, PayoutId, SubjectId,
};
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::money::{Currency, Money};
use crate::payment::reference::Rrn;
use crate::payment::report_line::{LineOutcome, ReportedItem};
use crate::payment::settlement::{BatchKey, BatchState, ItemFees, ItemKind, SettlementBatch};
use crate::payment::totals::Totals;

/// Which batches a list shows. Empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchFilter {
    /// In this state.
    pub state: Option<BatchState>,
    /// With this host.
    pub host_id: Option<HostId>,
    /// Of this business date.
    pub business_date: Option<BusinessDate>,
    /// In this currency.
    pub currency: Option<Currency>,
}

impl BatchFilter {
    /// Whether it shows this one.
    #[must_use]
    pub fn shows(&self, batch: &SettlementBatch) -> bool {
        let key = &batch.key;
        self.state.is_none_or(|it| it == batch.state)
            && self.host_id.is_none_or(|it| it == key.host_id)
            && self.business_date.is_none_or(|it| it == key.business_date)
            && self.currency.is_none_or(|it| it == key.currency)
    }
}

/// The place of a batch in a list: after it the list goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BatchCursor {
    /// The batch's date.
    pub business_date: BusinessDate,
    /// The batch.
    pub id: BatchId,
}

impl BatchCursor {
    /// The place of this one.
    #[must_use]
    pub const fn of(batch: &SettlementBatch) -> Self {
        Self {
            business_date: batch.key.business_date,
            id: batch.id,
        }
    }
}

impl fmt::Display for BatchCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.business_date, self.id)
    }
}

impl FromStr for BatchCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('.').and_then(|(date, id)| {
            Some(Self {
                business_date: date.parse().ok()?,
                id: id.parse().ok()?,
            })
        });
        parsed.ok_or_else(|| InvalidCursor {
            got: text.chars().take(60).collect(),
        })
    }
}

/// Where a page of totals ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TotalsCursor {
    pub(in crate::store) merchant_id: String,
    pub(in crate::store) currency: String,
    pub(in crate::store) terminal_id: String,
}

impl TotalsCursor {
    /// The end of a page whose last totals are these.
    #[must_use]
    pub fn of(last: &Totals) -> Self {
        let merchant = last.key.merchant_id;
        Self {
            merchant_id: merchant.map_or_else(String::new, |merchant| merchant.to_string()),
            currency: last.key.currency.code().to_owned(),
            terminal_id: last.key.terminal_id.clone(),
        }
    }
}

impl fmt::Display for TotalsCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            merchant_id,
            currency,
            terminal_id,
        } = self;
        write!(f, "{currency}/{merchant_id}/{terminal_id}")
    }
}

impl FromStr for TotalsCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = || {
            let (currency, rest) = text.split_once('/')?;
            let (merchant_id, terminal_id) = rest.split_once('/')?;
            Some(Self {
                merchant_id: merchant_id.to_owned(),
                currency: currency.to_owned(),
                terminal_id: terminal_id.to_owned(),
            })
        };
        parts().ok_or_else(|| InvalidCursor {
            got: text.chars().take(60).collect(),
        })
    }
}

/// An item of a business date, as its host is told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedItem {
    /// The capture or refund.
    pub subject_id: SubjectId,
    /// Which of the two.
    pub kind: ItemKind,
    /// Its amount, in minor units, above 0.
    pub amount_minor: i64,
    /// DE 37.
    pub rrn: Rrn,
    /// DE 38 of the bank's approval; empty where there is none.
    pub approval_code: String,
    /// DE 41.
    pub terminal_id: String,
    /// DE 42 of its merchant.
    pub acceptor_id: String,
}

/// An item of a batch, with what its merchant and its bank know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementItem {
    /// The capture or refund.
    pub subject_id: SubjectId,
    /// Its payment.
    pub payment_id: PaymentId,
    /// Which of the two.
    pub kind: ItemKind,
    /// Its amount, above zero.
    pub amount: Money,
    /// The merchant's own reference of the order.
    pub merchant_reference: String,
    /// DE 37; none of what travels in no message.
    pub rrn: Option<Rrn>,
    /// The interchange as the bank reports it, in minor units.
    pub interchange_minor: Option<i64>,
    /// The scheme's fee, likewise.
    pub scheme_fee_minor: Option<i64>,
    /// The bank's commission, likewise.
    pub commission_minor: Option<i64>,
    /// Why the bank does not settle it.
    pub reject_code: Option<String>,
    /// What it costs; none before that is computed, and where its merchant had no plan then.
    pub fees: Option<ItemFees>,
}

/// A batch, as far as the notes of its items need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotedBatch {
    /// The batch.
    pub id: BatchId,
    /// What it is of.
    pub key: BatchKey,
    /// Where it stands.
    pub state: BatchState,
    /// Whether it is computed what its items cost.
    pub is_charged: bool,
    /// When it was funded: its money is available from then on; none before.
    pub funded_at: Option<UnixMillis>,
    /// The payout that pays it; none before there is one.
    pub payout_id: Option<PayoutId>,
    /// The bank's own reference of that; none before the bank named it.
    pub bank_reference: Option<String>,
}

/// How many differences of one kind a report shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DifferenceCount {
    /// The kind.
    pub kind: DifferenceKind,
    /// How many.
    pub count: i64,
}

/// What a report says of the items of one currency. A fee that it does not name counts as 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportedFees {
    /// The currency.
    pub currency: Currency,
    /// How many items it has.
    pub items: i64,
    /// How many of them the bank does not settle.
    pub rejected: i64,
    /// The interchange of all of them, in minor units.
    pub interchange_minor: i64,
    /// The fees of the schemes, in minor units.
    pub scheme_fee_minor: i64,
    /// The bank's commission, in minor units.
    pub commission_minor: i64,
}

/// A place among the items of a day; before all of them by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemPlace {
    pub(in crate::store) merchant_id: String,
    pub(in crate::store) currency: String,
    pub(in crate::store) subject_id: String,
}

impl ItemPlace {
    /// That of an item.
    #[must_use]
    pub fn of(item: &ReportedItem) -> Self {
        Self {
            merchant_id: item.merchant_id.to_string(),
            currency: item.currency.code().to_owned(),
            subject_id: item.subject_id.to_string(),
        }
    }
}

/// Which discrepancies a list shows. Empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DiscrepancyFilter {
    /// Those that have not ended.
    pub is_open: bool,
    /// Of this host.
    pub host_id: Option<HostId>,
    /// Of this date.
    pub business_date: Option<BusinessDate>,
    /// Of this kind, in a report; where one of an account is named too, of either.
    pub kind: Option<DifferenceKind>,
    /// Of this kind, on an account.
    pub account_kind: Option<AccountFindingKind>,
    /// Of this bank account.
    pub account: Option<BankAccountName>,
    /// In this state.
    pub state: Option<DiscrepancyState>,
    /// Of this report.
    pub import_id: Option<ImportId>,
    /// Of this capture or refund.
    pub subject_id: Option<SubjectId>,
    /// Found at this moment or later.
    pub found_from: Option<UnixMillis>,
    /// Found before this moment.
    pub found_before: Option<UnixMillis>,
}

/// A comparison with a bank's report, as a merchant sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRun {
    /// The report.
    pub import_id: ImportId,
    /// Whose it is.
    pub host_id: HostId,
    /// Of which date.
    pub business_date: BusinessDate,
    /// How many of the merchant's captures and refunds of the day a line of it settles.
    pub matched: i64,
    /// How many of its discrepancies are the merchant's.
    pub discrepancies: i64,
    /// When it was taken in.
    pub at: UnixMillis,
}

/// Which comparisons a list shows. Empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// This one.
    pub import_id: Option<ImportId>,
    /// With this host.
    pub host_id: Option<HostId>,
    /// Of this date.
    pub business_date: Option<BusinessDate>,
}

/// A line of a report, with an item that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptReportLine {
    /// What it says, as JSON.
    pub said: String,
    /// What came of it.
    pub outcome: LineOutcome,
    /// The capture, refund or chargeback.
    pub subject_id: Option<SubjectId>,
    /// The RRN of that.
    pub item_rrn: Option<Rrn>,
}
