//! AuthorizePayment: asks the cardholder's bank to hold an amount.

use tonic::{Request, Response, Status};

use super::perform::{Performer, answered, read_call};
use super::views::PaymentViews;
use crate::flows::authorization::{Authorization, Authorize};
use crate::grpc::violations::Findings;
use crate::merchant_api::pb;
use crate::merchant_api::read::money::amount_of_payment;
use crate::merchant_api::read::payment_method::payment_method;
use crate::merchant_api::read::text::{DESCRIPTION, REFERENCE, TERMINAL_ID};

/// Answers the call.
pub(super) async fn call(
    authorizations: &Performer<Authorization>,
    views: &PaymentViews,
    request: Request<pb::AuthorizePaymentRequest>,
) -> Result<Response<pb::AuthorizePaymentResponse>, Status> {
    let (call, command) = read_call(request, command)?;
    let concluded = authorizations.perform(call, command).await?;
    let payment = match concluded.operation.subject_id {
        None => Some(views.new_payment(*concluded.payment)),
        // A sale has a capture. Boxed, because an authorization would have room for what reads it.
        Some(_) => Box::pin(views.changed(concluded.payment, None)).await?,
    };
    let answer = pb::AuthorizePaymentResponse {
        payment: payment.map(Box::new),
    };
    Ok(answered(answer, concluded.bank_us))
}

fn command(found: &mut Findings, request: pb::AuthorizePaymentRequest) -> Option<Authorize> {
    let amount = amount_of_payment(found, request.amount);
    let merchant_reference =
        REFERENCE.read(found, "merchant_reference", request.merchant_reference);
    let customer_reference =
        REFERENCE.read_optional(found, "customer_reference", request.customer_reference);
    let description = DESCRIPTION.read_optional(found, "description", request.description);
    let terminal_id = TERMINAL_ID.read_optional(found, "terminal_id", request.terminal_id);
    let payment_method = payment_method(found, request.payment_method);
    let is_sale = is_sale(found, request.capture_mode);
    let accepts_partial = request.accept_partial_approval;
    Some(Authorize {
        amount: amount?,
        merchant_reference: merchant_reference?,
        customer_reference: customer_reference?,
        description: description?,
        terminal_id: terminal_id?,
        payment_method: payment_method?,
        is_sale: is_sale?,
        accepts_partial,
    })
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
