//! A void: a hold is given back before anything is captured.

use crate::hosts::exchange::Exchange;
use crate::hosts::message::definition::Travel;
use crate::operations::acknowledgement::{FinalAnswer, final_answer, without_approval};
use crate::operations::flow::{
    Decision, Flow, Found, OwedDecision, OwedFlow, OwedSubject, Plan, Subject,
};
use crate::operations::later::{LaterRefusal, Why, way_of};
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::custody::CustodyEnd;
use crate::payment::decline::{Approval, UnknownReason};
use crate::payment::ids::PaymentId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::money::Money;
use crate::payment::operation::{Acknowledged, OperationEvent, OperationKind};
use crate::payment::reason::Reason;
use crate::payment::record::Payment;
use crate::payment::state::{PaymentEvent, PaymentState};

/// A request to void.
#[derive(Debug)]
pub struct VoidPayment {
    /// The payment.
    pub payment_id: PaymentId,
}

/// The flow of voids.
pub struct Void;

impl Flow for Void {
    type Command = VoidPayment;
    type Basis = Found;
    type Refusal = LaterRefusal;

    const KIND: OperationKind = OperationKind::Void;
    const METHOD: &'static str = "VoidPayment";

    fn payment_id(&self, command: &VoidPayment) -> Option<PaymentId> {
        Some(command.payment_id)
    }

    fn plan(
        &self,
        _merchant: &Merchant,
        _command: &VoidPayment,
        found: Found,
        now: UnixMillis,
    ) -> Result<Plan, LaterRefusal> {
        let way = way_of(&found, Self::KIND)?;
        let payment = found.payment;
        let refused = |why| LaterRefusal::of(&payment, why);
        let amounts = &payment.amounts;
        match payment.state {
            PaymentState::Authorized { .. }
                if amounts.captured_minor > 0 || amounts.authorized_pending_minor > 0 =>
            {
                return Err(refused(Why::InProgress));
            }
            PaymentState::Authorized { .. } => {}
            _ => return Err(refused(Why::State(Self::KIND))),
        }
        let held = Money::new(amounts.authorized_minor, payment.amount.currency());
        let held = held.map_err(|_| refused(Why::State(Self::KIND)))?;
        let event = match way.travel {
            Travel::Once | Travel::Repeated => PaymentEvent::VoidStarted,
            Travel::Recorded => PaymentEvent::VoidConfirmed,
        };
        let adjustment = Adjustment {
            event,
            change: Amounts::ZERO,
            at: now,
            custody: CustodyEnd::Unchanged,
        };
        Ok(Plan {
            reason: Some(Reason::Void),
            ..Plan::later(payment, way, held, adjustment)
        })
    }

    fn decide(&self, exchange: &Exchange, _subject: &Subject<'_>) -> Decision {
        decide(exchange)
    }
}

/// What the end of a void that travels as a request means. One whose outcome is not known is never reversed: the hold
/// may be gone, and ends by itself.
fn decide(exchange: &Exchange) -> Decision {
    let unknown = |reason: UnknownReason| {
        let events = vec![OperationEvent::OutcomeUnknown(reason)];
        (events, PaymentEvent::VoidUnknown)
    };
    let (operation, payment) = match exchange {
        Exchange::Approved { approval, .. } => {
            let approved = OperationEvent::Approved(approval.clone());
            (
                vec![OperationEvent::Sent, approved],
                PaymentEvent::VoidConfirmed,
            )
        }
        Exchange::Declined { decline, .. } => (
            vec![OperationEvent::Sent, OperationEvent::Declined(*decline)],
            PaymentEvent::VoidRefused,
        ),
        Exchange::NotSent(reason) => (
            vec![OperationEvent::NotSent(*reason)],
            PaymentEvent::VoidRefused,
        ),
        Exchange::Unknown(reason) | Exchange::Unclear { reason, .. } => unknown(*reason),
        // Answers to an advice.
        Exchange::Taken { .. } | Exchange::OriginalUnknown { .. } => {
            unknown(UnknownReason::AnswerNotUnderstood)
        }
    };
    Decision {
        operation,
        payment,
        change: Amounts::ZERO,
        owes: Vec::new(),
    }
}

impl OwedFlow for Void {
    /// The payment is being voided since the void was recorded.
    fn begun(&self, _payment: &Payment) -> Option<PaymentEvent> {
        None
    }

    fn decide(&self, exchange: &Exchange, subject: &OwedSubject<'_>) -> OwedDecision {
        match final_answer(exchange, subject) {
            Ok(FinalAnswer::Acknowledged(approval, acknowledged)) => done(approval, acknowledged),
            // There is nothing to give back.
            Ok(FinalAnswer::OriginalUnknown(code)) => {
                done(without_approval(code), Acknowledged::OriginalUnknown)
            }
            Ok(FinalAnswer::Refused(decline)) => OwedDecision::Refused(decline),
            Err(decision) => *decision,
        }
    }
}

fn done(approval: Approval, acknowledged: Acknowledged) -> OwedDecision {
    OwedDecision::Done {
        approval,
        acknowledged,
        original: None,
        payment: Some((PaymentEvent::VoidConfirmed, Amounts::ZERO)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::flow::Way;
    use crate::payment::decline::{
        Decline, DeclineAdvice, DeclineReason, FailureReason, ResponseCode,
    };
    use crate::payment::operation;
    use crate::payment::samples::{self, NOW};
    use crate::payment::state;

    fn approval() -> Approval {
        without_approval(ResponseCode::APPROVED)
    }

    #[test]
    fn only_a_hold_of_which_nothing_is_captured_is_voided() {
        let (approval, expires_at) = (approval(), NOW);
        let held = PaymentState::Authorized {
            approval: approval.clone(),
            expires_at,
        };
        let captured = PaymentState::PartiallyCaptured {
            approval,
            expires_at,
        };
        for (state, pending_minor, travel, expected) in [
            (held.clone(), 0, Travel::Once, "VOIDING"),
            (held.clone(), 0, Travel::Repeated, "VOIDING"),
            (held.clone(), 0, Travel::Recorded, "VOIDED"),
            (held, 500, Travel::Repeated, "InProgress"),
            (captured, 0, Travel::Repeated, "State(Void)"),
            (PaymentState::Voided, 0, Travel::Repeated, "State(Void)"),
        ] {
            let mut payment = samples::payment_of(&samples::operation());
            payment.state = state;
            payment.amounts = Amounts {
                authorized_minor: 1250,
                captured_minor: pending_minor,
                captured_pending_minor: pending_minor,
                ..Amounts::ZERO
            };
            let command = VoidPayment {
                payment_id: payment.id,
            };
            let found = Found {
                way: Some(Way {
                    travel,
                    mti: None,
                    only_one: false,
                }),
                payment: Box::new(payment),
                captures: Vec::new(),
            };
            let planned = Void.plan(&samples::merchant(), &command, found, NOW);
            let got = match planned {
                Err(refusal) => format!("{:?}", refusal.why),
                Ok(plan) => {
                    assert_eq!(plan.amount.amount_minor(), 1250);
                    plan.after_it().state.name().to_owned()
                }
            };
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn each_end_of_a_request_leads_where_it_should() {
        let decline = Decline {
            reason: DeclineReason::NotPermitted,
            response_code: "57".parse().unwrap(),
            advice: DeclineAdvice::DoNotRetry,
        };
        let approved = Exchange::Approved {
            approval: approval(),
            kept: Vec::new(),
            bank_us: 900,
        };
        let declined = Exchange::Declined {
            decline,
            kept: Vec::new(),
            bank_us: 900,
        };
        let unknown = Exchange::Unknown(UnknownReason::NoAnswerInTime);
        let unsent = Exchange::NotSent(FailureReason::HostBusy);
        let voiding = PaymentState::Voiding {
            approval: approval(),
            expires_at: NOW,
        };
        for (exchange, operation_state, payment_state) in [
            (approved, "APPROVED", "VOIDED"),
            (declined, "DECLINED", "AUTHORIZED"),
            (unsent, "REJECTED", "AUTHORIZED"),
            (unknown, "UNKNOWN", "VOIDING"),
        ] {
            let decision = decide(&exchange);
            let after = state::apply(&voiding, decision.payment, &Amounts::ZERO).unwrap();
            assert_eq!(after.name(), payment_state);
            let ended = decision
                .operation
                .into_iter()
                .try_fold(samples::operation().state, |state, event| {
                    operation::apply(&state, event)
                })
                .unwrap();
            assert_eq!(ended.name(), operation_state);
            assert_eq!(decision.owes, []);
        }
    }
}
