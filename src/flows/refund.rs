//! A refund: all or part of a captured amount is given back.

use crate::hosts::exchange::Exchange;
use crate::operations::acknowledgement::counts_unless_refused;
use crate::operations::basis::Found;
use crate::operations::flow::{Decision, Flow, OwedDecision, OwedFlow, OwedSubject, Subject};
use crate::operations::giving_back::{CreateRefund, refund_of};
use crate::operations::later::{LaterRefusal, decided};
use crate::operations::plan::Plan;
use crate::payment::event::PaymentEvent;
use crate::payment::ids::PaymentId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::record::Payment;

/// The flow of refunds.
pub struct Refund;

impl Flow for Refund {
    type Command = CreateRefund;
    type Basis = Found;
    type Refusal = LaterRefusal;

    const METHOD: &'static str = "CreateRefund";

    fn payment_id(&self, command: &CreateRefund) -> Option<PaymentId> {
        Some(command.payment_id)
    }

    fn reads_captures(&self, _payment: &Payment) -> bool {
        true
    }

    /// An amount that travels as a request is pending until it is approved; any other counts as soon as it is recorded.
    fn plan(
        &self,
        _merchant: &Merchant,
        command: &CreateRefund,
        found: Found,
        now: UnixMillis,
    ) -> Result<Plan, LaterRefusal> {
        refund_of(found, command, now)
    }
}

/// What the end of a refund that travels as a request means. One whose outcome is not known is never reversed, since
/// that would debit a customer: it waits.
pub(crate) fn decide(exchange: &Exchange, subject: &Subject<'_>) -> Decision {
    decided(exchange, subject, PaymentEvent::RefundStarted)
}

impl OwedFlow for Refund {
    /// It counts since it was recorded.
    fn begun(&self, _payment: &Payment) -> Option<PaymentEvent> {
        None
    }

    fn decide(&self, exchange: &Exchange, subject: &OwedSubject<'_>) -> OwedDecision {
        counts_unless_refused(exchange, subject)
    }
}
