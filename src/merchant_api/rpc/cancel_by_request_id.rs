//! CancelByRequestId: makes sure that an AuthorizePayment has no effect.

use std::sync::Arc;

use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::perform::{Performer, failure, not_readable};
use super::views::PaymentViews;
use crate::config::environment::Environment;
use crate::flows::authorization::Authorization;
use crate::flows::cancellation::{CancelPayment, Cancellation};
use crate::grpc::body_hash::body_hash;
use crate::grpc::status;
use crate::grpc::text::REQUEST_ID;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::show::refusal::later_refusal;
use crate::merchant_api::transport::gate;
use crate::operations::call::{Call, OperationError};
use crate::operations::cancel::{Cancel, Cancelled};
use crate::operations::flow::Flow;
use crate::operations::later::LaterRefusal;
use crate::payment::merchant::Merchant;
use crate::payment::record::Payment;

/// Answers the call.
pub(super) async fn call(
    cancellations: &Performer<Cancellation>,
    views: &PaymentViews,
    environment: Environment,
    request: Request<pb::CancelByRequestIdRequest>,
) -> Result<Response<pb::CancelByRequestIdResponse>, Status> {
    let received_at = gate::received_at(&request);
    let merchant = gate::caller(&request)?;
    let merchant_id = merchant.id;
    let (call, cancelled_request_id) =
        read(request.into_inner(), merchant, received_at).map_err(status::of_invalid_request)?;
    let cancelled = cancel(cancellations, call, &cancelled_request_id).await;
    let payment = cancelled.map_err(|failed| {
        failure(&failed, environment, &merchant_id, |refusal, _, _| {
            later_refusal(refusal)
        })
    })?;
    let payments = payment.map(|payment| *payment).into_iter().collect();
    let shown = views.of(payments).await;
    Ok(Response::new(pb::CancelByRequestIdResponse {
        payment: shown.map_err(|error| not_readable(&error))?.pop(),
    }))
}

/// The payment of the request that is cancelled; none where it has not come. One that took effect is undone.
async fn cancel(
    cancellations: &Performer<Cancellation>,
    call: Call,
    request_id: &str,
) -> Result<Option<Box<Payment>>, OperationError<LaterRefusal>> {
    let cancel = Cancel {
        method: Authorization::METHOD,
        request_id,
        by_method: Cancellation::METHOD,
    };
    match cancellations
        .operations
        .cancel_request(&call, cancel)
        .await?
    {
        Cancelled::NotSeen => Ok(None),
        Cancelled::WithoutEffect(payment) => Ok(Some(payment)),
        Cancelled::TookEffect(payment_id) => {
            let command = CancelPayment { payment_id };
            let concluded = cancellations.perform(call, command).await?;
            Ok(Some(concluded.payment))
        }
    }
}

fn read(
    request: pb::CancelByRequestIdRequest,
    merchant: Arc<Merchant>,
    received_at: Instant,
) -> Result<(Call, String), InvalidRequest> {
    let body_hash = body_hash(&request);
    let mut findings = Findings::default();
    let found = &mut findings;
    let request_id = REQUEST_ID.read(found, "request_id", request.request_id);
    let cancelled = request.cancelled_request_id;
    let cancelled = REQUEST_ID.read(found, "cancelled_request_id", cancelled);
    let read = (|| {
        let call = Call {
            merchant,
            request_id: request_id?,
            body_hash,
            received_at,
        };
        Some((call, cancelled?))
    })();
    findings.finish(read)
}
