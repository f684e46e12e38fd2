//! IncrementAuthorization: asks the issuer to hold more.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::perform::{Performer, failure, not_readable};
use super::views::PaymentViews;
use crate::config::environment::Environment;
use crate::flows::increment::{Increment, IncrementAuthorization};
use crate::grpc::body_hash::body_hash;
use crate::grpc::status;
use crate::grpc::text::REQUEST_ID;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::read::id::payment_id;
use crate::merchant_api::read::money::amount_to_pay;
use crate::merchant_api::show::increment::increment;
use crate::merchant_api::show::refusal::later_refusal;
use crate::merchant_api::transport::gate;
use crate::merchant_api::transport::trailers::BankTime;
use crate::operations::call::Call;
use crate::payment::merchant::Merchant;

/// The names of the amount in the request.
const INCREMENT: [&str; 3] = ["increment", "increment.amount_minor", "increment.currency"];

/// Answers the call.
pub(super) async fn call(
    increments: &Performer<Increment>,
    views: &PaymentViews,
    environment: Environment,
    request: Request<pb::IncrementAuthorizationRequest>,
) -> Result<Response<pb::IncrementAuthorizationResponse>, Status> {
    let received_at = gate::received_at(&request);
    let merchant = gate::caller(&request)?;
    let merchant_id = merchant.id;
    let (call, command) =
        read(request.into_inner(), merchant, received_at).map_err(status::of_invalid_request)?;
    let concluded = increments.perform(call, command).await.map_err(|failed| {
        failure(&failed, environment, &merchant_id, |refusal, _, _| {
            later_refusal(refusal)
        })
    })?;
    let payment = views.of(vec![*concluded.payment]).await;
    let payment = payment.map_err(|error| not_readable(&error))?.pop();
    let mut response = Response::new(increment(payment, *concluded.operation));
    let bank = Duration::from_micros(concluded.bank_us);
    response.extensions_mut().insert(BankTime(bank));
    Ok(response)
}

fn read(
    request: pb::IncrementAuthorizationRequest,
    merchant: Arc<Merchant>,
    received_at: Instant,
) -> Result<(Call, IncrementAuthorization), InvalidRequest> {
    let body_hash = body_hash(&request);
    let mut findings = Findings::default();
    let found = &mut findings;
    let request_id = REQUEST_ID.read(found, "request_id", request.request_id);
    let payment_id = payment_id(found, &request.payment_id);
    let amount = amount_to_pay(found, INCREMENT, request.increment);
    let read = (|| {
        let call = Call {
            merchant,
            request_id: request_id?,
            body_hash,
            received_at,
        };
        let command = IncrementAuthorization {
            payment_id: payment_id?,
            amount: amount?,
        };
        Some((call, command))
    })();
    findings.finish(read)
}
