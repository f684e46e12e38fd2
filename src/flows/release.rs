//! A release: what a last capture, or a refund of all that was captured, leaves of a hold is given back.

use crate::hosts::exchange::Exchange;
use crate::operations::acknowledgement::{FinalAnswer, final_answer, suspend, without_approval};
use crate::operations::flow::{OwedDecision, OwedFlow, OwedSubject};
use crate::payment::adjustment::with_effect;
use crate::payment::event::PaymentEvent;
use crate::payment::operation::{Acknowledged, SuspendReason};
use crate::payment::record::Payment;

/// The flow of releases.
pub struct Release;

impl OwedFlow for Release {
    /// No capture can take it since it was recorded.
    fn begun(&self, _payment: &Payment) -> Option<PaymentEvent> {
        None
    }

    /// One that the host refuses is left to an operator: the cardholder's money is held until somebody looks, or the
    /// hold ends by itself.
    fn decide(&self, exchange: &Exchange, subject: &OwedSubject<'_>) -> OwedDecision {
        let (approval, acknowledged) = match final_answer(exchange, subject) {
            Ok(FinalAnswer::Acknowledged(approval, acknowledged)) => (approval, acknowledged),
            // What it approved it must find.
            Ok(FinalAnswer::OriginalUnknown(code)) if subject.approved => {
                return suspend(SuspendReason::Contradicted, Some(code));
            }
            // Nothing is held any more.
            Ok(FinalAnswer::OriginalUnknown(code)) => {
                (without_approval(code), Acknowledged::OriginalUnknown)
            }
            Ok(FinalAnswer::Refused(decline)) => {
                return suspend(SuspendReason::Refused, Some(decline.response_code));
            }
            Err(decision) => return *decision,
        };
        OwedDecision::Done {
            approval,
            acknowledged,
            original: None,
            payment: with_effect(subject.operation),
        }
    }
}
