//! IncrementAuthorization: asks the issuer to hold more.

use tonic::{Request, Response, Status};

use super::perform::{Performer, answered, read_call};
use super::views::PaymentViews;
use crate::flows::increment::{Increment, IncrementAuthorization};
use crate::grpc::violations::Findings;
use crate::merchant_api::pb;
use crate::merchant_api::read::id::payment_id;
use crate::merchant_api::read::money::amount_to_pay;
use crate::merchant_api::show::increment::increment;

/// The names of the amount in the request.
const INCREMENT: [&str; 3] = ["increment", "increment.amount_minor", "increment.currency"];

/// Answers the call.
pub(super) async fn call(
    increments: &Performer<Increment>,
    views: &PaymentViews,
    request: Request<pb::IncrementAuthorizationRequest>,
) -> Result<Response<pb::IncrementAuthorizationResponse>, Status> {
    let (call, command) = read_call(request, command)?;
    let concluded = increments.perform(call, command).await?;
    let payment = views.changed(concluded.payment, None).await?;
    let answer = increment(payment, *concluded.operation);
    Ok(answered(answer, concluded.bank_us))
}

fn command(
    found: &mut Findings,
    request: pb::IncrementAuthorizationRequest,
) -> Option<IncrementAuthorization> {
    let payment_id = payment_id(found, &request.payment_id);
    let amount = amount_to_pay(found, INCREMENT, request.increment);
    Some(IncrementAuthorization {
        payment_id: payment_id?,
        amount: amount?,
    })
}
