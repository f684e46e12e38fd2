//! The way from an RPC to its flow.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use tracing::info;

use crate::config::environment::Environment;
use crate::grpc::body_hash::body_hash;
use crate::grpc::status::of_invalid_request;
use crate::grpc::text::REQUEST_ID;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::show::refusal::{Refusal, failure};
use crate::merchant_api::transport::gate;
use crate::merchant_api::transport::trailers::BankTime;
use crate::operations::call::{Call, Concluded, OperationError};
use crate::operations::flow::Flow;
use crate::operations::machine::Operations;
use crate::payment::ids::MerchantId;
use crate::payment::merchant::Merchant;

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
    let address = gate::address(&request);
    let merchant_id = merchant.id;
    let read = read(
        request.into_inner(),
        merchant,
        (received_at, address),
        command,
    );
    read.map_err(|invalid| {
        info!(merchant.id = %merchant_id, "a request was not valid");
        of_invalid_request(invalid)
    })
}

pub(super) fn read<T: Named, C>(
    mut request: T,
    merchant: Arc<Merchant>,
    (received_at, address): (Instant, IpAddr),
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
            address,
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
