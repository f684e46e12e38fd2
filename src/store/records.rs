//! What the store is asked to keep, and what it answers: here of payments, their cards, and the store itself.
//!
//! - [`callers`]: who calls, and what they did. [`keys`]: sealing keys. [`lists`]: what lists show. [`settlement`]: what is
//!   settled. [`statements`]: what statements of bank accounts have.

pub mod callers;
pub mod keys;
pub mod lists;
pub mod settlement;
pub mod statements;

use std::fmt;

use crate::payment::amounts::Amounts;
use crate::payment::decline::ResponseCode;
use crate::payment::event_kind::EventKind;
use crate::payment::ids::{HostId, MerchantId, OperationId, PaymentId, QuarantineId};
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::{Rrn, Stan};
use crate::payment::state::PaymentState;

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

/// What was counted of a subject in a window, for a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskCount {
    /// The name of the limit.
    pub limit: String,
    /// What was counted: the merchant where it is counted for each apart, a bar, and a keyed hash or an address.
    pub subject: String,
    /// When the window began, in milliseconds.
    pub begins_ms: i64,
    /// From when on nobody asks for it, in milliseconds.
    pub ends_ms: i64,
    /// What is added, or what all nodes together have counted.
    pub count: i64,
}

/// A seal of the ledger as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSeal {
    /// Its number.
    pub number: i64,
    /// Its line, also where that is no seal any more.
    pub line: String,
}
