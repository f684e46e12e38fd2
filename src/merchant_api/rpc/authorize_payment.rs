//! AuthorizePayment: asks the cardholder's bank to hold an amount.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Request, Response, Status};
use tracing::info;

use super::perform::{Performer, card_refusal, failure, not_readable};
use super::views::PaymentViews;
use crate::config::environment::Environment;
use crate::flows::authorization::{Authorization, Authorize};
use crate::grpc::body_hash::body_hash;
use crate::grpc::status;
use crate::grpc::text::REQUEST_ID;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::read::money::{AMOUNT, amount_to_pay};
use crate::merchant_api::read::payment_method::payment_method;
use crate::merchant_api::read::text::{DESCRIPTION, REFERENCE, TERMINAL_ID};
use crate::merchant_api::transport::gate;
use crate::merchant_api::transport::trailers::BankTime;
use crate::operations::call::Call;
use crate::payment::merchant::Merchant;

/// Answers the call.
pub(super) async fn call(
    authorizations: &Performer<Authorization>,
    views: &PaymentViews,
    environment: Environment,
    request: Request<pb::AuthorizePaymentRequest>,
) -> Result<Response<pb::AuthorizePaymentResponse>, Status> {
    let received_at = gate::received_at(&request);
    let merchant = gate::caller(&request)?;
    let merchant_id = merchant.id;
    let (call, command) = read(request.into_inner(), merchant, received_at).map_err(|invalid| {
        info!(merchant.id = %merchant_id, "a request to authorize was not valid");
        status::of_invalid_request(invalid)
    })?;
    let concluded = authorizations
        .perform(call, command)
        .await
        .map_err(|failed| failure(&failed, environment, &merchant_id, card_refusal))?;
    let payment = match concluded.operation.subject_id {
        None => Some(views.new_payment(*concluded.payment)),
        // A sale has a capture. Boxed, because an authorization would have room for what reads it.
        Some(_) => {
            let shown = Box::pin(views.of(vec![*concluded.payment])).await;
            shown.map_err(|error| not_readable(&error))?.pop()
        }
    };
    let mut response = Response::new(pb::AuthorizePaymentResponse {
        payment: payment.map(Box::new),
    });
    let bank = Duration::from_micros(concluded.bank_us);
    response.extensions_mut().insert(BankTime(bank));
    Ok(response)
}

/// Reads the request.
fn read(
    request: pb::AuthorizePaymentRequest,
    merchant: Arc<Merchant>,
    received_at: Instant,
) -> Result<(Call, Authorize), InvalidRequest> {
    let body_hash = body_hash(&request);
    let mut findings = Findings::default();
    let found = &mut findings;
    let request_id = REQUEST_ID.read(found, "request_id", request.request_id);
    let amount = amount_to_pay(found, AMOUNT, request.amount);
    let merchant_reference =
        REFERENCE.read(found, "merchant_reference", request.merchant_reference);
    let customer_reference =
        REFERENCE.read_optional(found, "customer_reference", request.customer_reference);
    let description = DESCRIPTION.read_optional(found, "description", request.description);
    let terminal_id = TERMINAL_ID.read_optional(found, "terminal_id", request.terminal_id);
    let payment_method = payment_method(found, request.payment_method);
    let is_sale = is_sale(found, request.capture_mode);
    let accepts_partial = request.accept_partial_approval;
    let read = (|| {
        let call = Call {
            merchant,
            request_id: request_id?,
            body_hash,
            received_at,
        };
        let command = Authorize {
            amount: amount?,
            merchant_reference: merchant_reference?,
            customer_reference: customer_reference?,
            description: description?,
            terminal_id: terminal_id?,
            payment_method: payment_method?,
            is_sale: is_sale?,
            accepts_partial,
        };
        Some((call, command))
    })();
    findings.finish(read)
}

/// Whether the amount is taken at once.
fn is_sale(findings: &mut Findings, capture_mode: i32) -> Option<bool> {
    match pb::CaptureMode::try_from(capture_mode) {
        Ok(pb::CaptureMode::Unspecified | pb::CaptureMode::Manual) => Some(false),
        Ok(pb::CaptureMode::Automatic) => Some(true),
        Err(_) => {
            let expected = "CAPTURE_MODE_MANUAL, CAPTURE_MODE_AUTOMATIC, or nothing";
            findings.add("capture_mode", expected, "a value that is none");
            None
        }
    }
}

#[cfg(test)]
mod tests;
