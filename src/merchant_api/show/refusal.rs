//! Why a later operation of a payment is refused, and what can be asked for instead.

use tonic::{Code, Status};

use super::errors;
use crate::grpc::status::{ErrorAnswer, RETRY_UNAVAILABLE};
use crate::operations::later::{LaterRefusal, Why};

/// The refusal as a status: its metadata have the payment's state and amounts.
pub(crate) fn later_refusal(refusal: &LaterRefusal) -> Status {
    let (reason, instead) = match &refusal.why {
        Why::NoCapture => return errors::capture_not_found(),
        Why::InProgress => return in_progress(),
        Why::ExceedsRefundable { .. } => (
            "AMOUNT_EXCEEDS_REFUNDABLE",
            "refund no more than that of one capture".to_owned(),
        ),
        Why::SeveralCaptures => (
            "SEVERAL_CAPTURES",
            "refund each capture with CreateRefund".to_owned(),
        ),
        Why::State(_) => ("PAYMENT_STATE", instead_of(refusal)),
        Why::ExceedsCapturable { left_minor: 0 } => {
            ("AMOUNT_EXCEEDS_CAPTURABLE", instead_of(refusal))
        }
        Why::ExceedsCapturable { .. } => (
            "AMOUNT_EXCEEDS_CAPTURABLE",
            "capture capturable_minor at most".to_owned(),
        ),
        Why::ExceedsAuthorizable { .. } => {
            ("AMOUNT_EXCEEDS_AUTHORIZABLE", "ask for less".to_owned())
        }
        Why::Currency { .. } => (
            "CURRENCY_MISMATCH",
            format!("give the amount in {}", refusal.currency),
        ),
        Why::TooManyCaptures => ("TOO_MANY_CAPTURES", instead_of(refusal)),
        Why::TooManyIncrements => (
            "TOO_MANY_INCREMENTS",
            "authorize the rest as a new payment".to_owned(),
        ),
        Why::HoldExpired => ("HOLD_EXPIRED", "authorize a new payment".to_owned()),
        Why::NotSupported { .. } | Why::OnlyOne { .. } => (
            "NOT_SUPPORTED_BY_HOST",
            "see allowed_actions of the payment".to_owned(),
        ),
    };
    let text = format!("{refusal}: {instead}; this call sent nothing to a bank");
    let amounts = &refusal.amounts;
    let mut answer = ErrorAnswer::not_sent(Code::FailedPrecondition, reason, text.clone())
        .with_precondition(reason, "payment", &text)
        .with_metadata("state", refusal.state)
        .with_metadata("currency", refusal.currency.code());
    for (name, minor) in [
        ("authorized_minor", amounts.authorized_minor),
        ("captured_minor", amounts.captured_minor),
        ("refunded_minor", amounts.refunded_minor),
        ("capturable_minor", capturable_minor(refusal)),
        ("refundable_minor", amounts.refundable_minor()),
    ] {
        answer = answer.with_metadata(name, &minor.to_string());
    }
    answer.into_status()
}

/// An earlier message of the payment has no end yet.
fn in_progress() -> Status {
    let text = "an earlier operation of this payment is on its way to the bank; this call sent nothing to a \
                bank: repeat it unchanged, with the same request_id";
    ErrorAnswer::not_sent(Code::Aborted, "OPERATION_IN_PROGRESS", text)
        .retry_after(RETRY_UNAVAILABLE)
        .into_status()
}

fn capturable_minor(refusal: &LaterRefusal) -> i64 {
    match refusal.state {
        "AUTHORIZED" | "PARTIALLY_CAPTURED" if refusal.why != Why::HoldExpired => {
            refusal.amounts.capturable_minor()
        }
        _ => 0,
    }
}

/// What can be asked for, by what was captured.
fn instead_of(refusal: &LaterRefusal) -> String {
    if refusal.amounts.captured_minor > 0 {
        "refund what was captured".to_owned()
    } else {
        "see allowed_actions of the payment".to_owned()
    }
}
