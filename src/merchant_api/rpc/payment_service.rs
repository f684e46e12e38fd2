//! PaymentService: which file answers which call.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use super::perform::Performer;
use super::views::PaymentViews;
use super::watcher::EventViews;
use super::{
    authorize_payment, cancel_by_request_id, capture_payment, get_capture, get_payment,
    increment_authorization, list_captures, list_operations, list_payments, lookup_payment,
    reverse_payment, verify_card, void_payment, watch_payment,
};
use crate::flows::authorization::Authorization;
use crate::flows::cancellation::Cancellation;
use crate::flows::capture::Capture;
use crate::flows::increment::Increment;
use crate::flows::reverse::Reverse;
use crate::flows::verification::Verification;
use crate::flows::void::Void;
use crate::merchant_api::pb;
use crate::merchant_api::pb::payment_service_server::PaymentService;
use crate::merchant_api::transport::gate;
use crate::payment::ids::MerchantId;
use crate::shares::{Place, Shares};

/// The service.
pub(crate) struct PaymentsApi {
    /// Authorizes payments.
    pub(crate) authorizations: Performer<Authorization>,
    /// Verifies cards.
    pub(crate) verifications: Performer<Verification>,
    /// Captures payments.
    pub(crate) captures: Performer<Capture>,
    /// Increments them.
    pub(crate) increments: Performer<Increment>,
    /// Voids them.
    pub(crate) voids: Performer<Void>,
    /// Cancels their requests.
    pub(crate) cancellations: Performer<Cancellation>,
    /// Undoes them.
    pub(crate) reverses: Performer<Reverse>,
    /// Finds and shows them.
    pub(crate) views: Arc<PaymentViews>,
    /// Shows lists of them.
    pub(crate) list_views: Arc<PaymentViews>,
    /// Says what happens to them.
    pub(crate) events: Arc<EventViews>,
    /// Reads of each merchant at once: it holds up no other merchant's.
    pub(crate) reads: Shares<MerchantId>,
    /// Its lists, likewise.
    pub(crate) lists: Shares<MerchantId>,
}

impl PaymentsApi {
    /// The caller's turn to read.
    async fn turn<T>(&self, request: &Request<T>) -> Result<Place<MerchantId>, Status> {
        let merchant = gate::caller(request)?;
        Ok(self.reads.wait(&merchant.id).await)
    }

    /// The caller's turn to read a list.
    async fn list_turn<T>(&self, request: &Request<T>) -> Result<Place<MerchantId>, Status> {
        let merchant = gate::caller(request)?;
        Ok(self.lists.wait(&merchant.id).await)
    }
}

#[async_trait]
impl PaymentService for PaymentsApi {
    async fn authorize_payment(
        &self,
        request: Request<pb::AuthorizePaymentRequest>,
    ) -> Result<Response<pb::AuthorizePaymentResponse>, Status> {
        authorize_payment::call(&self.authorizations, &self.views, request).await
    }

    async fn get_payment(
        &self,
        request: Request<pb::GetPaymentRequest>,
    ) -> Result<Response<pb::GetPaymentResponse>, Status> {
        let _turn = self.turn(&request).await?;
        get_payment::call(&self.views, request).await
    }

    async fn list_payments(
        &self,
        request: Request<pb::ListPaymentsRequest>,
    ) -> Result<Response<pb::ListPaymentsResponse>, Status> {
        let _turn = self.list_turn(&request).await?;
        list_payments::call(&self.list_views, request).await
    }

    async fn lookup_payment(
        &self,
        request: Request<pb::LookupPaymentRequest>,
    ) -> Result<Response<pb::LookupPaymentResponse>, Status> {
        let _turn = self.turn(&request).await?;
        lookup_payment::call(&self.views, request).await
    }

    async fn list_operations(
        &self,
        request: Request<pb::ListOperationsRequest>,
    ) -> Result<Response<pb::ListOperationsResponse>, Status> {
        let _turn = self.list_turn(&request).await?;
        list_operations::call(&self.list_views.store, request).await
    }

    async fn get_capture(
        &self,
        request: Request<pb::GetCaptureRequest>,
    ) -> Result<Response<pb::GetCaptureResponse>, Status> {
        let _turn = self.turn(&request).await?;
        get_capture::call(&self.views, request).await
    }

    async fn list_captures(
        &self,
        request: Request<pb::ListCapturesRequest>,
    ) -> Result<Response<pb::ListCapturesResponse>, Status> {
        let _turn = self.list_turn(&request).await?;
        list_captures::call(&self.list_views, request).await
    }

    async fn verify_card(
        &self,
        request: Request<pb::VerifyCardRequest>,
    ) -> Result<Response<pb::VerifyCardResponse>, Status> {
        verify_card::call(&self.verifications, &self.views, request).await
    }

    async fn capture_payment(
        &self,
        request: Request<pb::CapturePaymentRequest>,
    ) -> Result<Response<pb::CapturePaymentResponse>, Status> {
        capture_payment::call(&self.captures, &self.views, request).await
    }

    async fn void_payment(
        &self,
        request: Request<pb::VoidPaymentRequest>,
    ) -> Result<Response<pb::VoidPaymentResponse>, Status> {
        void_payment::call(&self.voids, &self.views, request).await
    }

    async fn reverse_payment(
        &self,
        request: Request<pb::ReversePaymentRequest>,
    ) -> Result<Response<pb::ReversePaymentResponse>, Status> {
        reverse_payment::call(&self.reverses, &self.views, request).await
    }

    async fn increment_authorization(
        &self,
        request: Request<pb::IncrementAuthorizationRequest>,
    ) -> Result<Response<pb::IncrementAuthorizationResponse>, Status> {
        increment_authorization::call(&self.increments, &self.views, request).await
    }

    async fn cancel_by_request_id(
        &self,
        request: Request<pb::CancelByRequestIdRequest>,
    ) -> Result<Response<pb::CancelByRequestIdResponse>, Status> {
        cancel_by_request_id::call(&self.cancellations, &self.views, request).await
    }

    type WatchPaymentStream = watch_payment::Changes;

    async fn watch_payment(
        &self,
        request: Request<pb::WatchPaymentRequest>,
    ) -> Result<Response<Self::WatchPaymentStream>, Status> {
        watch_payment::call(&self.views, &self.events, request).await
    }
}
