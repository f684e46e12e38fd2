//! A reversal: the bank undoes what it may have done without anybody knowing.

use crate::hosts::exchange::Exchange;
use crate::operations::acknowledgement::{FinalAnswer, final_answer, suspend, without_approval};
use crate::operations::flow::{OwedDecision, OwedFlow, OwedSubject};
use crate::payment::adjustment::without_effect;
use crate::payment::amounts::Amounts;
use crate::payment::decline::Approval;
use crate::payment::event::PaymentEvent;
use crate::payment::operation::{Acknowledged, OperationEvent, OperationState, SuspendReason};
use crate::payment::planted::{Mistake, planted};
use crate::payment::record::Payment;
use crate::payment::state::PaymentState;

/// The flow of reversals.
pub struct Reversal;

impl OwedFlow for Reversal {
    /// A payment that is final already stays as it is: its bank approved late, after an earlier reversal had ended.
    fn begun(&self, payment: &Payment) -> Option<PaymentEvent> {
        match payment.state {
            PaymentState::Authorizing { pending: Some(_) }
                if !planted(Mistake::ReversalNotBegun) =>
            {
                Some(PaymentEvent::ReversalStarted)
            }
            _ => None,
        }
    }

    fn decide(&self, exchange: &Exchange, subject: &OwedSubject<'_>) -> OwedDecision {
        decide(exchange, subject)
    }
}

/// What the end of one attempt means. A reversal that the host refuses is left to an operator: what the host may hold
/// must not be forgotten.
fn decide(exchange: &Exchange, subject: &OwedSubject<'_>) -> OwedDecision {
    match final_answer(exchange, subject) {
        Ok(FinalAnswer::Acknowledged(approval, acknowledged)) => {
            done(approval, acknowledged, subject)
        }
        // What it approved it must find.
        Ok(FinalAnswer::OriginalUnknown(code)) if subject.approved => {
            suspend(SuspendReason::Contradicted, Some(code))
        }
        Ok(FinalAnswer::OriginalUnknown(code)) => done(
            without_approval(code),
            Acknowledged::OriginalUnknown,
            subject,
        ),
        Ok(FinalAnswer::Refused(decline)) => {
            suspend(SuspendReason::Refused, Some(decline.response_code))
        }
        Err(decision) => *decision,
    }
}

/// A payment that is reversed already takes the event as well: it ends the custody of its card.
fn done(approval: Approval, acknowledged: Acknowledged, subject: &OwedSubject<'_>) -> OwedDecision {
    let is_unknown = matches!(subject.original.state, OperationState::Unknown { .. });
    let is_reversing = matches!(
        subject.payment.state,
        PaymentState::Reversing { .. } | PaymentState::Reversed
    );
    let payment = match without_effect(subject.original) {
        Some(without) => is_unknown.then_some(without),
        None => is_reversing.then_some((PaymentEvent::ReversalConfirmed, Amounts::ZERO)),
    };
    OwedDecision::Done {
        approval,
        acknowledged,
        original: is_unknown.then_some(OperationEvent::ReversalConfirmed),
        payment,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hosts::message::definition::Repeats;
    use crate::operations::acknowledgement::answer_to_advice as answer;
    use crate::payment::decline::{FailureReason, UnknownReason};
    use crate::payment::record::Attempts;
    use crate::payment::samples::{self, NOW};

    /// Each answer to the second message of three, and to the third; before the original is gone and after.
    #[test]
    fn each_answer_ends_the_debt_repeats_the_message_or_calls_an_operator() {
        let lost = Exchange::Unknown(UnknownReason::NoAnswerInTime);
        let unsent = Exchange::NotSent(FailureReason::HostUnavailable);
        let unbuilt = Exchange::NotSent(FailureReason::MessageNotBuildable);
        let table = [
            (answer("00"), "Done 00", "Done 00", "Done 00"),
            (answer("94"), "Taken 94", "Taken 94", "Taken 94"),
            (answer("25"), "at gone", "OriginalUnknown 25", "used up"),
            (answer("91"), "again", "again", "used up"),
            (answer("96"), "again", "again", "used up"),
            (answer("30"), "refused 30", "refused 30", "refused 30"),
            (answer("05"), "refused 05", "refused 05", "refused 05"),
            (answer("12"), "refused 12", "refused 12", "refused 12"),
            (answer("68"), "in doubt", "in doubt", "in doubt"),
            (answer("ZZ"), "in doubt", "in doubt", "in doubt"),
            (lost, "again", "again", "used up"),
            (unsent, "not sent", "not sent", "not sent"),
            (unbuilt, "not buildable", "not buildable", "not buildable"),
        ];
        let repeats = Repeats {
            mti: "0421".parse().unwrap(),
            first: Duration::from_secs(1),
            longest: Duration::from_secs(300),
            factor: 2,
            cap: Some(3),
            per_second: 50,
            window: 32,
            original_gone: Duration::from_secs(15),
        };
        let mut original = samples::operation();
        original.state = OperationState::Unknown {
            reason: UnknownReason::NoAnswerInTime,
        };
        let mut payment = samples::payment_of(&original);
        payment.state = PaymentState::Reversing {
            pending: UnknownReason::NoAnswerInTime,
        };
        let table = table.map(|row| (row, false));
        let contradicted = (answer("25"), "at gone", "contradicted", "used up");
        for ((exchange, early, late, last), approved) in
            table.into_iter().chain([(contradicted, true)])
        {
            for (count, asked_ms, expected) in
                [(2, 14_999, early), (2, 15_000, late), (3, 14_999, last)]
            {
                let operation = crate::payment::record::Operation {
                    state: OperationState::Sent,
                    deadline: NOW,
                    attempts: Attempts {
                        count,
                        last_at: Some(NOW.plus_ms(asked_ms)),
                        ..Attempts::default()
                    },
                    ..samples::operation()
                };
                let subject = OwedSubject {
                    operation: &operation,
                    original: &original,
                    payment: &payment,
                    repeats: &repeats,
                    approved,
                };
                let shown = match Reversal.decide(&exchange, &subject) {
                    OwedDecision::Done {
                        approval,
                        acknowledged,
                        original,
                        payment,
                    } => {
                        assert_eq!(original, Some(OperationEvent::ReversalConfirmed));
                        assert_eq!(
                            payment,
                            Some((PaymentEvent::ReversalConfirmed, Amounts::ZERO))
                        );
                        format!("{acknowledged:?} {}", approval.response_code)
                    }
                    OwedDecision::Refused(_) => panic!("a reversal is never given up"),
                    OwedDecision::NotSent => "not sent".into(),
                    OwedDecision::Again => "again".into(),
                    OwedDecision::AgainAt(at) => {
                        assert_eq!(at, NOW.plus_ms(15_000));
                        "at gone".into()
                    }
                    OwedDecision::Suspend {
                        reason: SuspendReason::Refused,
                        response_code,
                    } => format!("refused {}", response_code.unwrap()),
                    OwedDecision::Suspend { reason, .. } => match reason {
                        SuspendReason::AttemptsUsedUp => "used up".into(),
                        SuspendReason::Contradicted => "contradicted".into(),
                        SuspendReason::InDoubt => "in doubt".into(),
                        _ => "not buildable".into(),
                    },
                };
                assert_eq!(shown, expected, "{exchange:?} after {count}, {asked_ms} ms");
            }
        }
    }

    #[test]
    fn a_payment_that_is_final_stays_as_it_is() {
        let mut operation = samples::operation();
        let mut payment = samples::payment_of(&operation);
        payment.state = PaymentState::Reversed;
        operation.state = OperationState::Reversed;
        assert_eq!(Reversal.begun(&payment), None);
        payment.state = PaymentState::Authorizing {
            pending: Some(UnknownReason::ConnectionLost),
        };
        assert_eq!(
            Reversal.begun(&payment),
            Some(PaymentEvent::ReversalStarted)
        );
    }
}
