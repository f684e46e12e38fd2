//! What a flow is. The machine knows nothing else of captures, voids or authorizations.

use std::sync::Arc;

use crate::hosts::exchange::Exchange;
use crate::hosts::message::definition::{Repeats, UnknownRule};
use crate::payment::amounts::Amounts;
use crate::payment::decline::{Approval, Decline, FailureReason, ResponseCode, UnknownReason};
use crate::payment::event::PaymentEvent;
use crate::payment::ids::PaymentId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::operation::{Acknowledged, OperationEvent, SuspendReason};
use crate::payment::operation_kind::OperationKind;
use crate::payment::planted::{Mistake, planted};
use crate::payment::record::{Operation, Payment};
use crate::random::HashMap;

use super::basis::{Basis, Ways};
use super::plan::{Owes, Plan};

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
