//! The one table from errors to gRPC statuses.
//!
//! Every status carries a google.rpc.ErrorInfo: a reason to branch on, the domain `payswitch`, and in
//! its metadata the `outcome`: `NOT_SENT` when this call has certainly sent nothing to a bank, `UNKNOWN`
//! when that is not sure. `NOT_SENT` says nothing about an earlier call with the same request_id, which
//! may have been sent: so every text that a repetition can meet asks to keep the request_id. No text
//! repeats what could be card data.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};
use tracing::{error, warn};

use super::super::auth::Refused;
use super::super::records::RecordsUnavailable;
use super::super::violations::InvalidRequest;
use crate::authorization::command::AuthorizeError;

/// The domain of every reason.
const ERROR_DOMAIN: &str = "payswitch";

/// How long to wait before asking again for a request that is still running.
const RETRY_STILL_RUNNING: Duration = Duration::from_millis(500);
/// How long to wait before trying again when there was no room.
const RETRY_OVERLOADED: Duration = Duration::from_millis(250);
/// How long to wait before trying again when the store is down or the gateway stops.
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(1);

/// Whether this call may have sent anything to a bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Certainly not. An earlier call with the same request_id may have.
    NotSent,
    /// It may have, or waited for one that may; the payment tells later.
    Unknown,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::NotSent => "NOT_SENT",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// A status in the making.
struct Answer {
    code: Code,
    message: String,
    details: ErrorDetails,
}

impl Answer {
    fn new(code: Code, reason: &str, outcome: Outcome, message: impl Into<String>) -> Self {
        let metadata = HashMap::from([("outcome".to_owned(), outcome.name().to_owned())]);
        Self {
            code,
            message: message.into(),
            details: ErrorDetails::with_error_info(reason, ERROR_DOMAIN, metadata),
        }
    }

    fn not_sent(code: Code, reason: &str, message: impl Into<String>) -> Self {
        Self::new(code, reason, Outcome::NotSent, message)
    }

    fn retry_after(mut self, delay: Duration) -> Self {
        self.details.set_retry_info(Some(delay));
        self
    }

    fn with_violations(mut self, violations: Vec<FieldViolation>) -> Self {
        self.details.set_bad_request(violations);
        self
    }

    fn with_precondition(mut self, kind: &str, subject: &str, description: &str) -> Self {
        self.details
            .add_precondition_failure_violation(kind, subject, description);
        self
    }

    fn into_status(self) -> Status {
        Status::with_error_details(self.code, self.message, self.details)
    }
}

/// A request that is not what it should be.
pub(in crate::merchant_api) fn of_invalid_request(invalid: InvalidRequest) -> Status {
    match invalid {
        InvalidRequest::Violations(violations) => {
            let fields: Vec<&str> = violations.iter().map(|violation| violation.field).collect();
            let message = format!("the request is not valid: {}", fields.join(", "));
            Answer::not_sent(Code::InvalidArgument, "INVALID_REQUEST", message)
                .with_violations(
                    violations
                        .into_iter()
                        .map(|violation| {
                            FieldViolation::new(violation.field, violation.description)
                        })
                        .collect(),
                )
                .into_status()
        }
        InvalidRequest::ClearCard(fields) => Answer::not_sent(
            Code::InvalidArgument,
            "CLEAR_CARD_REFUSED",
            "a card number in clear is never accepted; seal the card and send it as sealed_card",
        )
        .with_violations(
            fields
                .into_iter()
                .map(|field| {
                    let description = "expected no card number in clear, got what must be taken \
                                       for one (13 to 19 digits with a valid check digit)";
                    FieldViolation::new(field, description)
                })
                .collect(),
        )
        .into_status(),
    }
}

/// A request that tonic itself could not read: no protobuf, no UTF-8, a frame that is cut off or too
/// large. `why` is tonic's text, which names fields and lengths and repeats no value.
pub(in crate::merchant_api) fn request_not_readable(why: &str) -> Status {
    let message = format!("the request can't be read: {why}");
    Answer::not_sent(Code::InvalidArgument, "REQUEST_NOT_READABLE", message).into_status()
}

/// A call that was not let in.
pub(in crate::merchant_api) fn of_refused(refused: &Refused) -> Status {
    let (code, reason) = match refused {
        Refused::NoCredentials => (Code::Unauthenticated, "CREDENTIALS_MISSING"),
        Refused::BadKey => (Code::Unauthenticated, "API_KEY_REFUSED"),
        Refused::BadCertificate => (Code::Unauthenticated, "CLIENT_CERTIFICATE_REFUSED"),
        Refused::Disagree => (Code::Unauthenticated, "CREDENTIALS_DISAGREE"),
        Refused::Unavailable(why) => {
            error!(error = %why, "a caller could not be looked up");
            return store_unavailable();
        }
    };
    Answer::not_sent(code, reason, refused.to_string()).into_status()
}

/// An envelope that can't be used: one text for every way in which it can be bad.
pub(in crate::merchant_api) fn sealed_card_refused() -> Status {
    Answer::not_sent(
        Code::InvalidArgument,
        "SEALED_CARD_REFUSED",
        "the sealed card was refused",
    )
    .into_status()
}

/// More calls at once than the gateway takes.
pub(in crate::merchant_api) fn overloaded() -> Status {
    Answer::not_sent(
        Code::ResourceExhausted,
        "OVERLOADED",
        "the gateway is at its limit of calls; this call sent nothing to a bank: repeat it unchanged, \
         with the same request_id",
    )
    .retry_after(RETRY_OVERLOADED)
    .into_status()
}

/// A call that was not answered in time. What it began goes on.
pub(in crate::merchant_api) fn not_answered_in_time() -> Status {
    Answer::new(
        Code::Unavailable,
        "NO_ANSWER_IN_TIME",
        Outcome::Unknown,
        "the gateway did not answer this call in time; repeat it unchanged for its answer",
    )
    .retry_after(RETRY_UNAVAILABLE)
    .into_status()
}

/// A call whose caller did not want to wait any longer (`grpc-timeout`). What it began goes on.
pub(in crate::merchant_api) fn caller_deadline_exceeded() -> Status {
    Answer::new(
        Code::DeadlineExceeded,
        "CALLER_DEADLINE_EXCEEDED",
        Outcome::Unknown,
        "the caller's own deadline (grpc-timeout) was over first; repeat the call unchanged, with more \
         time, for its answer",
    )
    .retry_after(RETRY_UNAVAILABLE)
    .into_status()
}

/// No payment of this caller. The same for one that does not exist and for one of somebody else.
pub(in crate::merchant_api) fn payment_not_found() -> Status {
    Answer::not_sent(
        Code::NotFound,
        "PAYMENT_NOT_FOUND",
        "there is no such payment",
    )
    .into_status()
}

/// A call that is laid out and not built.
pub(in crate::merchant_api) fn not_built(call: &str) -> Status {
    Answer::not_sent(
        Code::Unimplemented,
        "NOT_IMPLEMENTED",
        format!("payswitch.v1.PaymentService/{call} is not available in this version"),
    )
    .into_status()
}

/// A call that tonic refused because this version has nothing for it: a method that is not in the API, or
/// a compressed request. `why` is tonic's text, which is empty for a method.
pub(in crate::merchant_api) fn not_supported(why: &str) -> Status {
    let (reason, message) = if why.is_empty() {
        ("NOT_IMPLEMENTED", "there is no such call".to_owned())
    } else {
        let message =
            format!("the request can't be read: {why}; expected one that is not compressed");
        ("ENCODING_NOT_SUPPORTED", message)
    };
    Answer::not_sent(Code::Unimplemented, reason, message).into_status()
}

/// A payment that can't be read.
pub(in crate::merchant_api) fn of_unavailable(unavailable: &RecordsUnavailable) -> Status {
    error!(error = %unavailable, "payments could not be read");
    store_unavailable()
}

fn store_unavailable() -> Status {
    Answer::not_sent(
        Code::Unavailable,
        "STORE_UNAVAILABLE",
        "the gateway's records are out of reach; this call sent nothing to a bank: repeat it \
         unchanged, with the same request_id",
    )
    .retry_after(RETRY_UNAVAILABLE)
    .into_status()
}

/// Why an authorization has no payment to tell of.
pub(in crate::merchant_api) fn of_authorize_error(failed: &AuthorizeError) -> Status {
    use AuthorizeError as E;
    match failed {
        E::SealedCardRefused => return sealed_card_refused(),
        E::UnknownPaymentMethod { .. } => Answer::not_sent(
            Code::InvalidArgument,
            "UNKNOWN_PAYMENT_METHOD",
            "there is no such payment method in this environment",
        )
        .with_violations(vec![FieldViolation::new(
            "payment_method_token",
            "expected a token of this environment, got another; test tokens such as \
             \"pm_test_visa\" work only where the server is a test environment",
        )]),
        E::RequestIdReused { .. } => {
            let text = "this request_id was used before, with another request";
            Answer::not_sent(Code::FailedPrecondition, "REQUEST_ID_REUSED", text).with_precondition(
                "REQUEST_ID_REUSED",
                "request_id",
                text,
            )
        }
        E::StillRunning { .. } => Answer::new(
            Code::Aborted,
            "REQUEST_IN_PROGRESS",
            Outcome::Unknown,
            "the same request is still being worked on; repeat it unchanged for its answer",
        )
        .retry_after(RETRY_STILL_RUNNING),
        E::MerchantInactive { .. } => Answer::not_sent(
            Code::PermissionDenied,
            "MERCHANT_INACTIVE",
            "this merchant may not take payments at present; this call sent nothing to a bank: keep \
             its request_id to repeat it",
        ),
        E::NoRoute {
            merchant_id,
            host_id,
        } => {
            error!(merchant.id = %merchant_id, host.id = %host_id, "a merchant's acquirer has no host profile");
            let text = "there is no host for this merchant's payments; this call sent nothing to a \
                        bank: keep its request_id to repeat it";
            Answer::not_sent(Code::FailedPrecondition, "NO_ROUTE", text)
                .with_precondition("NO_ROUTE", "merchant", text)
        }
        E::Overloaded => return overloaded(),
        E::Draining => Answer::not_sent(
            Code::Unavailable,
            "DRAINING",
            "this gateway is stopping and takes no new payments; this call sent nothing to a bank: \
             repeat it unchanged, with the same request_id, on another one",
        )
        .retry_after(RETRY_UNAVAILABLE),
        E::NotRecorded { source } => {
            error!(error = %source, "a payment could not be recorded; nothing was sent");
            return store_unavailable();
        }
        E::OutcomeNotRecorded { payment_id } => {
            warn!(payment.id = %payment_id, "an outcome is not recorded yet");
            Answer::new(
                Code::Unavailable,
                "OUTCOME_NOT_RECORDED",
                Outcome::Unknown,
                "the outcome is not recorded yet; repeat the request unchanged for its answer",
            )
            .retry_after(RETRY_UNAVAILABLE)
        }
    }
    .into_status()
}

#[cfg(test)]
mod tests;
