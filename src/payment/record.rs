//! `Payment` and `Operation`: the records that flows change, the store keeps and the API shows.

use serde::{Deserialize, Serialize};

use super::amounts::Amounts;
use super::ids::{HostId, MerchantId, NodeId, OperationId, PaymentId, SubjectId};
use super::moment::{BusinessDate, NumberDate, UnixMillis};
use super::money::Money;
use super::operation::OperationState;
use super::operation_kind::OperationKind;
use super::reason::Reason;
use super::reference::{Mti, Rrn, Stan};
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// What the merchant asked for.
    pub amount: Money,
    /// What was authorized, captured, refunded and disputed so far.
    pub amounts: Amounts,
    /// Where it stands.
    pub state: PaymentState,
    /// What may be shown of the card.
    pub card: CardSummary,
    /// By which its merchant knows the card again: 64 hex digits; none for payments of versions that made none.
    pub fingerprint: Option<String>,
    /// The exchange that authorizes it, as the host knows it.
    pub authorization: Authorization,
    /// When it was recorded first.
    pub created_at: UnixMillis,
    /// When it last changed.
    pub updated_at: UnixMillis,
    /// 1 when recorded, one more with each change.
    pub version: i64,
}

/// Of the operation that authorizes a payment: what a merchant asks its bank with. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// The operation.
    pub operation_id: OperationId,
    /// An authorization, or a sale.
    pub kind: OperationKind,
    /// The host it goes to.
    pub host_id: HostId,
    /// Its message type.
    pub mti: Mti,
    /// DE 11.
    pub stan: Stan,
    /// DE 37.
    pub rrn: Rrn,
    /// DE 7, sent as MMDDhhmmss in UTC.
    pub transmitted_at: UnixMillis,
    /// DE 41: up to eight characters.
    pub terminal_id: String,
}

/// A data element, or a part of one, that a later message needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Element {
    /// Its number, and that of its part, for instance `15` or `48.002`.
    pub name: String,
    /// What it held.
    pub value: String,
}

/// How often a message that is repeated until the host acknowledges it was sent, and when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// How often it was sent, or was about to be.
    pub count: u32,
    /// When it was sent first.
    pub first_at: Option<UnixMillis>,
    /// When it was sent last.
    pub last_at: Option<UnixMillis>,
    /// When it is sent next; none where it is not, or an operator has to look at it.
    pub next_at: Option<UnixMillis>,
}

/// One exchange with a host, on behalf of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its name.
    pub id: OperationId,
    /// The payment it belongs to.
    pub payment_id: PaymentId,
    /// What it is for.
    pub kind: OperationKind,
    /// Where it stands.
    pub state: OperationState,
    /// The operation that it completes or undoes.
    pub original_id: Option<OperationId>,
    /// Why it does; none for one that does neither, and for reversals of versions that did not record it.
    pub reason: Option<Reason>,
    /// The capture or refund that it carries out, or whose message it undoes.
    pub subject_id: Option<SubjectId>,
    /// The host it goes to.
    pub host_id: HostId,
    /// DE 4 and DE 49. Of a release what it gives back.
    pub amount: Money,
    /// Whether the merchant takes less, where the host approves less.
    pub accepts_partial: bool,
    /// What is given back of the hold, in minor units. Of a last capture that has to be approved first, what it leaves;
    /// of a release, what of its original is given back with it, and was before.
    pub releases_minor: i64,
    /// Its message type.
    pub mti: Mti,
    /// DE 11; none where payswitch itself has declined.
    pub stan: Stan,
    /// DE 37; none where payswitch itself has declined.
    pub rrn: Rrn,
    /// DE 7, sent as MMDDhhmmss in UTC.
    pub transmitted_at: UnixMillis,
    /// The date under which `stan` and `rrn` are unique.
    pub number_date: NumberDate,
    /// DE 41: up to eight characters.
    pub terminal_id: String,
    /// After this moment no byte of it may be sent, and its outcome is unknown unless answered. A message that
    /// is repeated has its original's; a reversal is not sent before it.
    pub deadline: UnixMillis,
    /// The process that sends it and waits for the answer.
    pub node_id: NodeId,
    /// How long the host took, in microseconds; none before it answered.
    pub bank_us: Option<i64>,
    /// How often it was sent, where it is repeated.
    pub attempts: Attempts,
    /// What its message held that later messages repeat: of a message that is repeated itself, everything but
    /// the card.
    pub sent: Vec<Element>,
    /// What its answer held that later messages need.
    pub kept: Vec<Element>,
    /// When it was recorded first.
    pub created_at: UnixMillis,
    /// When it last changed.
    pub updated_at: UnixMillis,
    /// 1 when recorded, one more with each change: what a change compares and sets.
    pub version: i64,
}

/// The most increments of a payment. Each is undone by a message of its own, and all of these are one commit with a
/// void.
pub const MOST_INCREMENTS: i64 = 100;

impl Payment {
    /// Whether it was incremented as often as it can be, by its version: each increment changes a payment twice.
    #[must_use]
    pub const fn has_all_increments(&self) -> bool {
        self.version > 2 * MOST_INCREMENTS
    }

    /// Whether increments have added to its hold.
    #[must_use]
    pub fn is_incremented(&self) -> bool {
        self.amounts.confirmed_minor() > self.approved_minor()
    }

    /// What the bank approved of the authorization or the sale, in minor units, without what increments have added.
    #[must_use]
    pub fn approved_minor(&self) -> i64 {
        let partial = self.state.approval().and_then(|it| it.partial_minor);
        partial.unwrap_or(self.amount.amount_minor())
    }
}

/// DE 15, settlement date: its name in [`Operation::kept`].
const SETTLEMENT_DATE: &str = "15";

impl Operation {
    /// The date under which its host settles it, where the answer says so and the profile has that kept.
    #[must_use]
    pub fn settlement_date(&self) -> Option<BusinessDate> {
        let mut kept = self.kept.iter();
        let named = kept.find(|element| element.name == SETTLEMENT_DATE)?;
        BusinessDate::named(&named.value, NumberDate::of(self.updated_at).into())
    }

    /// What the host has approved of its amount: less, where it said so.
    #[must_use]
    pub fn approved_amount(&self) -> Money {
        let partial = match &self.state {
            OperationState::Approved { approval, .. } => approval.partial_minor,
            _ => None,
        };
        partial
            .and_then(|minor| Money::new(minor, self.amount.currency()).ok())
            .unwrap_or(self.amount)
    }

    /// Whether its message is a request, which is written to a line once at most and counts no attempts, and may have
    /// left.
    #[must_use]
    pub fn was_written_once(&self) -> bool {
        use OperationState as S;
        let is_repeated = matches!(self.kind, OperationKind::Reversal | OperationKind::Release);
        if is_repeated || !self.mti.is_request() || self.attempts.count > 0 {
            return false;
        }
        match self.state {
            S::Created | S::Queued | S::Recorded | S::Cancelled => false,
            S::Rejected { .. } | S::Suspended { .. } => false,
            S::Declined { ref decline } => !decline.is_own(),
            S::Sent | S::Approved { .. } => true,
            S::Unknown { .. } | S::Reversed | S::Resolved { .. } => true,
        }
    }

    /// How often its message was sent, or was about to be.
    #[must_use]
    pub fn times_sent(&self) -> u32 {
        match self.attempts.count {
            0 => u32::from(self.was_written_once()),
            count => count,
        }
    }

    /// What its payment shows of it, where it is the one that authorizes.
    #[must_use]
    pub fn as_authorization(&self) -> Authorization {
        Authorization {
            operation_id: self.id,
            kind: self.kind,
            host_id: self.host_id,
            mti: self.mti,
            stan: self.stan,
            rrn: self.rrn,
            transmitted_at: self.transmitted_at,
            terminal_id: self.terminal_id.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::decline::{Decline, FailureReason, UnknownReason};
    use crate::payment::operation::ResolvedBy;
    use crate::payment::samples::operation;

    #[test]
    fn only_a_request_that_may_have_left_was_written_once() {
        use OperationKind as K;
        use OperationState as S;
        let reason = UnknownReason::NoAnswerInTime;
        let resolved = S::Resolved {
            by: ResolvedBy::Operator,
            response_code: None,
            took_effect: false,
            decline: None,
        };
        let rejected = S::Rejected {
            reason: FailureReason::HostBusy,
        };
        let declined_here = S::Declined {
            decline: Decline::RISK_LIMIT,
        };
        for (kind, mti, state, expected) in [
            (K::Refund, "0200", S::Created, false),
            (K::Refund, "0200", rejected, false),
            (K::Sale, "0200", declined_here, false),
            (K::Refund, "0200", S::Unknown { reason }, true),
            (K::Refund, "0200", resolved.clone(), true),
            // An advice may have been suspended before its first attempt.
            (K::Refund, "0220", resolved.clone(), false),
            // What could never be built has the message type of its original.
            (K::Reversal, "0100", resolved, false),
        ] {
            let mti = mti.parse().unwrap();
            let case = format!("{kind:?} {mti} {state:?}");
            let operation = Operation {
                kind,
                mti,
                state,
                ..operation()
            };
            assert_eq!(operation.was_written_once(), expected, "{case}");
        }
    }
}
