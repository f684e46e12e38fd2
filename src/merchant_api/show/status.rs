//! The one table from errors to gRPC statuses.
//!
//! Every status carries a google.rpc.ErrorInfo: a reason to branch on, the domain `payswitch`, and in
//! its metadata the `outcome`: `NOT_SENT` when this call has certainly sent nothing to a bank, `UNKNOWN`
//! when that is not sure. `NOT_SENT` says nothing about an earlier call with the same request_id, which
//! may have been sent: so every text that a repetition can meet asks to keep the request_id. No text
//! repeats what could be card data.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};
use tracing::error;

use crate::card::fault::SealedCardFault;
use crate::config::environment::Environment;
use crate::merchant_api::read::violations::InvalidRequest;
use crate::merchant_api::records::RecordsUnavailable;

/// The domain of every reason.
pub(crate) const ERROR_DOMAIN: &str = "payswitch";

/// How long to wait before asking again for a request that is still running.
pub(crate) const RETRY_IN_PROGRESS: Duration = Duration::from_millis(500);
/// How long to wait before trying again when there was no room.
pub(crate) const RETRY_OVERLOADED: Duration = Duration::from_millis(250);
/// How long to wait before trying again when the store is down or the gateway stops.
pub(crate) const RETRY_UNAVAILABLE: Duration = Duration::from_secs(1);

/// Whether this call may have sent anything to a bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
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
pub(crate) struct ErrorAnswer {
    code: Code,
    message: String,
    details: ErrorDetails,
}

impl ErrorAnswer {
    pub(crate) fn new(
        code: Code,
        reason: &str,
        outcome: Outcome,
        message: impl Into<String>,
    ) -> Self {
        let metadata = [("outcome".to_owned(), outcome.name().to_owned())];
        Self {
            code,
            message: message.into(),
            details: ErrorDetails::with_error_info(reason, ERROR_DOMAIN, metadata),
        }
    }

    pub(crate) fn not_sent(code: Code, reason: &str, message: impl Into<String>) -> Self {
        Self::new(code, reason, Outcome::NotSent, message)
    }

    fn with_metadata(mut self, key: &str, value: &str) -> Self {
        if let Some(mut info) = self.details.error_info().cloned() {
            info.metadata.insert(key.to_owned(), value.to_owned());
            self.details
                .set_error_info(info.reason, info.domain, info.metadata);
        }
        self
    }

    pub(crate) fn retry_after(mut self, delay: Duration) -> Self {
        self.details.set_retry_info(Some(delay));
        self
    }

    pub(crate) fn with_violations(mut self, violations: Vec<FieldViolation>) -> Self {
        self.details.set_bad_request(violations);
        self
    }

    pub(crate) fn with_precondition(
        mut self,
        kind: &str,
        subject: &str,
        description: &str,
    ) -> Self {
        self.details
            .add_precondition_failure_violation(kind, subject, description);
        self
    }

    pub(crate) fn into_status(self) -> Status {
        Status::with_error_details(self.code, self.message, self.details)
    }
}

/// A request that is not what it should be.
pub(crate) fn of_invalid_request(invalid: InvalidRequest) -> Status {
    match invalid {
        InvalidRequest::Violations(violations) => {
            let fields: Vec<&str> = violations.iter().map(|violation| violation.field).collect();
            let message = format!("the request is not valid: {}", fields.join(", "));
            ErrorAnswer::not_sent(Code::InvalidArgument, "INVALID_REQUEST", message)
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
        InvalidRequest::ClearCard(fields) => ErrorAnswer::not_sent(
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
pub(crate) fn request_not_readable(why: &str) -> Status {
    let message = format!("the request can't be read: {why}");
    ErrorAnswer::not_sent(Code::InvalidArgument, "REQUEST_NOT_READABLE", message).into_status()
}

/// An envelope that can't be used. A test environment tells its fault; elsewhere there is one text for every way
/// in which it can be bad, so that nobody can feel their way to a good one.
pub(crate) fn sealed_card_refused(fault: SealedCardFault, environment: Environment) -> Status {
    const TEXT: &str = "the sealed card was refused";
    let reason = "SEALED_CARD_REFUSED";
    match environment {
        Environment::Live => ErrorAnswer::not_sent(Code::InvalidArgument, reason, TEXT),
        Environment::Test => {
            let text = format!("{TEXT}: {fault}. docs/sealing.md, \"When it is refused\"");
            ErrorAnswer::not_sent(Code::InvalidArgument, reason, text)
                .with_metadata("fault", fault.name())
        }
    }
    .into_status()
}

/// More calls at once than the gateway takes.
pub(crate) fn overloaded() -> Status {
    ErrorAnswer::not_sent(
        Code::ResourceExhausted,
        "OVERLOADED",
        "the gateway is at its limit of calls, and this caller has its share of them; this call sent nothing \
         to a bank: repeat it unchanged, with the same request_id",
    )
    .retry_after(RETRY_OVERLOADED)
    .into_status()
}

/// A call whose body did not come in time.
pub(crate) fn body_too_slow() -> Status {
    ErrorAnswer::not_sent(
        Code::DeadlineExceeded,
        "BODY_TOO_SLOW",
        "the body of the call did not come within a second of its headers; this call sent nothing to a bank: \
         repeat it unchanged, with the same request_id",
    )
    .retry_after(RETRY_UNAVAILABLE)
    .into_status()
}

/// A call that was not answered in time. What it began goes on.
pub(crate) fn not_answered_in_time() -> Status {
    ErrorAnswer::new(
        Code::Unavailable,
        "NO_ANSWER_IN_TIME",
        Outcome::Unknown,
        "the gateway did not answer this call in time; repeat it unchanged for its answer",
    )
    .retry_after(RETRY_UNAVAILABLE)
    .into_status()
}

/// A call whose caller did not want to wait any longer (`grpc-timeout`). What it began goes on.
pub(crate) fn caller_deadline_exceeded() -> Status {
    ErrorAnswer::new(
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
pub(crate) fn payment_not_found() -> Status {
    ErrorAnswer::not_sent(
        Code::NotFound,
        "PAYMENT_NOT_FOUND",
        "there is no such payment",
    )
    .into_status()
}

/// A call that is laid out and not built.
pub(crate) fn not_built(call: &str) -> Status {
    ErrorAnswer::not_sent(
        Code::Unimplemented,
        "NOT_IMPLEMENTED",
        format!("payswitch.v1.PaymentService/{call} is not available in this version"),
    )
    .into_status()
}

/// A call that tonic refused because this version has nothing for it: a method that is not in the API, or
/// a compressed request. `why` is tonic's text, which is empty for a method.
pub(crate) fn not_supported(why: &str) -> Status {
    let (reason, message) = if why.is_empty() {
        (
            "NOT_IMPLEMENTED",
            "there is no such call in this version".to_owned(),
        )
    } else {
        let message =
            format!("the request can't be read: {why}; expected one that is not compressed");
        ("ENCODING_NOT_SUPPORTED", message)
    };
    ErrorAnswer::not_sent(Code::Unimplemented, reason, message).into_status()
}

/// A payment that can't be read.
pub(crate) fn of_unavailable(unavailable: &RecordsUnavailable) -> Status {
    error!(error = %unavailable, "payments could not be read");
    store_unavailable()
}

/// The records are out of reach. Nothing was sent.
pub(crate) fn store_unavailable() -> Status {
    ErrorAnswer::not_sent(
        Code::Unavailable,
        "STORE_UNAVAILABLE",
        "the gateway's records are out of reach; this call sent nothing to a bank: repeat it \
         unchanged, with the same request_id",
    )
    .retry_after(RETRY_UNAVAILABLE)
    .into_status()
}

#[cfg(test)]
mod tests;
