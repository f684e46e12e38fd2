//! A void: a hold is given back before anything is captured, or a whole sale before anything is refunded.

use crate::hosts::exchange::Exchange;
use crate::operations::acknowledgement::{FinalAnswer, final_answer, suspend, without_approval};
use crate::operations::basis::Found;
use crate::operations::flow::{Decision, Flow, OwedDecision, OwedFlow, OwedSubject, Subject};
use crate::operations::giving_back::void_of;
use crate::operations::later::LaterRefusal;
use crate::operations::plan::Plan;
use crate::payment::adjustment::given_back_by_void;
use crate::payment::amounts::Amounts;
use crate::payment::decline::{Approval, UnknownReason};
use crate::payment::event::PaymentEvent;
use crate::payment::ids::PaymentId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::operation::{Acknowledged, OperationEvent, SuspendReason};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Operation, Payment};

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

    const METHOD: &'static str = "VoidPayment";

    fn payment_id(&self, command: &VoidPayment) -> Option<PaymentId> {
        Some(command.payment_id)
    }

    fn reads_captures(&self, _payment: &Payment) -> bool {
        true
    }

    fn reads_settlement(&self, payment: &Payment) -> bool {
        payment.authorization.kind == OperationKind::Sale
    }

    fn plan(
        &self,
        _merchant: &Merchant,
        _command: &VoidPayment,
        found: Found,
        now: UnixMillis,
    ) -> Result<Plan, LaterRefusal> {
        void_of(found, now)
    }
}

/// What the end of a void that travels as a request means. One whose outcome is not known is never reversed: what it
/// gives back may be gone. A hold ends by itself; of a sale a late answer or an operator says what became of it.
pub(crate) fn decide(exchange: &Exchange, subject: &Subject<'_>) -> Decision {
    let unknown = |reason: UnknownReason| {
        let events = vec![OperationEvent::OutcomeUnknown(reason)];
        (events, (PaymentEvent::VoidUnknown, Amounts::ZERO))
    };
    let refused = (PaymentEvent::VoidRefused, Amounts::ZERO);
    let (operation, (payment, change)) = match exchange {
        Exchange::Approved { approval, .. } => {
            let approved = OperationEvent::Approved(approval.clone());
            let confirmed = (
                PaymentEvent::VoidConfirmed,
                given_back_by_void(subject.operation),
            );
            (vec![OperationEvent::Sent, approved], confirmed)
        }
        Exchange::Declined { decline, .. } => (
            vec![OperationEvent::Sent, OperationEvent::Declined(*decline)],
            refused,
        ),
        Exchange::NotSent(reason) => (vec![OperationEvent::NotSent(*reason)], refused),
        Exchange::Unknown(reason) | Exchange::Unclear { reason, .. } => unknown(*reason),
        // Answers to an advice.
        Exchange::Taken { .. } | Exchange::OriginalUnknown { .. } | Exchange::Again { .. } => {
            unknown(UnknownReason::AnswerNotUnderstood)
        }
    };
    Decision {
        operation,
        payment: Some(payment),
        change,
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
            Ok(FinalAnswer::Acknowledged(approval, acknowledged)) => {
                done(approval, acknowledged, subject.operation)
            }
            // What it approved it must find, a sale whatever came of it.
            Ok(FinalAnswer::OriginalUnknown(code))
                if subject.approved || subject.operation.subject_id.is_some() =>
            {
                suspend(SuspendReason::Contradicted, Some(code))
            }
            // There is nothing to give back.
            Ok(FinalAnswer::OriginalUnknown(code)) => {
                let unknown = Acknowledged::OriginalUnknown;
                done(without_approval(code), unknown, subject.operation)
            }
            Ok(FinalAnswer::Refused(decline)) => OwedDecision::Refused(decline),
            Err(decision) => *decision,
        }
    }
}

fn done(approval: Approval, acknowledged: Acknowledged, void: &Operation) -> OwedDecision {
    OwedDecision::Done {
        approval,
        acknowledged,
        original: None,
        payment: Some((PaymentEvent::VoidConfirmed, given_back_by_void(void))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::message::definition::{Repeats, UnknownRule};
    use crate::operations::acknowledgement::answer_to_advice;
    use crate::payment::decline::{
        Decline, DeclineAdvice, DeclineReason, FailureReason, ResponseCode,
    };
    use crate::payment::ids::{CaptureId, SubjectId};
    use crate::payment::samples::{self, NOW};
    use crate::payment::state::{self, PaymentState};

    fn approval() -> Approval {
        without_approval(ResponseCode::APPROVED)
    }

    #[test]
    fn a_sale_is_voided_by_an_approval_only() {
        let decline = Decline {
            reason: DeclineReason::NotPermitted,
            response_code: "57".parse().unwrap(),
            advice: DeclineAdvice::DoNotRetry,
        };
        let approved = Exchange::approved(approval());
        let declined = Exchange::declined(decline);
        let unknown = Exchange::Unknown(UnknownReason::NoAnswerInTime);
        let unsent = Exchange::NotSent(FailureReason::HostBusy);
        let operation = Operation {
            kind: OperationKind::Void,
            subject_id: Some(SubjectId::Capture(CaptureId::from_parts(NOW, [1; 10]))),
            ..samples::operation()
        };
        let mut payment = samples::payment_of(&samples::operation());
        payment.state = PaymentState::Voiding {
            approval: approval(),
            expires_at: None,
        };
        payment.amounts.authorized_minor = 1250;
        payment.amounts.captured_minor = 1250;
        for (exchange, expected, captured_minor) in [
            (approved, "VOIDED", 0),
            (declined, "CAPTURED", 1250),
            (unsent, "CAPTURED", 1250),
            (unknown, "VOIDING", 1250),
        ] {
            let subject = Subject::of((&payment, &operation), UnknownRule::Wait, NOW);
            let decision = decide(&exchange, &subject);
            let left = payment.amounts.plus(&decision.change).unwrap();
            assert_eq!(left.captured_minor, captured_minor);
            let after = state::apply(&payment.state, decision.payment.unwrap(), &left).unwrap();
            assert_eq!(after.name(), expected);
            assert_eq!(decision.owes, []);
        }
    }

    /// A bank that approved a hold, and does not know it, contradicts itself: an operator has to look.
    #[test]
    fn a_hold_that_the_bank_does_not_know_is_voided_only_where_it_approved_none() {
        let repeats = Repeats::sample();
        let mut operation = samples::operation();
        operation.attempts.last_at = Some(operation.deadline.plus(repeats.original_gone));
        let payment = samples::payment_of(&operation);
        for (code, approved, expected) in [
            ("00", true, "Done"),
            ("25", false, "OriginalUnknown"),
            ("25", true, "Contradicted"),
            ("68", true, "InDoubt"),
            ("57", true, "refused"),
        ] {
            let subject = OwedSubject {
                operation: &operation,
                original: &operation,
                payment: &payment,
                repeats: &repeats,
                approved,
            };
            let shown = match OwedFlow::decide(&Void, &answer_to_advice(code), &subject) {
                OwedDecision::Done { acknowledged, .. } => format!("{acknowledged:?}"),
                OwedDecision::Suspend { reason, .. } => format!("{reason:?}"),
                OwedDecision::Refused(_) => "refused".into(),
                other => format!("{other:?}"),
            };
            assert_eq!(shown, expected, "{code}");
        }
    }
}
