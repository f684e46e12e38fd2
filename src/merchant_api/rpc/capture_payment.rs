//! CapturePayment: takes all or part of what was authorized.

use tonic::{Request, Response, Status};

use super::perform::{Performer, answered, read_call};
use super::views::PaymentViews;
use crate::flows::capture::{Capture, CapturePayment};
use crate::grpc::violations::Findings;
use crate::merchant_api::pb;
use crate::merchant_api::read::id::payment_id;
use crate::merchant_api::read::money::optional_amount;
use crate::merchant_api::read::text::REFERENCE;
use crate::merchant_api::show::refusal::not_readable;
use crate::payment::ids::SubjectId;

/// Answers the call.
pub(super) async fn call(
    captures: &Performer<Capture>,
    views: &PaymentViews,
    request: Request<pb::CapturePaymentRequest>,
) -> Result<Response<pb::CapturePaymentResponse>, Status> {
    let (call, command) = read_call(request, command)?;
    let merchant_id = call.merchant.id;
    let concluded = captures.perform(call, command).await?;
    let made = concluded.new_capture();
    let operation = concluded.operation;
    let capture = match (&made, operation.subject_id) {
        (Some((made, _)), _) => Some(made.clone()),
        (None, Some(SubjectId::Capture(id))) => {
            let found = views.store.capture(&merchant_id, id).await;
            let found = found.map_err(|error| not_readable(&error))?;
            found.map(|(found, _)| found)
        }
        _ => None,
    };
    let capture_id = operation.subject_id.map(|id| id.to_string());
    let answer = pb::CapturePaymentResponse {
        payment: views.changed(concluded.payment, made).await?,
        capture_id: capture_id.unwrap_or_default(),
        // As it was when this request was answered first.
        capture: capture.map(|capture| views.capture(capture, &operation)),
    };
    Ok(answered(answer, concluded.bank_us))
}

fn command(found: &mut Findings, request: pb::CapturePaymentRequest) -> Option<CapturePayment> {
    let payment_id = payment_id(found, &request.payment_id);
    let amount = optional_amount(found, request.amount);
    let merchant_reference =
        REFERENCE.read_optional(found, "merchant_reference", request.merchant_reference);
    Some(CapturePayment {
        payment_id: payment_id?,
        amount: amount?,
        is_final: request.final_capture,
        merchant_reference: merchant_reference?,
    })
}
