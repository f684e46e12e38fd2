//! Why a payment was declined, failed or is pending.

use crate::grpc::time::timestamp;
use crate::merchant_api::pb;
use crate::payment::decline::{
    Decline, DeclineAdvice, DeclineReason, DeclineSource, FailureReason, UnknownReason,
};
use crate::payment::operation::OperationState;
use crate::payment::record::Operation;

pub(super) fn decline(decline: Decline) -> pb::Decline {
    let (reason, text) = decline_reason(decline.reason);
    let advice = match decline.advice {
        DeclineAdvice::UseAnotherCard => pb::DeclineAdvice::UseAnotherCard,
        DeclineAdvice::CorrectEntry => pb::DeclineAdvice::CorrectEntry,
        DeclineAdvice::RetryLater => pb::DeclineAdvice::RetryLater,
        DeclineAdvice::DoNotRetry => pb::DeclineAdvice::DoNotRetry,
        DeclineAdvice::Authenticate => pb::DeclineAdvice::Authenticate,
    };
    pb::Decline {
        reason: reason.into(),
        response_code: decline.response_code.to_string(),
        advice: advice.into(),
        text: text.to_owned(),
        source: match decline.reason.source() {
            DeclineSource::Issuer => pb::DeclineSource::Issuer,
            DeclineSource::Acquirer => pb::DeclineSource::Acquirer,
            DeclineSource::Gateway => pb::DeclineSource::Gateway,
        }
        .into(),
    }
}

fn decline_reason(reason: DeclineReason) -> (pb::DeclineReason, &'static str) {
    use DeclineReason as D;
    use pb::DeclineReason as P;
    match reason {
        D::DoNotHonour => (P::DoNotHonour, "The issuer declined and gave no reason"),
        D::InsufficientFunds => (P::InsufficientFunds, "Insufficient funds"),
        D::ExpiredCard => (
            P::ExpiredCard,
            "The card has expired, or its expiry date is wrong",
        ),
        D::InvalidCardNumber => (P::InvalidCardNumber, "There is no such card"),
        D::LostCard => (P::LostCard, "The card was reported lost"),
        D::StolenCard => (P::StolenCard, "The card was reported stolen"),
        D::CvvMismatch => (P::CvvMismatch, "The card verification value is wrong"),
        D::IncorrectPin => (P::IncorrectPin, "The PIN is wrong"),
        D::PinTriesExceeded => (P::PinTriesExceeded, "The PIN was wrong too often"),
        D::NotPermitted => (
            P::NotPermitted,
            "The card does not allow this kind of payment",
        ),
        D::LimitExceeded => (P::LimitExceeded, "The amount is over a limit of the card"),
        D::InvalidAmount => (P::InvalidAmount, "The bank can't take this amount"),
        D::FormatError => (P::FormatError, "The bank could not read the message"),
        D::IssuerUnavailable => (P::IssuerUnavailable, "The issuer could not be reached"),
        D::DuplicateTransmission => (
            P::DuplicateTransmission,
            "The bank saw the same message before",
        ),
        D::BankError => (P::BankError, "The bank had a fault of its own"),
        D::SuspectedFraud => (P::SuspectedFraud, "The bank suspects fraud"),
        D::StoppedByCardholder => (
            P::StoppedByCardholder,
            "The cardholder has stopped payments to this merchant",
        ),
        D::AccountClosed => (P::AccountClosed, "The account behind the card is closed"),
        D::AuthenticationRequired => (
            P::AuthenticationRequired,
            "The issuer wants the cardholder authenticated first",
        ),
        D::RiskLimit => (
            P::RiskLimit,
            "payswitch sent nothing: there were too many attempts or declines lately",
        ),
        D::Other => (
            P::Other,
            "The bank declined, and its code says no more exactly why",
        ),
    }
}

pub(super) fn failure(reason: FailureReason) -> pb::Failure {
    use FailureReason as F;
    use pb::FailureReason as P;
    let (reason, text) = match reason {
        F::HostUnavailable => (
            P::HostUnavailable,
            "Nothing was sent: no line to the bank was signed on",
        ),
        F::HostBusy => (
            P::HostBusy,
            "Nothing was sent: all lines to the bank were at their limit",
        ),
        F::DeadlineBeforeSend => (
            P::DeadlineBeforeSend,
            "Nothing was sent: the time for this payment was over",
        ),
        F::NoTimeForTheBank => (
            P::NoTimeForTheBank,
            "Nothing was sent: less time was left than the bank needs for an answer",
        ),
        F::CircuitOpen => (
            P::CircuitOpen,
            "Nothing was sent: the bank did not answer lately",
        ),
        F::MessageNotBuildable => (
            P::MessageNotBuildable,
            "Nothing was sent: the payment can't be expressed in the bank's message format",
        ),
    };
    pb::Failure {
        reason: reason.into(),
        text: text.to_owned(),
    }
}

/// How far the reversal of a pending payment has come.
pub(super) fn pending_reversal(reversal: &Operation) -> pb::PendingReversal {
    use pb::PendingReversalState as P;
    let state = match reversal.state {
        OperationState::Suspended { .. } => P::Suspended,
        OperationState::Queued => P::Owed,
        _ => P::Sending,
    };
    pb::PendingReversal {
        state: state.into(),
        attempts: i32::try_from(reversal.attempts.count).unwrap_or(i32::MAX),
        next_attempt_time: reversal.attempts.next_at.map(timestamp),
    }
}

/// While nothing is known to be wrong yet, no reversal is owed. Of what is never reversed there is none.
pub(super) fn pending(
    reason: Option<UnknownReason>,
    reversal: Option<pb::PendingReversalState>,
) -> pb::Pending {
    let reversal = reversal.filter(|_| reason.is_some());
    use UnknownReason as U;
    use pb::PendingReason as P;
    let (shown, text) = match reason {
        None => (P::InProgress, "The payment is being worked on"),
        Some(U::NoAnswerInTime) => (P::NoAnswerInTime, "The bank did not answer in time"),
        Some(U::ConnectionLost) => (
            P::ConnectionLost,
            "The connection to the bank broke after the message may have been sent",
        ),
        Some(U::AnswerNotUnderstood) => (
            P::AnswerNotUnderstood,
            "The bank's answer could not be understood",
        ),
        Some(U::AmountDiffers) => (
            P::AmountDiffers,
            "The bank's answer names another amount than was asked for",
        ),
        Some(U::DuplicateAtBank) => (
            P::DuplicateAtBank,
            "The bank saw the same message before, so that an earlier copy may be approved",
        ),
        Some(U::CancelledByMerchant) => (
            P::CancelledByMerchant,
            "The merchant cancelled the payment while it was on its way",
        ),
        Some(U::GatewayStopped) => (
            P::GatewayStopped,
            "payswitch stopped before the bank's answer was recorded",
        ),
    };
    pb::Pending {
        reason: shown.into(),
        reversal_owed: reversal.is_some(),
        text: text.to_owned(),
        reversal: reversal.map(|state| pb::PendingReversal {
            state: state.into(),
            attempts: 0,
            next_attempt_time: None,
        }),
    }
}
