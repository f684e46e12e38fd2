//! Undoing a payment, whatever became of it: the void of a hold, or the refund of what was captured and the release of
//! the rest.

use crate::operations::basis::{Found, Ways};
use crate::operations::flow::Flow;
use crate::operations::giving_back::all_of;
use crate::operations::later::LaterRefusal;
use crate::operations::plan::Plan;
use crate::payment::ids::PaymentId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::record::Payment;

/// A request to undo a payment.
#[derive(Debug)]
pub struct ReversePayment {
    /// The payment.
    pub payment_id: PaymentId,
}

/// The flow that undoes payments. Its operations end as those of their kinds do.
pub struct Reverse;

impl Flow for Reverse {
    type Command = ReversePayment;
    type Basis = Found;
    type Refusal = LaterRefusal;

    const METHOD: &'static str = "ReversePayment";

    fn payment_id(&self, command: &ReversePayment) -> Option<PaymentId> {
        Some(command.payment_id)
    }

    fn reads_captures(&self, _payment: &Payment) -> bool {
        true
    }

    /// What it releases of an incremented hold is released message by message.
    fn reads_operations(&self, payment: &Payment, ways: &Ways) -> bool {
        ways.take_one() || payment.is_incremented()
    }

    fn plan(
        &self,
        _merchant: &Merchant,
        _command: &ReversePayment,
        found: Found,
        now: UnixMillis,
    ) -> Result<Plan, LaterRefusal> {
        all_of(found, now)
    }
}
