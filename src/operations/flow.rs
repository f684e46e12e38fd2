//! What a flow is. The machine knows nothing else of captures, voids or authorizations.

use std::sync::Arc;

use crate::card::pan::Card;
use crate::hosts::exchange::Exchange;
use crate::hosts::message::contents::Reason;
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::decline::UnknownReason;
use crate::payment::ids::{HostId, OperationId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::money::Money;
use crate::payment::operation::{OperationEvent, OperationKind};
use crate::payment::record::{CardSummary, Operation, Payment};
use crate::payment::reference::Mti;
use crate::payment::state::{PaymentEvent, PaymentState};
use crate::random::HashMap;
use crate::store::change::EnvelopeUse;

/// One kind of operation: what is asked, what is recorded before it is sent, and what its end means. All
/// of it is decided from arguments; the machine does what has to be waited for.
pub trait Flow: Send + Sync + 'static {
    /// What the merchant asks for, checked field by field.
    type Command: Send + Sync + 'static;
    /// Why it can't be done. Nothing was recorded then.
    type Refusal: std::error::Error + Send + Sync + 'static;

    /// The kind of the operations that it makes.
    const KIND: OperationKind;
    /// The RPC's name: request ids are unique for each merchant and method.
    const METHOD: &'static str;

    /// The recorded payment that the command is about; none where it makes a new one.
    fn payment_id(&self, command: &Self::Command) -> Option<PaymentId>;

    /// What is recorded, and then sent. `payment` is the one that [`payment_id`](Self::payment_id) names.
    ///
    /// # Errors
    /// When the payment, the merchant or the command forbids it.
    fn plan(
        &self,
        merchant: &Merchant,
        command: &Self::Command,
        payment: Option<Box<Payment>>,
        now: UnixMillis,
    ) -> Result<Plan, Self::Refusal>;

    /// What the end of the exchange means.
    fn decide(&self, exchange: &Exchange, subject: &Subject<'_>) -> Decision;

    /// How the exchange of an operation ended that a stopped process left unfinished. Its message may have
    /// been sent, so nobody knows.
    fn unfinished(&self, _operation: &Operation) -> Exchange {
        Exchange::Unknown(UnknownReason::GatewayStopped)
    }
}

/// What a flow wants recorded and sent.
#[derive(Debug)]
pub struct Plan {
    /// What it does to the payment.
    pub payment: PlannedPayment,
    /// DE 4 and DE 49.
    pub amount: Money,
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
    /// The card, where the message has one. It is wiped once the bank has answered.
    pub card: Option<Card>,
    /// The sealed card, which works once.
    pub envelope: Option<EnvelopeUse>,
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
    /// Now.
    pub now: UnixMillis,
}

/// What the end of an exchange means for the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What happens to the operation, in this order.
    pub operation: Vec<OperationEvent>,
    /// What happens to the payment.
    pub payment: PaymentEvent,
    /// What is added to the payment's amounts.
    pub change: Amounts,
    /// Why a reversal is owed, where one is.
    pub reversal: Option<UnknownReason>,
}

/// The part of a flow that the machine needs for operations of any kind.
pub trait Decides: Send + Sync {
    /// As [`Flow::decide`].
    fn decide(&self, exchange: &Exchange, subject: &Subject<'_>) -> Decision;
    /// As [`Flow::unfinished`].
    fn unfinished(&self, operation: &Operation) -> Exchange;
}

impl<F: Flow> Decides for F {
    fn decide(&self, exchange: &Exchange, subject: &Subject<'_>) -> Decision {
        Flow::decide(self, exchange, subject)
    }

    fn unfinished(&self, operation: &Operation) -> Exchange {
        Flow::unfinished(self, operation)
    }
}

/// The flows by the kind of their operations.
#[derive(Default, Clone)]
pub struct FlowTable(HashMap<OperationKind, Arc<dyn Decides>>);

impl FlowTable {
    /// The table with one flow more.
    #[must_use]
    pub fn with<F: Flow>(mut self, flow: &Arc<F>) -> Self {
        let flow: Arc<dyn Decides> = Arc::<F>::clone(flow);
        self.0.insert(F::KIND, flow);
        self
    }

    /// The flow that makes operations of this kind, if this program has one.
    #[must_use]
    pub fn of(&self, kind: OperationKind) -> Option<&dyn Decides> {
        self.0.get(&kind).map(|flow| &**flow)
    }
}
