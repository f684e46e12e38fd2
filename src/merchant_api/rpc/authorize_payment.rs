//! AuthorizePayment: asks the cardholder's bank to hold an amount.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Code, Request, Response, Status};
use tonic_types::FieldViolation;
use tracing::{error, info};

use super::perform::{Performer, failure, not_readable, sealed_card_refused};
use super::views::PaymentViews;
use crate::config::environment::Environment;
use crate::flows::authorization::{Authorization, Authorize, PaymentMethod, Refusal};
use crate::grpc::body_hash::body_hash;
use crate::grpc::status::{self, ErrorAnswer};
use crate::grpc::text::{REQUEST_ID, Shape};
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::pb::authorize_payment_request::PaymentMethod as PbPaymentMethod;
use crate::merchant_api::read::money::amount_to_pay;
use crate::merchant_api::read::text::{DESCRIPTION, REFERENCE, TERMINAL_ID, is_shaped_like_jwe};
use crate::merchant_api::transport::gate;
use crate::merchant_api::transport::trailers::BankTime;
use crate::operations::call::Call;
use crate::payment::ids::MerchantId;
use crate::payment::merchant::Merchant;

const PAYMENT_METHOD_TOKEN: Shape = Shape {
    min: 1,
    max: 64,
    allows: |c| c.is_ascii_alphanumeric() || c == '_',
    expected: "1 to 64 characters of A-Z a-z 0-9 _",
};

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
        .map_err(|failed| failure(&failed, environment, &merchant_id, refusal))?;
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
    let amount = amount_to_pay(found, request.amount);
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

fn payment_method(
    findings: &mut Findings,
    method: Option<PbPaymentMethod>,
) -> Option<PaymentMethod> {
    match method {
        None => {
            findings.add(
                "payment_method",
                "either sealed_card or payment_method_token",
                "neither",
            );
            None
        }
        Some(PbPaymentMethod::SealedCard(jwe)) => {
            // Only something else than an envelope can hold a card number in clear.
            (is_shaped_like_jwe(&jwe) || findings.no_clear_card("sealed_card", &jwe))
                .then_some(PaymentMethod::SealedCard(jwe.into()))
        }
        Some(PbPaymentMethod::PaymentMethodToken(token)) => PAYMENT_METHOD_TOKEN
            .read(findings, "payment_method_token", token)
            .map(PaymentMethod::TestToken),
    }
}

/// Why nothing is authorized.
fn refusal(refused: &Refusal, environment: Environment, merchant_id: &MerchantId) -> Status {
    match refused {
        Refusal::SealedCard(fault) => {
            return sealed_card_refused(*fault, environment, merchant_id);
        }
        Refusal::UnknownPaymentMethod { .. } => ErrorAnswer::not_sent(
            Code::InvalidArgument,
            "UNKNOWN_PAYMENT_METHOD",
            "there is no such payment method in this environment",
        )
        .with_violations(vec![FieldViolation::new(
            "payment_method_token",
            "expected a token of this environment, got another; test tokens such as \
             \"pm_test_visa\" work only where the server is a test environment",
        )]),
        Refusal::MerchantInactive { .. } => ErrorAnswer::not_sent(
            Code::PermissionDenied,
            "MERCHANT_INACTIVE",
            "this merchant may not take payments at present; this call sent nothing to a bank: keep \
             its request_id to repeat it",
        ),
        Refusal::NoSales { .. } => {
            let text = "this merchant's bank takes no sales: authorize, then capture; this call sent nothing to a bank";
            ErrorAnswer::not_sent(Code::FailedPrecondition, "NOT_SUPPORTED_BY_HOST", text)
                .with_precondition("NOT_SUPPORTED_BY_HOST", "capture_mode", text)
        }
        Refusal::NoRoute {
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

#[cfg(test)]
mod tests;
