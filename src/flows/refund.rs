//! A refund: all or part of a captured amount is given back.

use crate::hosts::exchange::Exchange;
use crate::operations::acknowledgement::counts_unless_refused;
use crate::operations::flow::{
    Decides, Decision, Flow, Found, OwedDecision, OwedFlow, OwedSubject, Plan, Subject,
};
use crate::operations::giving_back::{CreateRefund, refund_of};
use crate::operations::later::{LaterRefusal, decided};
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

impl Decides for Refund {
    fn decide(&self, exchange: &Exchange, subject: &Subject<'_>) -> Decision {
        decide(exchange, subject)
    }
}

/// What the end of a refund that travels as a request means. One whose outcome is not known is never reversed, since
/// that would debit a customer: it waits.
fn decide(exchange: &Exchange, subject: &Subject<'_>) -> Decision {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::message::definition::UnknownRule;
    use crate::payment::decline::{
        Approval, Decline, DeclineAdvice, DeclineReason, FailureReason, ResponseCode, UnknownReason,
    };
    use crate::payment::money::Money;
    use crate::payment::operation::{self, OperationKind};
    use crate::payment::record::Operation;
    use crate::payment::samples::{self, NOW};
    use crate::payment::state::{self, PaymentState};

    fn approval() -> Approval {
        Approval {
            approval_code: "A1B2C3".into(),
            response_code: ResponseCode::APPROVED,
            partial_minor: None,
        }
    }

    fn eur(minor: i64) -> Money {
        Money::new(minor, "EUR".parse().unwrap()).unwrap()
    }

    fn payment() -> Payment {
        let mut payment = samples::payment_of(&samples::operation());
        payment.amounts.authorized_minor = 1250;
        payment.amounts.captured_minor = 1250;
        payment.state = PaymentState::Captured {
            approval: approval(),
            expires_at: Some(NOW),
        };
        payment
    }

    #[test]
    fn each_end_of_a_request_leads_where_it_should() {
        let declined = Exchange::Declined {
            decline: Decline {
                reason: DeclineReason::NotPermitted,
                response_code: "57".parse().unwrap(),
                advice: DeclineAdvice::DoNotRetry,
            },
            kept: Vec::new(),
            bank_us: 900,
        };
        let approved = Exchange::Approved {
            approval: approval(),
            kept: Vec::new(),
            bank_us: 900,
        };
        let unsent = Exchange::NotSent(FailureReason::HostBusy);
        let lost = Exchange::Unknown(UnknownReason::NoAnswerInTime);
        let operation = Operation {
            kind: OperationKind::Refund,
            amount: eur(750),
            ..samples::operation()
        };
        let mut payment = payment();
        payment.amounts.refunded_minor = 750;
        payment.amounts.refunded_pending_minor = 750;
        for (exchange, operation_state, refunded) in [
            (approved, "APPROVED", (750, 0)),
            (declined, "DECLINED", (0, 0)),
            (unsent, "REJECTED", (0, 0)),
            (lost, "UNKNOWN", (750, 750)),
        ] {
            let subject = Subject {
                payment: &payment,
                operation: &operation,
                hold_days: 7,
                unknown: UnknownRule::Wait,
                now: NOW,
            };
            let decision = decide(&exchange, &subject);
            let amounts = payment.amounts.plus(&decision.change).unwrap();
            let after = state::apply(&payment.state, decision.payment.unwrap(), &amounts).unwrap();
            assert_eq!(after, payment.state);
            let got = (amounts.refunded_minor, amounts.refunded_pending_minor);
            assert_eq!(got, refunded, "{operation_state}");
            let ended = decision
                .operation
                .into_iter()
                .try_fold(operation.state.clone(), |state, event| {
                    operation::apply(&state, event)
                })
                .unwrap();
            assert_eq!(ended.name(), operation_state);
            assert_eq!(decision.owes, []);
        }
    }
}
