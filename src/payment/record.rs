//! `Payment` and `Operation`: the records that flows change, the store keeps and the API shows.

use serde::{Deserialize, Serialize};

use super::ids::{HostId, MerchantId, NodeId, OperationId, PaymentId};
use super::moment::{BusinessDate, UnixMillis};
use super::money::Money;
use super::operation::{OperationKind, OperationState};
use super::reference::{Rrn, Stan};
use super::state::PaymentState;

/// Card brands, by their public BIN ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardBrand {
    /// 4.
    Visa,
    /// 51-55, 2221-2720.
    Mastercard,
    /// 34, 37.
    AmericanExpress,
    /// 6011, 644-649, 65.
    Discover,
    /// 3528-3589.
    Jcb,
    /// 36, 38, 300-305.
    DinersClub,
    /// 62.
    UnionPay,
    /// Any other range.
    Other,
}

/// What may be shown of a card: never more than BIN and last four.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CardSummary {
    /// The brand, by BIN range.
    pub brand: CardBrand,
    /// The first six digits of the PAN.
    pub bin: String,
    /// The last four digits of the PAN.
    pub last_four: String,
}

/// One payment of one merchant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Its name in the API.
    pub id: PaymentId,
    /// Whose it is.
    pub merchant_id: MerchantId,
    /// The merchant's own order reference, 1 to 64 printable characters.
    pub merchant_reference: String,
    /// The merchant's own customer reference, up to 64 printable characters.
    pub customer_reference: Option<String>,
    /// What the payment is for, in the merchant's words, up to 200 characters.
    pub description: Option<String>,
    /// DE 41 of the authorization: up to eight characters.
    pub terminal_id: String,
    /// What the merchant asked for.
    pub amount: Money,
    /// What the issuer holds or held, in minor units of `amount`'s currency.
    pub authorized_minor: i64,
    /// What was captured, pending captures counted; never above `authorized_minor`.
    pub captured_minor: i64,
    /// What was refunded, pending refunds counted; never above `captured_minor`.
    pub refunded_minor: i64,
    /// What is disputed.
    pub disputed_minor: i64,
    /// Where it stands.
    pub state: PaymentState,
    /// What may be shown of the card.
    pub card: CardSummary,
    /// The host that the authorization goes to.
    pub host_id: HostId,
    /// DE 11 of the authorization.
    pub stan: Stan,
    /// DE 37 of the authorization.
    pub rrn: Rrn,
    /// The bank day it belongs to; it never changes.
    pub business_date: BusinessDate,
    /// When it was recorded first.
    pub created_at: UnixMillis,
    /// When it last changed.
    pub updated_at: UnixMillis,
    /// 1 when recorded, one more with each change: what a change compares and sets.
    pub version: i64,
}

/// One exchange with a host, on behalf of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its name.
    pub id: OperationId,
    /// The payment it belongs to.
    pub payment_id: PaymentId,
    /// What it is for.
    pub kind: OperationKind,
    /// Where it stands.
    pub state: OperationState,
    /// The host it goes to.
    pub host_id: HostId,
    /// DE 4 and DE 49.
    pub amount: Money,
    /// DE 11.
    pub stan: Stan,
    /// DE 37.
    pub rrn: Rrn,
    /// DE 7, sent as MMDDhhmmss in UTC.
    pub transmitted_at: UnixMillis,
    /// The bank day under which `stan` and `rrn` are unique.
    pub business_date: BusinessDate,
    /// After this moment no byte of it may be sent, and its outcome is unknown unless answered.
    pub deadline: UnixMillis,
    /// The process that recorded it and waits for the answer.
    pub node_id: NodeId,
    /// How long the host took, in microseconds; none before it answered.
    pub bank_us: Option<i64>,
    /// When it was recorded first.
    pub created_at: UnixMillis,
    /// When it last changed.
    pub updated_at: UnixMillis,
    /// 1 when recorded, one more with each change: what a change compares and sets.
    pub version: i64,
}
