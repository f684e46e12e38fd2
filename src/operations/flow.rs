//! What a flow is. The machine knows nothing else of captures, voids or authorizations.

use std::sync::Arc;

use crate::card::pan::Card;
use crate::hosts::exchange::Exchange;
use crate::hosts::message::definition::{Repeats, Travel, UnknownRule};
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::capture::Capture;
use crate::payment::decline::{Approval, Decline, FailureReason, ResponseCode, UnknownReason};
use crate::payment::event::PaymentEvent;
use crate::payment::ids::{CaptureId, HostId, OperationId, PaymentId, SubjectId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::money::Money;
use crate::payment::operation::{Acknowledged, OperationEvent, OperationKind, SuspendReason};
use crate::payment::planted::{Mistake, planted};
use crate::payment::reason::Reason;
use crate::payment::record::{CardSummary, Operation, Payment};
use crate::payment::reference::Mti;
use crate::payment::state::PaymentState;
use crate::random::HashMap;
use crate::store::change::EnvelopeUse;

/// What a merchant can ask for, and what is recorded before it is sent. All of it is decided from arguments; the
/// machine does what has to be waited for. What the end of an operation means is asked by its kind ([`Decide`]).
pub trait Flow: Send + Sync + 'static {
    /// What the merchant asks for, checked field by field.
    type Command: Send + Sync + 'static;
    /// What it begins on: nothing, or a recorded payment.
    type Basis: Basis;
    /// Why it can't be done. Nothing was recorded then.
    type Refusal: std::error::Error + Send + Sync + 'static;

    /// The RPC's name: request ids are unique for each merchant and method.
    const METHOD: &'static str;

    /// The recorded payment that the command is about; none where it makes a new one.
    fn payment_id(&self, command: &Self::Command) -> Option<PaymentId>;

    /// Whether it looks at the captures of this payment.
    fn reads_captures(&self, _payment: &Payment) -> bool {
        false
    }

    /// Whether it looks at the earlier operations of this payment, to whose host operations travel so.
    fn reads_operations(&self, _payment: &Payment, ways: &Ways) -> bool {
        ways.take_one()
    }

    /// Whether the flow looks at the day with which the payment's sale is settled.
    fn reads_settlement(&self, _payment: &Payment) -> bool {
        false
    }

    /// What is recorded, and then sent. `basis` is the payment that [`payment_id`](Self::payment_id) names.
    ///
    /// # Errors
    /// When the payment, the merchant or the command forbids it.
    fn plan(
        &self,
        merchant: &Merchant,
        command: &Self::Command,
        basis: Self::Basis,
        now: UnixMillis,
    ) -> Result<Plan, Self::Refusal>;
}

/// What an operation begins on.
pub trait Basis: Sized + Send {
    /// It, from what was found; none where that is not enough.
    fn of(found: Option<Found>) -> Option<Self>;
}

/// An operation that makes its payment.
impl Basis for () {
    fn of(_found: Option<Found>) -> Option<Self> {
        Some(())
    }
}

impl Basis for Found {
    fn of(found: Option<Found>) -> Option<Self> {
        found
    }
}

/// A recorded payment, and how its host takes operations of the flow's kind.
#[derive(Debug)]
pub struct Found {
    /// The payment as it was read.
    pub payment: Box<Payment>,
    /// How later operations travel to the payment's host.
    pub ways: Ways,
    /// The payment's captures, oldest first, each with its operation; empty for a flow that does not look at them.
    pub captures: Vec<(Capture, Operation)>,
    /// The payment's operations, oldest first, where the host takes only one of some kind, or the hold was incremented.
    pub earlier: Vec<Operation>,
    /// Whether its sale is settled with a day that is closed; false for a flow that does not look at that.
    pub in_clearing: bool,
}

#[cfg(test)]
impl Found {
    pub(crate) fn with_ways(payment: Payment, ways: Ways) -> Self {
        Self {
            payment: Box::new(payment),
            ways,
            captures: Vec::new(),
            earlier: Vec::new(),
            in_clearing: false,
        }
    }
}

/// How operations travel to a host, by their kind; those are not there that the host does not take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ways(pub Vec<(OperationKind, Way)>);

impl Ways {
    /// How operations of this kind travel, where the host takes them.
    #[must_use]
    pub fn of(&self, kind: OperationKind) -> Option<Way> {
        let known = self.0.iter().find(|(known, _)| *known == kind);
        known.map(|(_, way)| *way)
    }

    /// Whether the host takes only one operation of some kind.
    #[must_use]
    pub fn take_one(&self) -> bool {
        self.0.iter().any(|(_, way)| way.only_one)
    }
}

/// How operations of one kind travel to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// How.
    pub travel: Travel,
    /// The message type; none where no message travels.
    pub mti: Option<Mti>,
    /// Whether the message has all numbers of its original, so that the host would take a second one for a repeat.
    pub only_one: bool,
}

#[cfg(test)]
impl Way {
    pub(crate) const fn of(travel: Travel) -> Self {
        Self {
            travel,
            mti: None,
            only_one: false,
        }
    }
}

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

/// The operation whose exchange ended, and what must be known to decide what that means.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The payment as it was last seen.
    pub payment: &'a Payment,
    /// The operation before its end.
    pub operation: &'a Operation,
    /// How long an authorization holds its amount at this host, in days.
    pub hold_days: u16,
    /// What follows at this host when the outcome is not known.
    pub unknown: UnknownRule,
    /// Now.
    pub now: UnixMillis,
}

#[cfg(test)]
impl<'a> Subject<'a> {
    pub(crate) const fn of(
        (payment, operation): (&'a Payment, &'a Operation),
        unknown: UnknownRule,
        now: UnixMillis,
    ) -> Self {
        let hold_days = 7;
        Self {
            payment,
            operation,
            hold_days,
            unknown,
            now,
        }
    }
}

/// What the end of an exchange means for the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What happens to the operation, in this order.
    pub operation: Vec<OperationEvent>,
    /// What happens to the payment; none where nothing does, whatever came of the operation.
    pub payment: Option<PaymentEvent>,
    /// What is added to the payment's amounts by that.
    pub change: Amounts,
    /// What is owed to the host from now on.
    pub owes: Vec<Owes>,
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

/// A kind of operation that is owed: its message is sent again until the host acknowledges it.
pub trait OwedFlow: Send + Sync {
    /// What happens to the payment when the message is about to be sent for the first time.
    fn begun(&self, payment: &Payment) -> Option<PaymentEvent>;

    /// What the end of one attempt means.
    fn decide(&self, exchange: &Exchange, subject: &OwedSubject<'_>) -> OwedDecision;
}

/// A message that was sent, and what must be known to decide what its answer means.
#[derive(Debug, Clone, Copy)]
pub struct OwedSubject<'a> {
    /// The operation that is owed.
    pub operation: &'a Operation,
    /// The operation that it completes or undoes.
    pub original: &'a Operation,
    /// Their payment.
    pub payment: &'a Payment,
    /// How the host wants it repeated.
    pub repeats: &'a Repeats,
    /// Whether the host has said that it approved the original. Only asked where it now says that it knows none.
    pub approved: bool,
}

/// What the end of one attempt means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, from an answer to its record"
)]
pub enum OwedDecision {
    /// The host has acknowledged the message: nothing is owed any more.
    Done {
        /// The acknowledgement.
        approval: Approval,
        /// What the host said by it.
        acknowledged: Acknowledged,
        /// What happens to the original.
        original: Option<OperationEvent>,
        /// What happens to the payment, and what is added to its amounts.
        payment: Option<(PaymentEvent, Amounts)>,
    },
    /// The host has refused the message: nothing is owed any more, and it has no effect
    /// ([`without_effect`](crate::payment::adjustment::without_effect)).
    Refused(Decline),
    /// The host can't have seen the message: the attempt does not count.
    NotSent,
    /// The message is sent again after its back-off.
    Again,
    /// The message is sent again at this moment.
    AgainAt(UnixMillis),
    /// The message is not sent again until an operator has looked.
    Suspend {
        /// Why.
        reason: SuspendReason,
        /// DE 39, where the host refused it.
        response_code: Option<ResponseCode>,
    },
}

/// What the end of the exchange means of an operation of one kind.
pub type Decide = fn(&Exchange, &Subject<'_>) -> Decision;

/// How the exchange of an operation ended that a stopped process left unfinished. Its message may have been sent, so
/// nobody knows.
#[must_use]
pub fn unfinished() -> Exchange {
    match planted(Mistake::RecoveredAsNotSent) {
        true => Exchange::NotSent(FailureReason::HostBusy),
        false => Exchange::Unknown(UnknownReason::GatewayStopped),
    }
}

/// The flows by the kind of their operations.
#[derive(Default, Clone)]
pub struct FlowTable {
    requests: HashMap<OperationKind, Decide>,
    owed: HashMap<OperationKind, Arc<dyn OwedFlow>>,
}

impl FlowTable {
    /// The table with one kind of operation more.
    #[must_use]
    pub fn with(mut self, kind: OperationKind, decide: Decide) -> Self {
        self.requests.insert(kind, decide);
        self
    }

    /// The table with one flow more, whose operations of `kind` are owed.
    #[must_use]
    pub fn with_owed(mut self, kind: OperationKind, flow: Arc<dyn OwedFlow>) -> Self {
        self.owed.insert(kind, flow);
        self
    }

    /// The flow of the operations of this kind that are owed, if this program has one.
    #[must_use]
    pub fn owed(&self, kind: OperationKind) -> Option<&dyn OwedFlow> {
        self.owed.get(&kind).map(|flow| &**flow)
    }

    /// The kinds of operations that are owed.
    pub fn owed_kinds(&self) -> impl Iterator<Item = OperationKind> {
        self.owed.keys().copied()
    }

    /// What the end of an operation of this kind means, if this program has a flow that makes such operations.
    #[must_use]
    pub fn of(&self, kind: OperationKind) -> Option<Decide> {
        self.requests.get(&kind).copied()
    }
}
