//! VerifyCard: asks the issuer whether a card is good.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::perform::{Performer, card_refusal, failure};
use super::views::PaymentViews;
use crate::config::environment::Environment;
use crate::flows::verification::{Verification, VerifyCard};
use crate::grpc::body_hash::body_hash;
use crate::grpc::status;
use crate::grpc::text::REQUEST_ID;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::pb::authorize_payment_request::PaymentMethod;
use crate::merchant_api::pb::verify_card_request::PaymentMethod as ToVerify;
use crate::merchant_api::read::money::currency;
use crate::merchant_api::read::payment_method::payment_method;
use crate::merchant_api::read::text::REFERENCE;
use crate::merchant_api::show::verification::verification;
use crate::merchant_api::transport::gate;
use crate::merchant_api::transport::trailers::BankTime;
use crate::operations::call::Call;
use crate::payment::merchant::Merchant;

/// Answers the call.
pub(super) async fn call(
    verifications: &Performer<Verification>,
    views: &PaymentViews,
    environment: Environment,
    request: Request<pb::VerifyCardRequest>,
) -> Result<Response<pb::VerifyCardResponse>, Status> {
    let received_at = gate::received_at(&request);
    let merchant = gate::caller(&request)?;
    let merchant_id = merchant.id;
    let (call, command) =
        read(request.into_inner(), merchant, received_at).map_err(status::of_invalid_request)?;
    let concluded = verifications
        .perform(call, command)
        .await
        .map_err(|failed| failure(&failed, environment, &merchant_id, card_refusal))?;
    let (host_id, kind) = (concluded.operation.host_id, concluded.operation.kind);
    let message = views.hosts.message(host_id, kind);
    let mut response = Response::new(pb::VerifyCardResponse {
        verification: Some(verification(
            *concluded.payment,
            *concluded.operation,
            message,
        )),
    });
    let bank = Duration::from_micros(concluded.bank_us);
    response.extensions_mut().insert(BankTime(bank));
    Ok(response)
}

fn read(
    request: pb::VerifyCardRequest,
    merchant: Arc<Merchant>,
    received_at: Instant,
) -> Result<(Call, VerifyCard), InvalidRequest> {
    let body_hash = body_hash(&request);
    let mut findings = Findings::default();
    let found = &mut findings;
    let request_id = REQUEST_ID.read(found, "request_id", request.request_id);
    let currency = currency(found, "currency", &request.currency);
    let merchant_reference =
        REFERENCE.read(found, "merchant_reference", request.merchant_reference);
    let method = request.payment_method.map(|method| match method {
        ToVerify::SealedCard(jwe) => PaymentMethod::SealedCard(jwe),
        ToVerify::PaymentMethodToken(token) => PaymentMethod::PaymentMethodToken(token),
    });
    let payment_method = payment_method(found, method);
    let read = (|| {
        let call = Call {
            merchant,
            request_id: request_id?,
            body_hash,
            received_at,
        };
        let command = VerifyCard {
            currency: currency?,
            merchant_reference: merchant_reference?,
            payment_method: payment_method?,
        };
        Some((call, command))
    })();
    findings.finish(read)
}
