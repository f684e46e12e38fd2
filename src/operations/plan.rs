//! What a flow wants recorded: the operation, what it does to its payment, what it makes and owes beside itself.

use crate::card::pan::Card;
use crate::hosts::message::definition::Travel;
use crate::payment::adjustment::Adjustment;
use crate::payment::ids::{CaptureId, HostId, OperationId, SubjectId};
use crate::payment::money::Money;
use crate::payment::operation_kind::OperationKind;
use crate::payment::reason::Reason;
use crate::payment::record::{CardSummary, Operation, Payment};
use crate::payment::reference::Mti;
use crate::payment::state::PaymentState;
use crate::store::change::EnvelopeUse;

use super::basis::Way;

/// What a flow wants recorded and sent.
#[derive(Debug)]
pub struct Plan {
    /// The kind of the operation.
    pub kind: OperationKind,
    /// How it travels. Where no answer is waited for, the merchant is told what is recorded here.
    pub travel: Travel,
    /// What it does to the payment.
    pub payment: PlannedPayment,
    /// Whether it rests on more than the payment's state and amounts, so that nothing may have changed the payment
    /// since it was read.
    pub unmoved: bool,
    /// DE 4 and DE 49.
    pub amount: Money,
    /// Whether the merchant takes less, where the host approves less.
    pub accepts_partial: bool,
    /// The host that the message goes to.
    pub host_id: HostId,
    /// The message type that the host's profile says.
    pub mti: Mti,
    /// DE 41: up to eight characters.
    pub terminal_id: String,
    /// The operation that this one completes or undoes.
    pub original_id: Option<OperationId>,
    /// The reason, where the message names one.
    pub reason: Option<Reason>,
    /// The card of a new payment. It is wiped once the bank has answered.
    pub card: Option<Card>,
    /// The sealed card, which works once.
    pub envelope: Option<EnvelopeUse>,
    /// The recorded capture that the operation undoes.
    pub subject_id: Option<SubjectId>,
    /// What the operation makes beside itself.
    pub resource: Option<NewResource>,
    /// What is owed to the host as soon as the operation is recorded, whatever becomes of the operation.
    pub owes: Vec<Owes>,
    /// As [`Operation::releases_minor`].
    pub releases_minor: i64,
}

/// What an operation makes beside itself.
#[derive(Debug)]
pub enum NewResource {
    /// A capture of the operation's amount.
    Capture {
        /// Whether it is the last one.
        is_final: bool,
        /// The merchant's own reference of it.
        merchant_reference: Option<String>,
    },
    /// A refund of the operation's amount.
    Refund {
        /// What it is given back of. The operation's original is that of this capture.
        capture_id: CaptureId,
        /// The merchant's own reference of it.
        merchant_reference: Option<String>,
    },
}

impl Plan {
    /// A later operation of a recorded payment, under the payment's terminal.
    #[must_use]
    pub fn later(
        payment: Box<Payment>,
        (kind, way): (OperationKind, Way),
        amount: Money,
        adjustment: Adjustment,
    ) -> Self {
        let first = &payment.authorization;
        Self {
            kind,
            travel: way.travel,
            unmoved: way.only_one,
            amount,
            accepts_partial: false,
            host_id: first.host_id,
            mti: way.mti.unwrap_or(first.mti),
            terminal_id: first.terminal_id.clone(),
            original_id: Some(first.operation_id),
            payment: PlannedPayment::Adjusted {
                payment,
                adjustment,
            },
            reason: None,
            card: None,
            envelope: None,
            subject_id: None,
            resource: None,
            owes: Vec::new(),
            releases_minor: 0,
        }
    }
}

#[cfg(test)]
impl Plan {
    /// The payment after it, of a plan that adjusts one: for tests.
    pub(crate) fn after_it(&self) -> Box<Payment> {
        let PlannedPayment::Adjusted {
            payment,
            adjustment,
        } = &self.payment
        else {
            panic!("it makes a payment");
        };
        adjustment.apply(payment.clone()).unwrap()
    }
}

/// What an operation does to its payment before it is sent.
#[derive(Debug)]
pub enum PlannedPayment {
    /// It makes it.
    New(Box<NewPayment>),
    /// It changes it, under the guard of the adjustment.
    Adjusted {
        /// The payment as it was read.
        payment: Box<Payment>,
        /// The change.
        adjustment: Adjustment,
    },
}

/// A payment that is not recorded yet.
#[derive(Debug)]
pub struct NewPayment {
    /// The merchant's order reference.
    pub merchant_reference: String,
    /// The merchant's customer reference.
    pub customer_reference: Option<String>,
    /// What it is for, in the merchant's words.
    pub description: Option<String>,
    /// What the merchant asked for.
    pub amount: Money,
    /// What may be shown of the card.
    pub card: CardSummary,
    /// The state that it begins in.
    pub state: PaymentState,
    /// Whether later messages may need the card, so that it is kept.
    pub keeps_card: bool,
}

/// A message that becomes owed. It is recorded together with the operation that owes it, as that operation's intent or
/// its outcome, and sent as the host's profile says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owes {
    /// Its kind.
    pub kind: OperationKind,
    /// The operation that it completes or undoes. Where it is none, the one that owes it; of a release, those messages
    /// of the hold that it takes ([`releases`](super::hold::releases)).
    pub original_id: Option<OperationId>,
    /// Why.
    pub reason: Reason,
    /// Its amount.
    pub amount: Money,
    /// Of a release, what of its original is released with it, in minor units, and was before.
    pub releases_minor: i64,
}

impl Owes {
    /// The reversal of `operation`, which owes it.
    #[must_use]
    pub fn reversal(operation: &Operation, reason: impl Into<Reason>) -> Self {
        Self {
            kind: OperationKind::Reversal,
            original_id: None,
            reason: reason.into(),
            amount: operation.amount,
            releases_minor: 0,
        }
    }

    /// The release of so much of the hold of `payment`; nothing where nothing is left.
    #[must_use]
    pub fn release(payment: &Payment, amount_minor: i64) -> Vec<Self> {
        let amount = Money::new(amount_minor, payment.amount.currency());
        let amount = amount.ok().filter(|_| amount_minor > 0);
        Vec::from_iter(amount.map(|amount| Self {
            kind: OperationKind::Release,
            original_id: None,
            reason: Reason::Release,
            amount,
            releases_minor: 0,
        }))
    }
}
