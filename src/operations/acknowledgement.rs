//! What a host's answer to a message that is repeated says, whatever the message is for.

use crate::hosts::exchange::Exchange;
use crate::hosts::message::meaning::usual_advice;
use crate::payment::decline::{
    Approval, Decline, DeclineReason, FailureReason, ResponseCode, UnknownReason,
};
use crate::payment::moment::UnixMillis;
use crate::payment::operation::{Acknowledged, SuspendReason};
use crate::payment::planted::{Mistake, planted};

use super::flow::{OwedDecision, OwedSubject};

/// An answer that ends the repetition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinalAnswer {
    /// The host has taken the message, now or before.
    Acknowledged(Approval, Acknowledged),
    /// The host has refused it.
    Refused(Decline),
    /// The host does not know the original, and will never see it.
    OriginalUnknown(ResponseCode),
}

/// The final answer in the end of one attempt.
///
/// # Errors
/// What follows where the answer is not final: the message is sent again; or it is suspended, because the host could
/// not read it, may have done what it says, or has not answered as many messages as its profile allows.
pub fn final_answer(
    exchange: &Exchange,
    subject: &OwedSubject<'_>,
) -> Result<FinalAnswer, Box<OwedDecision>> {
    let again = |decision: OwedDecision| {
        let sent = subject.operation.attempts.count;
        if subject.repeats.cap.is_some_and(|cap| sent >= cap) {
            Err(suspend(SuspendReason::AttemptsUsedUp, None).into())
        } else {
            Err(Box::new(decision))
        }
    };
    match exchange {
        Exchange::Approved { approval, .. } => {
            let approval = approval.clone();
            Ok(FinalAnswer::Acknowledged(approval, Acknowledged::Done))
        }
        Exchange::Taken { response_code, .. } => Ok(FinalAnswer::Acknowledged(
            without_approval(*response_code),
            Acknowledged::Taken,
        )),
        Exchange::Declined { decline, .. } => match decline.reason {
            DeclineReason::FormatError => {
                let code = Some(decline.response_code);
                Err(suspend(SuspendReason::Refused, code).into())
            }
            _ => Ok(FinalAnswer::Refused(*decline)),
        },
        // Until then the original may still be on its way to the host.
        Exchange::OriginalUnknown { .. }
            if !asked_after(original_gone_at(subject), subject)
                && !planted(Mistake::UnknownOriginalBelieved) =>
        {
            again(OwedDecision::AgainAt(original_gone_at(subject)))
        }
        Exchange::OriginalUnknown { response_code, .. } => {
            Ok(FinalAnswer::OriginalUnknown(*response_code))
        }
        Exchange::NotSent(FailureReason::MessageNotBuildable) => {
            Err(suspend(SuspendReason::NotBuildable, None).into())
        }
        Exchange::NotSent(_) => Err(OwedDecision::NotSent.into()),
        Exchange::Unclear {
            reason,
            response_code,
            ..
        } => {
            let suspended = match reason {
                UnknownReason::AmountDiffers => SuspendReason::AmountDiffers,
                _ => SuspendReason::InDoubt,
            };
            Err(suspend(suspended, *response_code).into())
        }
        Exchange::Unknown(_) | Exchange::Again { .. } => again(OwedDecision::Again),
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

/// An answer with this code, and no approval code.
#[must_use]
pub fn without_approval(response_code: ResponseCode) -> Approval {
    Approval {
        approval_code: String::new(),
        response_code,
        partial_minor: None,
    }
}

/// What the end of one attempt means for a message that counts since it was recorded: a capture, a refund. A host that
/// does not know what it completes refuses it.
#[must_use]
pub fn counts_unless_refused(exchange: &Exchange, subject: &OwedSubject<'_>) -> OwedDecision {
    match final_answer(exchange, subject) {
        Ok(FinalAnswer::Acknowledged(approval, acknowledged)) => OwedDecision::Done {
            approval,
            acknowledged,
            original: None,
            payment: None,
        },
        Ok(FinalAnswer::Refused(decline)) => OwedDecision::Refused(decline),
        Ok(FinalAnswer::OriginalUnknown(response_code)) => {
            let reason = DeclineReason::Other;
            OwedDecision::Refused(Decline {
                reason,
                response_code,
                advice: usual_advice(reason),
            })
        }
        Err(decision) => *decision,
    }
}

/// The message is left to an operator.
#[must_use]
pub fn suspend(reason: SuspendReason, response_code: Option<ResponseCode>) -> OwedDecision {
    OwedDecision::Suspend {
        reason,
        response_code,
    }
}

/// What the standard's table makes of a code in the answer to an advice, as the lines do: for tests.
#[cfg(test)]
pub(crate) fn answer_to_advice(code: &str) -> Exchange {
    use crate::hosts::message::meaning::Meaning;
    use crate::hosts::message::response_codes::ResponseCodes;

    let response_code = code.parse().unwrap();
    let (kept, bank_us) = (Vec::new(), 900);
    let codes = ResponseCodes::default().in_answers_to_advice();
    match codes.meaning(response_code) {
        Meaning::Approved => Exchange::Approved {
            approval: without_approval(response_code),
            kept,
            bank_us,
        },
        Meaning::Declined { reason, advice } => Exchange::Declined {
            decline: Decline {
                reason,
                response_code,
                advice,
            },
            kept,
            bank_us,
        },
        Meaning::Taken => Exchange::Taken {
            response_code,
            bank_us,
        },
        Meaning::OriginalUnknown => Exchange::OriginalUnknown {
            response_code,
            bank_us,
        },
        Meaning::Unclear(reason) => Exchange::Unclear {
            reason,
            response_code: Some(response_code),
            kept,
            bank_us,
        },
        Meaning::Again => Exchange::Again { bank_us },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::message::definition::Repeats;
    use crate::payment::operation::OperationState;
    use crate::payment::record::{Attempts, Operation};
    use crate::payment::samples::{self, NOW};

    /// What a merchant asked for is refused only by a host that has certainly not done it: what it may have done
    /// would else be asked for twice.
    #[test]
    fn each_answer_to_what_counts_refuses_it_only_where_it_was_not_done() {
        let repeats = Repeats::sample();
        let subject_at = |asked_ms| Operation {
            state: OperationState::Sent,
            deadline: NOW,
            attempts: Attempts {
                count: 1,
                last_at: Some(NOW.plus_ms(asked_ms)),
                ..Attempts::default()
            },
            ..samples::operation()
        };
        let payment = samples::payment_of(&samples::operation());
        let shown = |exchange: &Exchange, asked_ms| {
            let operation = subject_at(asked_ms);
            let subject = OwedSubject {
                operation: &operation,
                original: &operation,
                payment: &payment,
                repeats: &repeats,
                approved: true,
            };
            match counts_unless_refused(exchange, &subject) {
                OwedDecision::Done {
                    acknowledged,
                    original: None,
                    payment: None,
                    ..
                } => format!("{acknowledged:?}"),
                OwedDecision::Refused(_) => "refused".into(),
                OwedDecision::Suspend {
                    reason,
                    response_code,
                } => {
                    assert!(response_code.is_some() || exchange.bank_us().is_none());
                    format!("{reason:?}")
                }
                other => format!("{other:?}"),
            }
        };
        for (codes, expected) in [
            ("00 08 11 16", "Done"),
            ("94", "Taken"),
            ("05 12 13 14 51 57 61 92", "refused"),
            ("91 96", "Again"),
            ("30", "Refused"),
            ("10 32 87", "AmountDiffers"),
            ("09 21 26 85 06 19 20 22 68 90 95 ZZ", "InDoubt"),
        ] {
            for code in codes.split(' ') {
                assert_eq!(shown(&answer_to_advice(code), 0), expected, "{code}");
            }
        }
        let original_gone = format!("AgainAt({:?})", NOW.plus(repeats.original_gone));
        assert_eq!(shown(&answer_to_advice("25"), 0), original_gone);
        assert_eq!(shown(&answer_to_advice("25"), 15_000), "refused");
        let lost = Exchange::Unknown(UnknownReason::NoAnswerInTime);
        assert_eq!(shown(&lost, 0), "Again");
    }
}
