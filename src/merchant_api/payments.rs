//! PaymentService: authorize a payment, and find payments again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Request, Response, Status, async_trait};
use tracing::info;

use super::from_proto::{self, Authorize, Method};
use super::gate;
use super::pb;
use super::pb::payment_service_server::PaymentService;
use super::records::PaymentRecords;
use super::to_proto::{self, status};
use super::trailers::BankTime;
use crate::authorization::Authorizations;
use crate::authorization::command::{AuthorizeCommand, AuthorizeError, Authorized, PaymentMethod};
use crate::card::envelope::SealedCard;
use crate::payment::merchant::Merchant;

/// What authorizes: the flow.
#[async_trait]
pub trait Authorizer: Send + Sync + 'static {
    /// Authorizes. The flow runs in a task of its own: dropping this future stops only the waiting.
    ///
    /// # Errors
    /// Why there is no payment to tell of.
    async fn authorize(&self, command: AuthorizeCommand) -> Result<Authorized, AuthorizeError>;
}

#[async_trait]
impl Authorizer for Arc<Authorizations> {
    async fn authorize(&self, command: AuthorizeCommand) -> Result<Authorized, AuthorizeError> {
        Authorizations::authorize(self, command).await
    }
}

/// The service.
pub(super) struct PaymentsApi {
    authorizer: Arc<dyn Authorizer>,
    records: Arc<dyn PaymentRecords>,
}

impl PaymentsApi {
    pub(super) fn new(authorizer: Arc<dyn Authorizer>, records: Arc<dyn PaymentRecords>) -> Self {
        Self {
            authorizer,
            records,
        }
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
        let received_at = gate::received_at(&request);
        let merchant = gate::caller(&request)?;
        let checked = from_proto::authorize(request.into_inner()).map_err(|invalid| {
            info!(merchant.id = %merchant.id, "a request to authorize was not valid");
            status::of_invalid_request(invalid)
        })?;
        let answered = self
            .authorizer
            .authorize(command(merchant, checked, received_at))
            .await
            .map_err(|error| status::of_authorize_error(&error))?;
        let mut response = Response::new(pb::AuthorizePaymentResponse {
            payment: Some(Box::new(to_proto::payment(*answered.payment))),
        });
        let bank = Duration::from_micros(answered.bank_us);
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
            .records
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
        let page = self
            .records
            .list(&merchant.id, &list)
            .await
            .map_err(|error| status::of_unavailable(&error))?;
        let next = page.next.map(|cursor| list.page_token(cursor));
        Ok(Response::new(pb::ListPaymentsResponse {
            payments: page.items.into_iter().map(to_proto::payment).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn lookup_payment(
        &self,
        request: Request<pb::LookupPaymentRequest>,
    ) -> Result<Response<pb::LookupPaymentResponse>, Status> {
        let merchant = gate::caller(&request)?;
        let key = from_proto::lookup(request.into_inner()).map_err(status::of_invalid_request)?;
        let payments = self
            .records
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
