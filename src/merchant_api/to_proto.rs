//! Writes answers: payments as the API shows them, and errors as statuses.
//!
//! - [`status`]: the one table from errors to gRPC statuses.

pub(super) mod status;

use super::pb;
use crate::card::session::SealingSession;
use crate::payment::decline::{
    Approval, Decline, DeclineAdvice, DeclineReason, FailureReason, UnknownReason,
};
use crate::payment::moment::UnixMillis;
use crate::payment::money::Currency;
use crate::payment::record::{CardBrand, CardSummary, Payment};
use crate::payment::state::PaymentState;

/// A payment as the API shows it.
pub(super) fn payment(payment: Payment) -> pb::Payment {
    let currency = payment.amount.currency();
    let shown = |amount_minor| Some(money(amount_minor, currency));
    let mut shown_payment = pb::Payment {
        payment_id: payment.id.to_string(),
        merchant_reference: payment.merchant_reference,
        customer_reference: payment.customer_reference.unwrap_or_default(),
        description: payment.description.unwrap_or_default(),
        settlement_state: pb::SettlementState::Unsettled.into(),
        amount: shown(payment.amount.amount_minor()),
        authorized_amount: shown(payment.authorized_minor),
        captured_amount: shown(payment.captured_minor),
        refunded_amount: shown(payment.refunded_minor),
        disputed_amount: shown(payment.disputed_minor),
        card: Some(card(payment.card)),
        host_id: payment.host_id.to_string(),
        stan: payment.stan.to_string(),
        rrn: payment.rrn.to_string(),
        business_date: payment.business_date.to_string(),
        terminal_id: payment.terminal_id,
        create_time: Some(timestamp(payment.created_at)),
        update_time: Some(timestamp(payment.updated_at)),
        ..Default::default()
    };
    show_state(payment.state, &mut shown_payment);
    shown_payment
}

/// Each state, and what is known in it.
fn show_state(state: PaymentState, shown: &mut pb::Payment) {
    use PaymentState as S;
    use pb::PaymentState as P;
    let shown_state = match state {
        S::Created => P::Created,
        S::RequiresAction { .. } => P::RequiresAction,
        S::Authorizing { pending: reason } => {
            shown.pending = Some(pending(reason));
            P::Authorizing
        }
        S::Authorized {
            approval,
            expires_at,
        } => {
            shown.authorization = Some(authorization(approval, Some(expires_at)));
            P::Authorized
        }
        S::Declined { decline: why } => {
            shown.decline = Some(decline(why));
            P::Declined
        }
        S::Failed { reason } => {
            shown.failure = Some(failure(reason));
            P::Failed
        }
        S::PartiallyCaptured {
            approval,
            expires_at,
        } => {
            shown.authorization = Some(authorization(approval, Some(expires_at)));
            P::PartiallyCaptured
        }
        S::Captured { approval } => {
            shown.authorization = Some(authorization(approval, None));
            P::Captured
        }
        S::Voiding {
            approval,
            expires_at,
        } => {
            shown.authorization = Some(authorization(approval, Some(expires_at)));
            P::Voiding
        }
        S::Voided => P::Voided,
        S::Expired => P::Expired,
        S::Reversing => P::Reversing,
        S::Reversed => P::Reversed,
    };
    shown.state = shown_state.into();
}

fn money(amount_minor: i64, currency: Currency) -> pb::Money {
    pb::Money {
        amount_minor,
        currency: currency.code().to_owned(),
    }
}

/// A moment as protobuf writes it.
pub(super) fn timestamp(moment: UnixMillis) -> prost_types::Timestamp {
    let millis = moment.as_i64();
    prost_types::Timestamp {
        seconds: millis.div_euclid(1000),
        // 0 to 999,000,000, which fits.
        nanos: i32::try_from(millis.rem_euclid(1000) * 1_000_000).unwrap_or_default(),
    }
}

/// A session key that was set up.
pub(super) fn sealing_session(session: SealingSession) -> pb::CreateSealingSessionResponse {
    pb::CreateSealingSessionResponse {
        kid: session.kid,
        expire_time: Some(timestamp(session.expires_at)),
        max_messages: i32::try_from(session.max_messages).unwrap_or(i32::MAX),
    }
}

fn authorization(approval: Approval, expires_at: Option<UnixMillis>) -> pb::Authorization {
    pb::Authorization {
        approval_code: approval.approval_code,
        response_code: approval.response_code.to_string(),
        expire_time: expires_at.map(timestamp),
    }
}

fn card(card: CardSummary) -> pb::Card {
    let brand = match card.brand {
        CardBrand::Visa => pb::CardBrand::Visa,
        CardBrand::Mastercard => pb::CardBrand::Mastercard,
        CardBrand::AmericanExpress => pb::CardBrand::AmericanExpress,
        CardBrand::Discover => pb::CardBrand::Discover,
        CardBrand::Jcb => pb::CardBrand::Jcb,
        CardBrand::DinersClub => pb::CardBrand::DinersClub,
        CardBrand::UnionPay => pb::CardBrand::UnionPay,
        CardBrand::Other => pb::CardBrand::Other,
    };
    pb::Card {
        brand: brand.into(),
        bin: card.bin,
        last4: card.last_four,
    }
}

fn decline(decline: Decline) -> pb::Decline {
    let (reason, text) = decline_reason(decline.reason);
    let advice = match decline.advice {
        DeclineAdvice::UseAnotherCard => pb::DeclineAdvice::UseAnotherCard,
        DeclineAdvice::CorrectEntry => pb::DeclineAdvice::CorrectEntry,
        DeclineAdvice::RetryLater => pb::DeclineAdvice::RetryLater,
        DeclineAdvice::DoNotRetry => pb::DeclineAdvice::DoNotRetry,
    };
    pb::Decline {
        reason: reason.into(),
        response_code: decline.response_code.to_string(),
        advice: advice.into(),
        text: text.to_owned(),
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
        D::Other => (
            P::Other,
            "The bank declined with a code that no table lists",
        ),
    }
}

fn failure(reason: FailureReason) -> pb::Failure {
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

/// While nothing is known to be wrong yet, no reversal is owed.
fn pending(reason: Option<UnknownReason>) -> pb::Pending {
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
        Some(U::GatewayStopped) => (
            P::GatewayStopped,
            "payswitch stopped before the bank's answer was recorded",
        ),
    };
    pb::Pending {
        reason: shown.into(),
        reversal_owed: reason.is_some(),
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
