//! The way from an RPC to its flow, and the errors that all flows share.

use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status};
use tonic_types::FieldViolation;
use tracing::{error, info, warn};

use crate::card::fault::SealedCardFault;
use crate::config::environment::Environment;
use crate::grpc::body_hash::body_hash;
use crate::grpc::status::{self, ErrorAnswer, Outcome, RETRY_IN_PROGRESS, RETRY_UNAVAILABLE};
use crate::grpc::text::REQUEST_ID;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::show::errors;
use crate::merchant_api::show::refusal::later_refusal;
use crate::merchant_api::transport::gate;
use crate::merchant_api::transport::trailers::BankTime;
use crate::operations::call::{Call, Concluded, OperationError};
use crate::operations::flow::Flow;
use crate::operations::later::LaterRefusal;
use crate::operations::machine::Operations;
use crate::operations::new_card::CardRefusal;
use crate::payment::ids::MerchantId;
use crate::payment::merchant::Merchant;
use crate::payment::operation::OperationKind;

/// The machine with one of its flows.
pub(crate) struct Performer<F> {
    pub(super) operations: Arc<Operations>,
    flow: Arc<F>,
    /// Whether this is a test environment: refusals tell more there.
    environment: Environment,
}

impl<F: Flow<Refusal: Refusal>> Performer<F> {
    /// Performs `flow`.
    pub(crate) fn new(operations: &Arc<Operations>, flow: F, environment: Environment) -> Self {
        Self {
            operations: Arc::clone(operations),
            flow: Arc::new(flow),
            environment,
        }
    }

    /// Performs an operation, in a task of its own: dropping this future stops only the waiting.
    pub(super) async fn perform(
        &self,
        call: Call,
        command: F::Command,
    ) -> Result<Concluded, Status> {
        let merchant_id = call.merchant.id;
        let performed = self.operations.perform(&self.flow, call, command).await;
        performed.map_err(|failed| self.failure(&failed, &merchant_id))
    }

    /// Why an operation has nothing to tell of.
    pub(super) fn failure(
        &self,
        failed: &OperationError<F::Refusal>,
        merchant_id: &MerchantId,
    ) -> Status {
        failure(failed, self.environment, merchant_id)
    }
}

/// A request that does something: its merchant names it.
pub(super) trait Named: Message {
    /// Its request id.
    fn take_request_id(&mut self) -> String;
}

macro_rules! named {
    ($($request:ident),* $(,)?) => {$(
        impl Named for pb::$request {
            fn take_request_id(&mut self) -> String {
                std::mem::take(&mut self.request_id)
            }
        }
    )*};
}

named!(
    AuthorizePaymentRequest,
    CancelByRequestIdRequest,
    CapturePaymentRequest,
    CreateRefundRequest,
    IncrementAuthorizationRequest,
    ReversePaymentRequest,
    VerifyCardRequest,
    VoidPaymentRequest,
);

/// Reads a call that does something: `command` reads all of the request but its name.
pub(super) fn read_call<T: Named, C>(
    request: Request<T>,
    command: impl FnOnce(&mut Findings, T) -> Option<C>,
) -> Result<(Call, C), Status> {
    let received_at = gate::received_at(&request);
    let merchant = gate::caller(&request)?;
    let merchant_id = merchant.id;
    read(request.into_inner(), merchant, received_at, command).map_err(|invalid| {
        info!(merchant.id = %merchant_id, "a request was not valid");
        status::of_invalid_request(invalid)
    })
}

pub(super) fn read<T: Named, C>(
    mut request: T,
    merchant: Arc<Merchant>,
    received_at: Instant,
    command: impl FnOnce(&mut Findings, T) -> Option<C>,
) -> Result<(Call, C), InvalidRequest> {
    let body_hash = body_hash(&request);
    let mut findings = Findings::default();
    let request_id = REQUEST_ID.read(&mut findings, "request_id", request.take_request_id());
    let command = command(&mut findings, request);
    let read = request_id.zip(command).map(|(request_id, command)| {
        let call = Call {
            merchant,
            request_id,
            body_hash,
            received_at,
        };
        (call, command)
    });
    findings.finish(read)
}

/// An answer, with how long the bank took for it, in microseconds.
pub(super) fn answered<T>(answer: T, bank_us: u64) -> Response<T> {
    let mut response = Response::new(answer);
    let bank = BankTime(Duration::from_micros(bank_us));
    response.extensions_mut().insert(bank);
    response
}

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
pub(super) fn failure<R: Refusal>(
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
impl Refusal for CardRefusal {
    fn status(&self, environment: Environment, merchant_id: &MerchantId) -> Status {
        match self {
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
}
