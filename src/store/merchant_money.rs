//! What is kept of merchants' money: their terms, the fees of what is settled, payouts and the orders that they are in.

use std::fmt;

use crate::payment::ids::{
    AccountChangeId, BatchId, HostId, MerchantId, OperationId, OrderId, PaymentId, PayoutId,
    SubjectId,
};
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::money::{Currency, Money};
use crate::payment::payout::PayoutState;
use crate::payment::record::CardBrand;
use crate::payment::settlement::{BatchKey, ItemFees, ItemKind};

/// An account as it is kept: JSON. Its number is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountText(pub String);

impl fmt::Debug for AccountText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountText(masked)")
    }
}

/// The terms of a merchant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermsRecord {
    /// Whose they are.
    pub merchant_id: MerchantId,
    /// From 1; one more with each change.
    pub version: i64,
    /// Its name in orders and on statements; empty where nobody has set one.
    pub legal_name: String,
    /// What it pays, as JSON.
    pub fee_plan: Option<String>,
    /// When it is paid, as JSON.
    pub payout_plan: Option<String>,
    /// Where it is paid to.
    pub account: Option<AccountText>,
    /// When they were changed last.
    pub updated_at: UnixMillis,
}

/// A plan of a merchant's terms, as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan<'a> {
    /// What it pays.
    Fees(&'a str),
    /// When it is paid.
    Payouts(&'a str),
}

/// Where a change of an account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountChangeState {
    /// An operator has asked for it.
    Pending,
    /// Another one has confirmed it; its time has not come.
    Confirmed,
    /// Payouts go there, or went until the next change. Final.
    Effective,
    /// It never came to be. Final.
    Cancelled,
}

impl AccountChangeState {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Pending,
        Self::Confirmed,
        Self::Effective,
        Self::Cancelled,
    ];

    /// The name that the store uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Confirmed => "CONFIRMED",
            Self::Effective => "EFFECTIVE",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A change of the account that a merchant's payouts go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountChange {
    /// Its name.
    pub id: AccountChangeId,
    /// Whose account it is.
    pub merchant_id: MerchantId,
    /// The new account.
    pub account: AccountText,
    /// Where it stands.
    pub state: AccountChangeState,
    /// Who asked for it.
    pub asked_by: String,
    /// When.
    pub asked_at: UnixMillis,
    /// Who confirmed it; none before.
    pub confirmed_by: Option<String>,
    /// When; none before.
    pub confirmed_at: Option<UnixMillis>,
    /// When payouts go there; none before it is confirmed.
    pub effective_at: Option<UnixMillis>,
}

/// A batch whose fees are not all computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeeBatch {
    /// The batch.
    pub id: BatchId,
    /// What it is of.
    pub key: BatchKey,
    /// The version of the terms by which they are computed; none where that has not begun. 0: the merchant has none.
    pub terms_version: Option<i64>,
    /// The plan of that version, as JSON.
    pub plan: Option<String>,
    /// The last item that is computed.
    pub computed_to: Option<SubjectId>,
}

/// An item whose fees are to be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemToCharge {
    /// The operation that it is.
    pub operation_id: OperationId,
    /// Of a refund: the operation of its capture.
    pub original_id: Option<OperationId>,
    /// The capture or refund.
    pub subject_id: SubjectId,
    /// Its payment.
    pub payment_id: PaymentId,
    /// Which way its money goes.
    pub kind: ItemKind,
    /// Its amount, above 0.
    pub amount: Money,
    /// The card's brand.
    pub brand: CardBrand,
    /// The interchange as the bank reports it, in minor units.
    pub bank_interchange_minor: Option<i64>,
    /// The scheme's fee, likewise.
    pub bank_scheme_fee_minor: Option<i64>,
}

/// An item of a payment that is settled, or will be with the same day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledItem {
    /// The operation that it is.
    pub operation_id: OperationId,
    /// Of a refund: the operation of its capture.
    pub original_id: Option<OperationId>,
    /// The capture or refund.
    pub subject_id: SubjectId,
    /// Which way its money goes.
    pub kind: ItemKind,
    /// The date that it is settled with.
    pub business_date: BusinessDate,
    /// Its amount, above 0.
    pub amount: Money,
    /// What it costs; none before that is computed, and where its merchant had no plan.
    pub fees: Option<ItemFees>,
}

/// A payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    /// Its name in the API.
    pub id: PayoutId,
    /// Who is paid.
    pub merchant_id: MerchantId,
    /// Whose bank pays.
    pub host_id: HostId,
    /// What is paid; above 0.
    pub amount: Money,
    /// What is held back instead, in minor units.
    pub reserve_minor: i64,
    /// When that is given back; none where nothing is held back.
    pub reserve_until: Option<BusinessDate>,
    /// What it gives back that was held back of earlier ones, in minor units.
    pub reserve_released_minor: i64,
    /// Where it stands.
    pub state: PayoutState,
    /// The date at its host on which it was made.
    pub made_on: BusinessDate,
    /// When it is expected to arrive.
    pub arrival_date: BusinessDate,
    /// Where it goes to.
    pub account: AccountText,
    /// The same, masked.
    pub destination: String,
    /// The order that it is in; none before.
    pub order_id: Option<OrderId>,
    /// The bank's own reference (UTR); none before the bank named it.
    pub bank_reference: Option<String>,
    /// Why it came back.
    pub return_reason: Option<String>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When its order was handed to the bank.
    pub sent_at: Option<UnixMillis>,
    /// When it was paid or returned.
    pub ended_at: Option<UnixMillis>,
}

/// What a merchant has at a host in one currency, up to a position: what a payout is decided by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PayableBalance {
    /// Up to this position.
    pub position: i64,
    /// What is available, in minor units. Negative: the merchant owes.
    pub available_minor: i64,
    /// What of it came back since the last payout was made, in minor units.
    pub came_back_minor: i64,
    /// Reserves that are to be given back, in minor units.
    pub reserve_due_minor: i64,
    /// Whether a payout was made on the date.
    pub is_paid_out: bool,
}

/// An order to a bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentOrderRecord {
    /// By which the bank knows it.
    pub id: OrderId,
    /// Whose payouts are in it.
    pub host_id: HostId,
    /// The account that pays, as JSON.
    pub debtor: AccountText,
    /// The name of its file.
    pub file_name: String,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// What became of a payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutEnd {
    /// Where it stood before.
    pub before: PayoutState,
    /// Where it stands now: PAID, RETURNED or FAILED.
    pub after: PayoutState,
    /// Why it came back or was refused.
    pub reason: Option<String>,
    /// The bank's own reference.
    pub bank_reference: Option<String>,
    /// When.
    pub at: UnixMillis,
}

/// Which payouts a list shows. Empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PayoutFilter {
    /// In this state.
    pub state: Option<PayoutState>,
    /// In this currency.
    pub currency: Option<Currency>,
    /// Made at this moment or later.
    pub created_from: Option<UnixMillis>,
    /// Made before this moment.
    pub created_before: Option<UnixMillis>,
}
