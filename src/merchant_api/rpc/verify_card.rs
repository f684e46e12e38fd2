//! VerifyCard: asks the issuer whether a card is good.

use tonic::{Request, Response, Status};

use super::perform::{Performer, answered, read_call};
use super::views::PaymentViews;
use crate::flows::verification::{Verification, VerifyCard};
use crate::grpc::violations::Findings;
use crate::merchant_api::pb;
use crate::merchant_api::pb::authorize_payment_request::PaymentMethod;
use crate::merchant_api::pb::verify_card_request::PaymentMethod as ToVerify;
use crate::merchant_api::read::money::currency_to_pay_in;
use crate::merchant_api::read::payment_method::payment_method;
use crate::merchant_api::read::text::REFERENCE;
use crate::merchant_api::show::verification::verification;

/// Answers the call.
pub(super) async fn call(
    verifications: &Performer<Verification>,
    views: &PaymentViews,
    request: Request<pb::VerifyCardRequest>,
) -> Result<Response<pb::VerifyCardResponse>, Status> {
    let (call, command) = read_call(request, command)?;
    let concluded = verifications.perform(call, command).await?;
    let (host_id, kind) = (concluded.operation.host_id, concluded.operation.kind);
    let message = views.hosts.message(host_id, kind);
    let shown = verification(*concluded.payment, *concluded.operation, message);
    let answer = pb::VerifyCardResponse {
        verification: Some(shown),
    };
    Ok(answered(answer, concluded.bank_us))
}

fn command(found: &mut Findings, request: pb::VerifyCardRequest) -> Option<VerifyCard> {
    let currency = currency_to_pay_in(found, "currency", &request.currency);
    let merchant_reference =
        REFERENCE.read(found, "merchant_reference", request.merchant_reference);
    let method = request.payment_method.map(|method| match method {
        ToVerify::SealedCard(jwe) => PaymentMethod::SealedCard(jwe),
        ToVerify::PaymentMethodToken(token) => PaymentMethod::PaymentMethodToken(token),
    });
    let payment_method = payment_method(found, method);
    Some(VerifyCard {
        currency: currency?,
        merchant_reference: merchant_reference?,
        payment_method: payment_method?,
    })
}
