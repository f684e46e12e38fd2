//! What the store is asked to keep, and what it answers.

use std::fmt;
use std::str::FromStr;

use crate::payment::amounts::Amounts;
use crate::payment::decline::ResponseCode;
use crate::payment::event_kind::EventKind;
use crate::payment::ids::{
    AuditId, BatchId, ConnectionId, HostId, MerchantId, NodeId, OperationId, PaymentId,
    QuarantineId, RefundId, SubjectId,
};
use crate::payment::moment::{BusinessDate, NumberDate, UnixMillis};
use crate::payment::money::{Currency, Money};
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::{Rrn, Stan};
use crate::payment::settlement::{BatchState, ItemFees, ItemKind, SettlementBatch};
use crate::payment::settlement_import::{DifferenceKind, ReportedItem};
use crate::payment::state::PaymentState;
use crate::payment::totals::Totals;

/// The most items on one page of any list, and the most payments that one reference finds.
pub const MAX_PAGE_SIZE: usize = 1000;

/// Which store it is, and what a restore has left to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreIdentity {
    /// 32 hexadecimal digits.
    pub id: String,
    /// From 1; one more after each restore.
    pub epoch: i64,
    /// When the epoch was begun; 1970 for the first one.
    pub restored_at: UnixMillis,
    /// Where the numbers of each host begin on the dates up to `numbers_until`.
    pub first_number: u64,
    /// The last date that this holds for.
    pub numbers_until: Option<NumberDate>,
}

/// The number that a host is given next on a number date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextNumber {
    /// The host.
    pub host_id: HostId,
    /// The number date.
    pub date: NumberDate,
    /// The number.
    pub number: u64,
}

/// A request that was taken before, and what its merchant was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedAnswer {
    /// The payment that the request is about.
    pub payment_id: PaymentId,
    /// SHA-256 of what the request said.
    pub body_hash: [u8; 32],
    /// The payment and the operation as the merchant was told; `None` while the request is in progress.
    pub answer: Option<(Box<Payment>, Box<Operation>)>,
}

/// A response that came after the gateway had stopped waiting. Recording it changes no state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateResponse {
    /// The operation it answers.
    pub operation_id: OperationId,
    /// The host it came from.
    pub host_id: HostId,
    /// DE 39.
    pub response_code: ResponseCode,
    /// DE 38, up to six characters.
    pub approval_code: Option<String>,
    /// Whether it is over another amount than was asked for.
    pub amount_differs: bool,
    /// When it came.
    pub received_at: UnixMillis,
}

/// Something that happened to a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its place among all events of the store, from 1.
    pub position: i64,
    /// Whose payment it is.
    pub merchant_id: MerchantId,
    /// The payment.
    pub payment_id: PaymentId,
    /// The payment's version right after it.
    pub version: i64,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: UnixMillis,
    /// The operation that made the change.
    pub operation_id: OperationId,
    /// Where the payment stood right after it.
    pub state: PaymentState,
    /// Its amounts right after it.
    pub amounts: Amounts,
}

/// A response that matched nothing that was waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedResponse {
    /// Its name.
    pub id: QuarantineId,
    /// The host it came from.
    pub host_id: HostId,
    /// Why it matched nothing, in a few words.
    pub reason: String,
    /// Its message type.
    pub mti: String,
    /// DE 11, when it could be read.
    pub stan: Option<Stan>,
    /// DE 37, when it could be read.
    pub rrn: Option<Rrn>,
    /// DE 39, when it could be read.
    pub response_code: Option<ResponseCode>,
    /// The message for people, masked by the caller.
    pub message: String,
    /// When it came.
    pub received_at: UnixMillis,
}

/// An API key as it is kept: without the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// The public half of the key.
    pub key_id: String,
    /// Whose it is.
    pub merchant_id: MerchantId,
    /// HMAC-SHA256 of the whole key, public half included, under the pepper: 64 lower-case
    /// hexadecimal digits.
    pub secret_hmac_hex: String,
    /// For people.
    pub label: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was revoked; `None` while it is valid.
    pub revoked_at: Option<UnixMillis>,
}

impl fmt::Debug for ApiKeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyRecord")
            .field("key_id", &self.key_id)
            .field("merchant_id", &self.merchant_id)
            .field("label", &self.label)
            .field("created_at", &self.created_at)
            .field("revoked_at", &self.revoked_at)
            .finish_non_exhaustive()
    }
}

/// What an operator may do. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperatorRole {
    /// Reads.
    Viewer,
    /// Changes.
    Operator,
    /// Approves what others may only ask for.
    Approver,
}

impl OperatorRole {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Approver];

    /// Its name: `VIEWER`, `OPERATOR` or `APPROVER`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "VIEWER",
            Self::Operator => "OPERATOR",
            Self::Approver => "APPROVER",
        }
    }
}

/// A text that names no role of an operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected VIEWER, OPERATOR or APPROVER, got {got:?}")]
pub struct UnknownRole {
    /// The text as it came, cut to 60 characters.
    pub got: String,
}

impl FromStr for OperatorRole {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or_else(|| UnknownRole {
                got: text.chars().take(60).collect(),
            })
    }
}

/// Somebody who may use the operators' door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorRecord {
    /// The name that its certificate carries.
    pub name: String,
    /// What it may do.
    pub role: OperatorRole,
    /// Whether it may call at all.
    pub active: bool,
    /// When it was added.
    pub created_at: UnixMillis,
    /// The operator that added it, or who ran the command line.
    pub created_by: String,
}

/// What an operator did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its name; it sorts by time.
    pub id: AuditId,
    /// When.
    pub at: UnixMillis,
    /// Who.
    pub operator: String,
    /// What: the RPC's name.
    pub action: String,
    /// What it was done to: a host, an operator.
    pub target: String,
    /// Why, in the operator's words.
    pub reason: String,
    /// The operator's own name for the request, which is carried out once however often it comes.
    pub request_id: String,
    /// SHA-256 of what the request says.
    pub body_hash: [u8; 32],
    /// What came of it; `None` until that is known.
    pub outcome: Option<String>,
    /// The answer as it was sent, encoded; empty until there is one, and for an error.
    pub answer: Vec<u8>,
}

/// A client connection that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConnection {
    /// Its name.
    pub id: ConnectionId,
    /// The peer's IP address.
    pub peer_address: String,
    /// The peer's port.
    pub peer_port: u16,
    /// Who it is, when that is known.
    pub identity: Option<String>,
    /// When it came.
    pub connected_at: UnixMillis,
}

/// A client connection as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRecord {
    /// What is known since it came.
    pub connection: ClientConnection,
    /// The process that holds or held it.
    pub node_id: NodeId,
    /// When it left; `None` while it is open.
    pub disconnected_at: Option<UnixMillis>,
    /// Set when the row was closed for another reason than the connection's end.
    pub note: Option<String>,
}

/// Which payments a list shows. Empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// Names of states as [`crate::payment::state::PaymentState::name`] gives them.
    pub states: Vec<&'static str>,
    /// Made at this moment or later.
    pub created_from: Option<UnixMillis>,
    /// Made before this moment.
    pub created_before: Option<UnixMillis>,
    /// With exactly this order reference.
    pub merchant_reference: Option<String>,
    /// With exactly this customer reference.
    pub customer_reference: Option<String>,
    /// In this currency.
    pub currency: Option<Currency>,
}

/// In which order a list comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ListOrder {
    /// By the time they were made, newest first.
    #[default]
    NewestFirst,
    /// By the time they were made, oldest first.
    OldestFirst,
}

/// Where a list of payments goes on: after the payment it names. As text it is
/// `MILLISECONDS.PAYMENT`.
pub type PaymentCursor = Cursor<PaymentId>;

/// Where a list of refunds goes on.
pub type RefundCursor = Cursor<RefundId>;

/// Where a list goes on: after the item it names. As text it is `MILLISECONDS.ITEM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor<Id> {
    /// When the last item shown was made.
    pub created_at: UnixMillis,
    /// The last item shown.
    pub id: Id,
}

/// Which refunds a list shows. Empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefundFilter {
    /// Of this payment.
    pub payment_id: Option<PaymentId>,
    /// With exactly this reference.
    pub merchant_reference: Option<String>,
    /// Made at this moment or later.
    pub created_from: Option<UnixMillis>,
    /// Made before this moment.
    pub created_before: Option<UnixMillis>,
}

/// A text that is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a cursor that an earlier page gave, got {got:?}")]
pub struct InvalidCursor {
    /// The text as it came, cut to 60 characters.
    pub got: String,
}

impl<Id: fmt::Display> fmt::Display for Cursor<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.created_at.as_i64(), self.id)
    }
}

impl<Id: FromStr + fmt::Display> FromStr for Cursor<Id> {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('.').and_then(|(millis, id)| {
            let millis: i64 = millis.parse().ok()?;
            Some(Self {
                created_at: UnixMillis::new(millis),
                id: id.parse().ok()?,
            })
        });
        // Only the one text that `Display` writes is taken ("+1." would read as a number too).
        parsed
            .filter(|cursor| cursor.to_string() == text)
            .ok_or_else(|| InvalidCursor {
                got: text.chars().take(60).collect(),
            })
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<PaymentCursor>,
}

/// A data key of cards in custody.
#[derive(Clone, PartialEq, Eq)]
pub struct CustodyKey {
    /// Its version, from 1. The highest one seals.
    pub key_version: i64,
    /// The key, wrapped, base64url.
    pub wrapped: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it is to be destroyed, whatever it still seals.
    pub expires_at: UnixMillis,
    /// How many cards it sealed when they were counted last; none before that.
    pub entries: Option<i64>,
    /// When they are to be counted again.
    pub next_count: UnixMillis,
}

impl fmt::Debug for CustodyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustodyKey({}, masked)", self.key_version)
    }
}

/// The cards that a data key seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardsCounted {
    /// How many have not ended.
    pub kept: i64,
    /// When the next of them ends; at once where one has no end yet, for its end may come any time.
    pub next_end: UnixMillis,
}

/// A seal of the ledger as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSeal {
    /// Its number.
    pub number: i64,
    /// Its line, also where that is no seal any more.
    pub line: String,
}

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

/// An item that its bank settles under another date than the day that was open when it counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatedOtherwise {
    /// The capture or refund.
    pub subject_id: SubjectId,
    /// Its batch.
    pub batch_id: BatchId,
    /// The date in the bank's answer.
    pub bank_date: BusinessDate,
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

/// How many differences of one kind a report shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DifferenceCount {
    /// The kind.
    pub kind: DifferenceKind,
    /// How many.
    pub count: i64,
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
