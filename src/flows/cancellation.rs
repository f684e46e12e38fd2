//! Cancelling an authorization that was approved, by the name of its request: its void.

use crate::operations::basis::Found;
use crate::operations::flow::Flow;
use crate::operations::giving_back::void_of;
use crate::operations::later::{LaterRefusal, Why};
use crate::operations::plan::Plan;
use crate::payment::ids::PaymentId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::operation_kind::OperationKind;
use crate::payment::state::PaymentState;

/// A request to cancel an authorization that took effect.
#[derive(Debug)]
pub struct CancelPayment {
    /// Its payment.
    pub payment_id: PaymentId,
}

/// The flow of cancellations. Their voids end as any other does.
pub struct Cancellation;

impl Flow for Cancellation {
    type Command = CancelPayment;
    type Basis = Found;
    type Refusal = LaterRefusal;

    const METHOD: &'static str = "CancelByRequestId";

    fn payment_id(&self, command: &CancelPayment) -> Option<PaymentId> {
        Some(command.payment_id)
    }

    /// What is captured is not cancelled, a sale neither: it is refunded.
    fn plan(
        &self,
        _merchant: &Merchant,
        _command: &CancelPayment,
        found: Found,
        now: UnixMillis,
    ) -> Result<Plan, LaterRefusal> {
        match found.payment.state {
            PaymentState::Authorized { .. } => void_of(found, now),
            _ => {
                let why = Why::State(OperationKind::Void);
                Err(LaterRefusal::of(&found.payment, why))
            }
        }
    }
}
