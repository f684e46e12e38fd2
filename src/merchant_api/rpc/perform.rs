//! The way from an RPC to its flow, and the errors that all flows share.

use std::sync::Arc;

use tonic::{Code, Status};
use tonic_types::FieldViolation;
use tracing::{error, info, warn};

use crate::card::fault::SealedCardFault;
use crate::config::environment::Environment;
use crate::grpc::status::{self, ErrorAnswer, Outcome, RETRY_IN_PROGRESS, RETRY_UNAVAILABLE};
use crate::merchant_api::show::errors;
use crate::operations::call::{Call, Concluded, OperationError};
use crate::operations::flow::Flow;
use crate::operations::machine::Operations;
use crate::operations::new_card::CardRefusal;
use crate::payment::ids::MerchantId;
use crate::payment::operation::OperationKind;

/// The machine with one of its flows.
pub struct Performer<F> {
    /// The machine.
    pub operations: Arc<Operations>,
    /// The flow.
    pub flow: Arc<F>,
}

impl<F: Flow> Performer<F> {
    /// Performs an operation, in a task of its own: dropping this future stops only the waiting.
    pub(super) async fn perform(
        &self,
        call: Call,
        command: F::Command,
    ) -> Result<Concluded, OperationError<F::Refusal>> {
        self.operations.perform(&self.flow, call, command).await
    }
}

/// Why an operation has nothing to tell of: its flow's own refusals by `refusal`, all others here.
pub(super) fn failure<R>(
    failed: &OperationError<R>,
    environment: Environment,
    merchant_id: &MerchantId,
    refusal: impl FnOnce(&R, Environment, &MerchantId) -> Status,
) -> Status {
    use OperationError as E;
    match failed {
        E::Refused(refused) => return refusal(refused, environment, merchant_id),
        E::SealedCardUsed => {
            return sealed_card_refused(SealedCardFault::Used, environment, merchant_id);
        }
        E::RequestIdReused { .. } => {
            let text = "this request_id was used before, with another request";
            ErrorAnswer::not_sent(Code::FailedPrecondition, "REQUEST_ID_REUSED", text)
                .with_precondition("REQUEST_ID_REUSED", "request_id", text)
        }
        E::RequestCancelled { .. } => {
            let text = "this request was cancelled before it came; a payment that is still wanted takes a new request_id";
            ErrorAnswer::not_sent(Code::FailedPrecondition, "REQUEST_CANCELLED", text)
                .with_precondition("REQUEST_CANCELLED", "request_id", text)
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
            ErrorAnswer::not_sent(Code::FailedPrecondition, "MESSAGE_NOT_BUILDABLE", text)
                .with_precondition("MESSAGE_NOT_BUILDABLE", "amount", text)
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

/// The operation is recorded, and something may have been sent: only what is told of it beside can't be read now.
pub(super) fn not_readable(error: &impl std::fmt::Display) -> Status {
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
pub(super) fn sealed_card_refused(
    fault: SealedCardFault,
    environment: Environment,
    merchant_id: &MerchantId,
) -> Status {
    info!(merchant.id = %merchant_id, reason = fault.name(), "a sealed card was refused");
    errors::sealed_card_refused(fault, environment)
}

/// Why nothing is asked of a bank.
pub(super) fn card_refusal(
    refused: &CardRefusal,
    environment: Environment,
    merchant_id: &MerchantId,
) -> Status {
    match refused {
        CardRefusal::SealedCard(fault) => {
            return sealed_card_refused(*fault, environment, merchant_id);
        }
        CardRefusal::UnknownPaymentMethod { .. } => ErrorAnswer::not_sent(
            Code::InvalidArgument,
            "UNKNOWN_PAYMENT_METHOD",
            "there is no such payment method in this environment",
        )
        .with_violations(vec![FieldViolation::new(
            "payment_method_token",
            "expected a token of this environment, got another; test tokens such as \
             \"pm_test_visa\" work only where the server is a test environment",
        )]),
        CardRefusal::MerchantInactive { .. } => ErrorAnswer::not_sent(
            Code::PermissionDenied,
            "MERCHANT_INACTIVE",
            "this merchant may not take payments at present; this call sent nothing to a bank: keep \
             its request_id to repeat it",
        ),
        CardRefusal::NotSupported { kind, .. } => {
            let (subject, text) = match kind {
                OperationKind::Sale => (
                    "capture_mode",
                    "this merchant's bank takes no sales: authorize, then capture; this call sent nothing to a bank",
                ),
                _ => (
                    "merchant",
                    "this merchant's bank takes no such message; this call sent nothing to a bank",
                ),
            };
            ErrorAnswer::not_sent(Code::FailedPrecondition, "NOT_SUPPORTED_BY_HOST", text)
                .with_precondition("NOT_SUPPORTED_BY_HOST", subject, text)
        }
        CardRefusal::NoRoute {
            merchant_id,
            host_id,
        } => {
            error!(merchant.id = %merchant_id, host.id = %host_id, "a merchant's acquirer has no host profile");
            let text = "there is no host for this merchant's payments; this call sent nothing to a \
                        bank: keep its request_id to repeat it";
            ErrorAnswer::not_sent(Code::FailedPrecondition, "NO_ROUTE", text)
                .with_precondition("NO_ROUTE", "merchant", text)
        }
    }
    .into_status()
}
