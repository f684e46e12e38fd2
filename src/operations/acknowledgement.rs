//! What a host's answer to a message that is repeated says, whatever the message is for.

use crate::hosts::exchange::Exchange;
use crate::hosts::message::meaning::usual_advice;
use crate::payment::decline::{Approval, Decline, DeclineReason, FailureReason, ResponseCode};
use crate::payment::moment::UnixMillis;
use crate::payment::operation::{Acknowledged, SuspendReason};

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
/// not read it, or has not answered as many messages as its profile allows.
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
        Exchange::Taken { response_code, .. } => Ok(taken(*response_code)),
        Exchange::Declined { decline, .. } => match decline.reason {
            DeclineReason::DuplicateTransmission => Ok(taken(decline.response_code)),
            DeclineReason::FormatError => {
                let code = Some(decline.response_code);
                Err(suspend(SuspendReason::Refused, code).into())
            }
            _ => Ok(FinalAnswer::Refused(*decline)),
        },
        // Until then the original may still be on its way to the host.
        Exchange::OriginalUnknown { .. } if !asked_after(original_gone_at(subject), subject) => {
            again(OwedDecision::AgainAt(original_gone_at(subject)))
        }
        Exchange::OriginalUnknown { response_code, .. } => {
            Ok(FinalAnswer::OriginalUnknown(*response_code))
        }
        Exchange::NotSent(FailureReason::MessageNotBuildable) => {
            Err(suspend(SuspendReason::NotBuildable, None).into())
        }
        Exchange::NotSent(_) => Err(OwedDecision::NotSent.into()),
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

fn taken(response_code: ResponseCode) -> FinalAnswer {
    FinalAnswer::Acknowledged(without_approval(response_code), Acknowledged::Taken)
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

/// The refusal of a host that does not know what the message completes.
#[must_use]
pub fn original_unknown(response_code: ResponseCode) -> Decline {
    let reason = DeclineReason::Other;
    Decline {
        reason,
        response_code,
        advice: usual_advice(reason),
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
