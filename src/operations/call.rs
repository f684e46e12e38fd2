//! The input of an operation, its result, and its errors.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::payment::capture::Capture;
use crate::payment::ids::PaymentId;
use crate::payment::merchant::Merchant;
use crate::payment::record::{Operation, Payment};
use crate::random::Random;
use crate::store::error::StoreError;

use super::resource::Resource;

/// After this, counted from the call's arrival, no byte of its message is sent, and the bank's answer is
/// late.
pub(super) const BANK_WITHIN: Duration = Duration::from_millis(4_300);

/// What every call says that begins an operation.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who asks.
    pub merchant: Arc<Merchant>,
    /// The merchant's name for this request, 1 to 64 characters.
    pub request_id: String,
    /// SHA-256 of the encoded request: what "the same request again" is judged by.
    pub body_hash: [u8; 32],
    /// When the call came in.
    pub received_at: Instant,
    /// From where its caller has connected.
    pub address: IpAddr,
}

/// What the merchant is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concluded {
    /// The payment as it was when this request was answered first.
    pub payment: Box<Payment>,
    /// The operation as it was then.
    pub operation: Box<Operation>,
    /// What this very call made beside the operation; none where the request was answered before.
    pub made: Option<Resource>,
    /// From the message's hand-over to the line until its answer, or until the gateway stopped
    /// waiting for one, in microseconds; 0 when no bank was asked.
    pub bank_us: u64,
}

impl Concluded {
    /// The capture that this very call made, and the operation that carries it out. That of a sale may be of less than it
    /// says, where the bank has approved less.
    #[must_use]
    pub fn new_capture(&self) -> Option<(Capture, Operation)> {
        match &self.made {
            Some(Resource::Capture(made)) => Some((made.clone(), (*self.operation).clone())),
            _ => None,
        }
    }
}

/// Why an operation has no result; `R` is the flow's own refusal.
#[derive(Debug, thiserror::Error)]
pub enum OperationError<R> {
    /// The flow refuses. Nothing was recorded.
    #[error(transparent)]
    Refused(R),
    /// The sealed card was used before.
    #[error("the sealed card was used before")]
    SealedCardUsed,
    /// The request id was used before, with another body.
    #[error("request_id {request_id:?} was used before with another request body")]
    RequestIdReused {
        /// The request id.
        request_id: String,
    },
    /// The same request is still in progress.
    #[error("the request {request_id:?} is still in progress")]
    RequestInProgress {
        /// The request id.
        request_id: String,
    },
    /// The request was cancelled before it came.
    #[error("the request {request_id:?} was cancelled before it came")]
    RequestCancelled {
        /// The request id.
        request_id: String,
    },
    /// The merchant has no such payment.
    #[error("there is no payment {payment_id}")]
    PaymentNotFound {
        /// The payment that was asked for.
        payment_id: PaymentId,
    },
    /// Other operations kept changing the payment. Nothing was sent.
    #[error("payment {payment_id} is being changed by other operations")]
    PaymentBusy {
        /// The payment.
        payment_id: PaymentId,
    },
    /// The host's message can't say what is asked, an amount with more decimals than the host counts for instance.
    /// Nothing was recorded.
    #[error("the bank of payment {payment_id} can't be told this")]
    NotBuildable {
        /// The payment.
        payment_id: PaymentId,
    },
    /// More operations are in progress than the gateway takes. Nothing was sent.
    #[error("the gateway is at its limit of operations in progress")]
    Overloaded,
    /// The gateway is stopping. Nothing was sent.
    #[error("the gateway is stopping and takes no new payments")]
    Draining,
    /// The store could not record the intent. Nothing was sent.
    #[error("the payment could not be recorded, and nothing was sent")]
    NotRecorded {
        /// What the store said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The message may have been sent, but the outcome could not be recorded in time.
    /// Repeating the request with the same id gives the outcome later.
    #[error("the outcome of payment {payment_id} is not recorded yet")]
    OutcomeNotRecorded {
        /// The payment that will have an outcome.
        payment_id: PaymentId,
    },
}

/// The random part of a name.
pub(super) fn random<R>(source: &Random) -> Result<[u8; 10], OperationError<R>> {
    source
        .bytes_for_name()
        .map_err(|source| OperationError::NotRecorded {
            source: Box::new(source),
        })
}

/// Before anything was sent, a store that can't record means that nothing will be sent.
pub(super) fn not_recorded<R>(error: StoreError) -> OperationError<R> {
    match error {
        StoreError::Busy { .. } => OperationError::Overloaded,
        error => OperationError::NotRecorded {
            source: Box::new(error),
        },
    }
}
