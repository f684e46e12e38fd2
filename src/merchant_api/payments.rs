//! PaymentService: authorize a payment, and find payments again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Request, Response, Status, async_trait};
use tracing::info;

use super::from_proto::{self, Authorize, Method, PaymentKey, PaymentQuery};
use super::gate;
use super::pb;
use super::pb::payment_service_server::PaymentService;
use super::to_proto::{self, status};
use super::trailers::BankTime;
use crate::authorization::{AuthorizeCommand, AuthorizeError, Authorized, PaymentMethod};
use crate::card::envelope::SealedCard;
use crate::payment::ids::{MerchantId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::record::Payment;

/// Payments that a look-up gives at most.
pub const MAX_FOUND: usize = 100;

/// What the service stands on: the flow that authorizes, and the records.
#[async_trait]
pub trait Payments: Send + Sync + 'static {
    /// Authorizes. The flow runs in a task of its own: dropping this future stops only the waiting.
    ///
    /// # Errors
    /// Why there is no payment to tell of.
    async fn authorize(&self, command: AuthorizeCommand) -> Result<Authorized, AuthorizeError>;

    /// The merchant's payment with this id.
    ///
    /// # Errors
    /// When the records can't be read.
    async fn find(
        &self,
        merchant_id: &MerchantId,
        id: PaymentId,
    ) -> Result<Option<Payment>, PaymentsUnavailable>;

    /// The merchant's payments that match, in the order asked for, at most `query.limit`.
    ///
    /// # Errors
    /// When the records can't be read.
    async fn list(
        &self,
        merchant_id: &MerchantId,
        query: &PaymentQuery,
    ) -> Result<Vec<Payment>, PaymentsUnavailable>;

    /// The merchant's payments with this key, newest first, at most [`MAX_FOUND`].
    ///
    /// # Errors
    /// When the records can't be read.
    async fn look_up(
        &self,
        merchant_id: &MerchantId,
        key: &PaymentKey,
    ) -> Result<Vec<Payment>, PaymentsUnavailable>;
}

/// The records of payments can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the payments can't be read: {reason}")]
pub struct PaymentsUnavailable {
    /// What the store said.
    pub reason: String,
}

/// The service.
pub(super) struct PaymentsApi {
    payments: Arc<dyn Payments>,
}

impl PaymentsApi {
    pub(super) fn new(payments: Arc<dyn Payments>) -> Self {
        Self { payments }
    }
}

fn command(merchant: Arc<Merchant>, checked: Authorize, received_at: Instant) -> AuthorizeCommand {
    AuthorizeCommand {
        merchant,
        request_id: checked.request_id,
        body_hash: checked.body_hash,
        amount: checked.amount,
        merchant_reference: checked.merchant_reference,
        customer_reference: checked.customer_reference,
        description: checked.description,
        terminal_id: checked.terminal_id,
        payment_method: match checked.payment_method {
            Method::SealedCard(jwe) => PaymentMethod::SealedCard(SealedCard::from(jwe)),
            Method::Token(token) => PaymentMethod::TestToken(token),
        },
        received_at,
    }
}

#[async_trait]
impl PaymentService for PaymentsApi {
    async fn authorize_payment(
        &self,
        request: Request<pb::AuthorizePaymentRequest>,
    ) -> Result<Response<pb::AuthorizePaymentResponse>, Status> {
        let received_at = Instant::now();
        let merchant = gate::caller(&request)?;
        let checked = from_proto::authorize(request.into_inner()).map_err(|invalid| {
            info!(merchant.id = %merchant.id, "a request to authorize was not valid");
            status::of_invalid_request(invalid)
        })?;
        let answered = self
            .payments
            .authorize(command(merchant, checked, received_at))
            .await
            .map_err(|error| status::of_authorize_error(&error))?;
        let mut response = Response::new(pb::AuthorizePaymentResponse {
            payment: Some(to_proto::payment(answered.payment)),
        });
        let bank = Duration::from_micros(answered.timings.bank_us);
        response.extensions_mut().insert(BankTime(bank));
        Ok(response)
    }

    async fn get_payment(
        &self,
        request: Request<pb::GetPaymentRequest>,
    ) -> Result<Response<pb::GetPaymentResponse>, Status> {
        let merchant = gate::caller(&request)?;
        let id = from_proto::payment_id(&request.into_inner().payment_id)
            .map_err(status::of_invalid_request)?;
        let payment = self
            .payments
            .find(&merchant.id, id)
            .await
            .map_err(|error| status::of_unavailable(&error))?
            .ok_or_else(status::payment_not_found)?;
        Ok(Response::new(pb::GetPaymentResponse {
            payment: Some(to_proto::payment(payment)),
        }))
    }

    async fn list_payments(
        &self,
        request: Request<pb::ListPaymentsRequest>,
    ) -> Result<Response<pb::ListPaymentsResponse>, Status> {
        let merchant = gate::caller(&request)?;
        let list = from_proto::list(request.get_ref()).map_err(status::of_invalid_request)?;
        // One more than the page holds tells whether there is another page.
        let mut query = list.query.clone();
        query.limit += 1;
        let mut payments = self
            .payments
            .list(&merchant.id, &query)
            .await
            .map_err(|error| status::of_unavailable(&error))?;
        let more = payments.len() > list.query.limit;
        payments.truncate(list.query.limit);
        let next_page_token = match payments.last() {
            Some(last) if more => list.page_token(last.created_at, last.id),
            _ => String::new(),
        };
        Ok(Response::new(pb::ListPaymentsResponse {
            payments: payments.into_iter().map(to_proto::payment).collect(),
            next_page_token,
        }))
    }

    async fn lookup_payment(
        &self,
        request: Request<pb::LookupPaymentRequest>,
    ) -> Result<Response<pb::LookupPaymentResponse>, Status> {
        let merchant = gate::caller(&request)?;
        let key = from_proto::lookup(request.into_inner()).map_err(status::of_invalid_request)?;
        let payments = self
            .payments
            .look_up(&merchant.id, &key)
            .await
            .map_err(|error| status::of_unavailable(&error))?;
        if payments.is_empty() {
            return Err(status::payment_not_found());
        }
        Ok(Response::new(pb::LookupPaymentResponse {
            payments: payments.into_iter().map(to_proto::payment).collect(),
        }))
    }

    async fn capture_payment(
        &self,
        _: Request<pb::CapturePaymentRequest>,
    ) -> Result<Response<pb::CapturePaymentResponse>, Status> {
        Err(status::not_built("CapturePayment"))
    }

    async fn void_payment(
        &self,
        _: Request<pb::VoidPaymentRequest>,
    ) -> Result<Response<pb::VoidPaymentResponse>, Status> {
        Err(status::not_built("VoidPayment"))
    }

    async fn reverse_payment(
        &self,
        _: Request<pb::ReversePaymentRequest>,
    ) -> Result<Response<pb::ReversePaymentResponse>, Status> {
        Err(status::not_built("ReversePayment"))
    }

    async fn increment_authorization(
        &self,
        _: Request<pb::IncrementAuthorizationRequest>,
    ) -> Result<Response<pb::IncrementAuthorizationResponse>, Status> {
        Err(status::not_built("IncrementAuthorization"))
    }

    async fn cancel_by_request_id(
        &self,
        _: Request<pb::CancelByRequestIdRequest>,
    ) -> Result<Response<pb::CancelByRequestIdResponse>, Status> {
        Err(status::not_built("CancelByRequestId"))
    }

    type WatchPaymentStream = tokio_stream::Empty<Result<pb::WatchPaymentResponse, Status>>;

    async fn watch_payment(
        &self,
        _: Request<pb::WatchPaymentRequest>,
    ) -> Result<Response<Self::WatchPaymentStream>, Status> {
        Err(status::not_built("WatchPayment"))
    }
}
