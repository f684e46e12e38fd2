//! A reversal: the bank undoes what it may have done without anybody knowing.

use crate::hosts::exchange::Exchange;
use crate::operations::flow::{OwedDecision, OwedFlow, OwedSubject};
use crate::payment::decline::{Approval, DeclineReason, FailureReason, ResponseCode};
use crate::payment::moment::UnixMillis;
use crate::payment::operation::{Acknowledged, OperationEvent, OperationState, SuspendReason};
use crate::payment::record::Payment;
use crate::payment::state::{PaymentEvent, PaymentState};

/// The flow of reversals.
pub struct Reversal;

impl OwedFlow for Reversal {
    /// A payment that is final already stays as it is: its bank approved late, after an earlier reversal had ended.
    fn begun(&self, payment: &Payment) -> Option<PaymentEvent> {
        match payment.state {
            PaymentState::Authorizing { pending: Some(_) } => Some(PaymentEvent::ReversalStarted),
            _ => None,
        }
    }

    fn decide(&self, exchange: &Exchange, subject: &OwedSubject<'_>) -> OwedDecision {
        decide(exchange, subject)
    }
}

/// What the end of one attempt means. Of a decline only its reason counts here, which the host's profile gives to
/// each code.
fn decide(exchange: &Exchange, subject: &OwedSubject<'_>) -> OwedDecision {
    let again = |decision: OwedDecision| {
        let sent = subject.operation.attempts.count;
        if subject.repeats.cap.is_some_and(|cap| sent >= cap) {
            suspend(SuspendReason::AttemptsUsedUp, None)
        } else {
            decision
        }
    };
    match exchange {
        Exchange::Approved { approval, .. } => done(approval.clone(), Acknowledged::Done, subject),
        Exchange::Taken { response_code, .. } => {
            done(answered(*response_code), Acknowledged::Taken, subject)
        }
        Exchange::Declined { decline, .. } => match decline.reason {
            DeclineReason::DuplicateTransmission => {
                let approval = answered(decline.response_code);
                done(approval, Acknowledged::Taken, subject)
            }
            _ => suspend(SuspendReason::Refused, Some(decline.response_code)),
        },
        // Until then the original may still be on its way to the host.
        Exchange::OriginalUnknown { .. } if !asked_after(original_gone_at(subject), subject) => {
            again(OwedDecision::AgainAt(original_gone_at(subject)))
        }
        // What it approved it must find.
        Exchange::OriginalUnknown { response_code, .. } if subject.approved => {
            suspend(SuspendReason::Contradicted, Some(*response_code))
        }
        Exchange::OriginalUnknown { response_code, .. } => {
            let approval = answered(*response_code);
            done(approval, Acknowledged::OriginalUnknown, subject)
        }
        Exchange::NotSent(FailureReason::MessageNotBuildable) => {
            suspend(SuspendReason::NotBuildable, None)
        }
        Exchange::NotSent(_) => OwedDecision::NotSent,
        Exchange::Unknown(_) | Exchange::Unclear { .. } => again(OwedDecision::Again),
    }
}

/// From then on a host that does not know the original will never see it.
fn original_gone_at(subject: &OwedSubject<'_>) -> UnixMillis {
    subject
        .operation
        .deadline
        .plus(subject.repeats.original_gone)
}

fn asked_after(moment: UnixMillis, subject: &OwedSubject<'_>) -> bool {
    let asked_at = subject.operation.attempts.last_at;
    asked_at.is_some_and(|asked_at| asked_at >= moment)
}

fn answered(response_code: ResponseCode) -> Approval {
    Approval {
        approval_code: String::new(),
        response_code,
    }
}

/// A payment that is reversed already takes the event as well: it ends the custody of its card.
fn done(approval: Approval, acknowledged: Acknowledged, subject: &OwedSubject<'_>) -> OwedDecision {
    let is_unknown = matches!(subject.original.state, OperationState::Unknown { .. });
    let is_reversing = matches!(
        subject.payment.state,
        PaymentState::Reversing { .. } | PaymentState::Reversed
    );
    OwedDecision::Done {
        approval,
        acknowledged,
        original: is_unknown.then_some(OperationEvent::ReversalConfirmed),
        payment: is_reversing.then_some(PaymentEvent::ReversalConfirmed),
    }
}

fn suspend(reason: SuspendReason, response_code: Option<ResponseCode>) -> OwedDecision {
    OwedDecision::Suspend {
        reason,
        response_code,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hosts::message::definition::Repeats;
    use crate::hosts::message::meaning::Meaning;
    use crate::hosts::message::response_codes::ResponseCodes;
    use crate::payment::decline::{Decline, UnknownReason};
    use crate::payment::record::Attempts;
    use crate::payment::samples::{self, NOW};

    /// What the default table of an advice makes of a code, as the lines do.
    fn answer(code: &str) -> Exchange {
        let response_code = code.parse().unwrap();
        let codes = ResponseCodes {
            advice: true,
            ..ResponseCodes::default()
        };
        match codes.meaning(response_code) {
            Meaning::Approved => Exchange::Approved {
                approval: answered(response_code),
                kept: Vec::new(),
                bank_us: 900,
            },
            Meaning::Declined { reason, advice } => Exchange::Declined {
                decline: Decline {
                    reason,
                    response_code,
                    advice,
                },
                kept: Vec::new(),
                bank_us: 900,
            },
            Meaning::Taken => Exchange::Taken {
                response_code,
                bank_us: 900,
            },
            Meaning::OriginalUnknown => Exchange::OriginalUnknown {
                response_code,
                bank_us: 900,
            },
            Meaning::Unclear(reason) => Exchange::Unclear {
                reason,
                kept: Vec::new(),
                bank_us: 900,
            },
        }
    }

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
            (answer("ZZ"), "refused ZZ", "refused ZZ", "refused ZZ"),
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
                        assert_eq!(payment, Some(PaymentEvent::ReversalConfirmed));
                        format!("{acknowledged:?} {}", approval.response_code)
                    }
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
