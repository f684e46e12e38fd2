//! The one table from errors to gRPC statuses.
//!
//! Every status carries a google.rpc.ErrorInfo: a reason to branch on, the domain `payswitch`, and in
//! its metadata the `outcome`: `NOT_SENT` when this call has certainly sent nothing to a bank, `UNKNOWN`
//! when that is not sure. `NOT_SENT` says nothing about an earlier call with the same request_id, which
//! may have been sent: so every text that a repetition can meet asks to keep the request_id. No text
//! repeats what could be card data.

use std::time::Duration;

use http::Response;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};
use tracing::error;

use super::violations::InvalidRequest;

/// Says which encodings a server takes.
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

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

    pub(crate) fn with_metadata(mut self, key: &str, value: &str) -> Self {
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

/// Records that can't be read or written.
pub(crate) fn of_unavailable(error: &impl std::fmt::Display) -> Status {
    error!(%error, "The records are out of reach");
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

/// Gives a reason to what tonic says of a request that it can't read: INTERNAL, OUT_OF_RANGE where it is
/// too large, UNIMPLEMENTED where it is compressed or for no call that there is; all without details and
/// before a handler ran. All that handlers say has details.
pub(crate) fn with_reason(answer: Response<Body>) -> Response<Body> {
    if answer.headers().contains_key(Status::GRPC_STATUS_DETAILS) {
        return answer;
    }
    match Status::from_header_map(answer.headers()) {
        Some(status) if matches!(status.code(), Code::Internal | Code::OutOfRange) => {
            request_not_readable(status.message()).into_http()
        }
        Some(status) if status.code() == Code::Unimplemented => {
            let mut refused: Response<Body> = not_supported(status.message()).into_http();
            // Which encodings are taken (gRPC over HTTP/2, "Message-Accept-Encoding").
            if let Some(accepted) = answer.headers().get(ACCEPT_ENCODING) {
                let accepted = accepted.clone();
                refused.headers_mut().insert(ACCEPT_ENCODING, accepted);
            }
            refused
        }
        _ => answer,
    }
}

#[cfg(test)]
mod tests;
