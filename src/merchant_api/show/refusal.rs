//! Why an operation is refused, or has nothing to tell of, and what can be asked for instead.

use tonic::{Code, Status};
use tonic_types::FieldViolation;
use tracing::{error, info, warn};

use super::errors;
use crate::card::fault::SealedCardFault;
use crate::config::environment::Environment;
use crate::grpc::status::{self, ErrorAnswer, Outcome, RETRY_IN_PROGRESS, RETRY_UNAVAILABLE};
use crate::operations::call::OperationError;
use crate::operations::later::{LaterRefusal, Why};
use crate::operations::new_card::CardRefusal;
use crate::payment::ids::MerchantId;
use crate::payment::operation_kind::OperationKind;

/// A flow's own refusal.
pub(crate) trait Refusal {
    /// What the merchant is told.
    fn status(&self, environment: Environment, merchant_id: &MerchantId) -> Status;
}

impl Refusal for LaterRefusal {
    fn status(&self, _: Environment, _: &MerchantId) -> Status {
        later_refusal(self)
    }
}

/// Why an operation has nothing to tell of: its flow says its own refusals, all others are here.
pub(crate) fn failure<R: Refusal>(
    failed: &OperationError<R>,
    environment: Environment,
    merchant_id: &MerchantId,
) -> Status {
    use OperationError as E;
    match failed {
        E::Refused(refused) => return refused.status(environment, merchant_id),
        E::SealedCardUsed => {
            return sealed_card_refused(SealedCardFault::Used, environment, merchant_id);
        }
        E::RequestIdReused { .. } => {
            let text = "this request_id was used before, with another request";
            failed_precondition("REQUEST_ID_REUSED", "request_id", text)
        }
        E::RequestCancelled { .. } => {
            let text = "this request was cancelled before it came; a payment that is still wanted takes a \
                        new request_id";
            failed_precondition("REQUEST_CANCELLED", "request_id", text)
        }
        E::RequestInProgress { .. } => ErrorAnswer::new(
            Code::Aborted,
            "REQUEST_IN_PROGRESS",
            Outcome::Unknown,
            "the same request is still in progress; repeat it unchanged for its answer",
        )
        .retry_after(RETRY_IN_PROGRESS),
        E::PaymentNotFound { .. } => return errors::payment_not_found(),
        E::PaymentBusy { .. } => ErrorAnswer::not_sent(
            Code::Aborted,
            "OPERATION_IN_PROGRESS",
            "other operations are changing this payment; this call sent nothing to a bank: repeat it \
             unchanged, with the same request_id",
        )
        .retry_after(RETRY_IN_PROGRESS),
        E::NotBuildable { .. } => {
            let text = "the payment's bank can't be told this: its messages have no place for such an amount \
                        or value";
            failed_precondition("MESSAGE_NOT_BUILDABLE", "amount", text)
        }
        E::Overloaded => return status::overloaded(),
        E::Draining => ErrorAnswer::not_sent(
            Code::Unavailable,
            "DRAINING",
            "this gateway is stopping and takes no new payments; this call sent nothing to a bank: \
             repeat it unchanged, with the same request_id, on another one",
        )
        .retry_after(RETRY_UNAVAILABLE),
        E::NotRecorded { source } => {
            error!(error = %source, "a payment could not be recorded; nothing was sent");
            return status::store_unavailable();
        }
        E::OutcomeNotRecorded { payment_id } => {
            warn!(payment.id = %payment_id, "an outcome is not recorded yet");
            return outcome_not_told(
                "the outcome is not recorded yet; repeat the request unchanged for its answer",
            );
        }
    }
    .into_status()
}

fn failed_precondition(reason: &'static str, subject: &'static str, text: &str) -> ErrorAnswer {
    ErrorAnswer::not_sent(Code::FailedPrecondition, reason, text)
        .with_precondition(reason, subject, text)
}

/// The operation is recorded, and something may have been sent: only what is told of it beside can't be read now.
pub(crate) fn not_readable(error: &impl std::fmt::Display) -> Status {
    error!(%error, "what a call has done can't be read");
    outcome_not_told("the outcome can't be read now; repeat the request unchanged for its answer")
}

fn outcome_not_told(text: &str) -> Status {
    ErrorAnswer::new(
        Code::Unavailable,
        "OUTCOME_NOT_RECORDED",
        Outcome::Unknown,
        text,
    )
    .retry_after(RETRY_UNAVAILABLE)
    .into_status()
}

/// A sealed card that can't be used; the log has its fault in every environment.
fn sealed_card_refused(
    fault: SealedCardFault,
    environment: Environment,
    merchant_id: &MerchantId,
) -> Status {
    info!(merchant.id = %merchant_id, reason = fault.name(), "a sealed card was refused");
    errors::sealed_card_refused(fault, environment)
}

impl Refusal for CardRefusal {
    fn status(&self, environment: Environment, merchant_id: &MerchantId) -> Status {
        match self {
            Self::SealedCard(fault) => return sealed_card_refused(*fault, environment, merchant_id),
            Self::UnknownPaymentMethod { .. } => {
                let text = "there is no such payment method in this environment";
                let violation = "expected a token of this environment, got another; test tokens such as \
                                 \"pm_test_visa\" work only where the server is a test environment";
                ErrorAnswer::not_sent(Code::InvalidArgument, "UNKNOWN_PAYMENT_METHOD", text)
                    .with_violations(vec![FieldViolation::new("payment_method_token", violation)])
            }
            Self::MerchantInactive { .. } => {
                let text = "this merchant may not take payments at present; this call sent nothing to a bank: \
                            keep its request_id to repeat it";
                ErrorAnswer::not_sent(Code::PermissionDenied, "MERCHANT_INACTIVE", text)
            }
            Self::NotSupported { kind, .. } => {
                let (subject, text) = match kind {
                    OperationKind::Sale => (
                        "capture_mode",
                        "this merchant's bank takes no sales: authorize, then capture; this call sent nothing \
                         to a bank",
                    ),
                    _ => (
                        "merchant",
                        "this merchant's bank takes no such message; this call sent nothing to a bank",
                    ),
                };
                failed_precondition("NOT_SUPPORTED_BY_HOST", subject, text)
            }
            Self::NoRoute {
                merchant_id,
                host_id,
            } => {
                error!(
                    merchant.id = %merchant_id, host.id = %host_id,
                    "a merchant's acquirer has no host profile"
                );
                let text = "there is no host for this merchant's payments; this call sent nothing to a bank: \
                            keep its request_id to repeat it";
                failed_precondition("NO_ROUTE", "merchant", text)
            }
        }
        .into_status()
    }
}

/// The refusal of a later operation: its metadata have the payment's state and amounts.
fn later_refusal(refusal: &LaterRefusal) -> Status {
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
        Why::InClearing => ("IN_CLEARING", instead_of(refusal)),
        Why::HoldExpired => ("HOLD_EXPIRED", "authorize a new payment".to_owned()),
        Why::NotSupported { .. } | Why::OnlyOne { .. } => (
            "NOT_SUPPORTED_BY_HOST",
            "see allowed_actions of the payment".to_owned(),
        ),
    };
    let text = format!(
        "{}: {instead}; this call sent nothing to a bank",
        said_of(refusal)
    );
    let amounts = &refusal.amounts;
    let mut answer = failed_precondition(reason, "payment", &text)
        .with_metadata("state", refusal.state)
        .with_metadata("currency", refusal.currency.code());
    for (name, minor) in [
        ("authorized_minor", amounts.confirmed_minor()),
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

/// What can be asked for instead, by the payment's state and what was captured.
fn instead_of(refusal: &LaterRefusal) -> String {
    let amounts = &refusal.amounts;
    match refusal.state {
        "CREATED" | "REQUIRES_ACTION" | "AUTHORIZING" | "VOIDING" | "REVERSING" => {
            "ask again once its outcome is known, which GetPayment tells"
        }
        _ if amounts.refundable_minor() > 0 => "refund what was captured, with CreateRefund",
        _ if amounts.captured_pending_minor > 0 => {
            "refund what was captured, with CreateRefund, once the bank has taken it"
        }
        _ if amounts.captured_minor > 0 => "what was captured is given back already",
        "AUTHORIZED" if matches!(refusal.why, Why::State(_)) => {
            "take it with CapturePayment or give it up with VoidPayment, as its allowed_actions say"
        }
        "AUTHORIZED" => "give it up with VoidPayment, as its allowed_actions say",
        _ => "nothing can be asked for of it any more",
    }
    .to_owned()
}

/// Why it is refused. An operation of a refusal by state may be another one than the call is named after: the void of
/// CancelByRequestId.
fn said_of(refusal: &LaterRefusal) -> String {
    match refusal.why {
        Why::State(_) => format!(
            "the payment is {}, which allows no such call",
            refusal.state
        ),
        _ => refusal.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merchant_api::testing::merchant;
    use crate::payment::amounts::Amounts;

    fn told(state: &'static str, amounts: Amounts, why: Why) -> String {
        let refusal = LaterRefusal {
            why,
            state,
            amounts: Box::new(amounts),
            currency: "EUR".parse().unwrap(),
        };
        let merchant = merchant("demo-shop").id;
        let status = refusal.status(Environment::Test, &merchant);
        status.message().to_owned()
    }

    #[test]
    fn a_refusal_by_state_says_what_can_be_asked_for_instead() {
        let none = Amounts::ZERO;
        let captured = Amounts {
            captured_minor: 500,
            ..none
        };
        let pending = Amounts {
            captured_pending_minor: 500,
            ..captured
        };
        let refunded = Amounts {
            refunded_minor: 500,
            ..captured
        };
        for (state, amounts, instead) in [
            (
                "AUTHORIZED",
                none,
                "take it with CapturePayment or give it up with VoidPayment, as its allowed_actions say",
            ),
            (
                "AUTHORIZING",
                none,
                "ask again once its outcome is known, which GetPayment tells",
            ),
            (
                "VOIDING",
                captured,
                "ask again once its outcome is known, which GetPayment tells",
            ),
            (
                "PARTIALLY_CAPTURED",
                captured,
                "refund what was captured, with CreateRefund",
            ),
            (
                "CAPTURED",
                pending,
                "refund what was captured, with CreateRefund, once the bank has taken it",
            ),
            (
                "CAPTURED",
                refunded,
                "what was captured is given back already",
            ),
            ("DECLINED", none, "nothing can be asked for of it any more"),
            ("VOIDED", none, "nothing can be asked for of it any more"),
        ] {
            // A call that cancels is told nothing of the void that it would have been.
            for kind in [OperationKind::Refund, OperationKind::Void] {
                let expected = format!(
                    "the payment is {state}, which allows no such call: {instead}; this call sent nothing to a bank"
                );
                assert_eq!(told(state, amounts, Why::State(kind)), expected);
            }
        }
        // What has as many captures as it can have is not captured.
        let told = told("AUTHORIZED", none, Why::TooManyCaptures);
        assert!(
            told.contains("VoidPayment") && !told.contains("CapturePayment"),
            "{told}"
        );
    }
}
