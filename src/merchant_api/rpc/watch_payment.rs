//! WatchPayment: a payment as it is now, then after each change, until nothing more can happen to it.

use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt as _, once, unfold};
use tonic::{Request, Response, Status};

use super::views::PaymentViews;
use super::watcher::{EventViews, Watcher};
use crate::grpc::status;
use crate::grpc::violations::Findings;
use crate::merchant_api::pb;
use crate::merchant_api::read::id::payment_id;
use crate::merchant_api::show::errors;
use crate::merchant_api::transport::gate;
use crate::payment::record::Payment;
use crate::payment::state::PaymentState;
use crate::store::reads::events::Event;

/// What is streamed.
pub(super) type Changes = BoxStream<'static, Result<pb::WatchPaymentResponse, Status>>;

/// Answers the call.
pub(super) async fn call(
    views: &Arc<PaymentViews>,
    events: &Arc<EventViews>,
    request: Request<pb::WatchPaymentRequest>,
) -> Result<Response<Changes>, Status> {
    let merchant = gate::caller(&request)?;
    let mut findings = Findings::default();
    let id = payment_id(&mut findings, &request.get_ref().payment_id);
    let id = findings.finish(id).map_err(status::of_invalid_request)?;
    // Before the payment is read: what changes after that is told.
    let mut watcher = events.watch(merchant.id, 0).await?;
    watcher.begin_now();
    let found = views.store.payment(&merchant.id, id).await;
    let found = found
        .map_err(|error| status::of_unavailable(&error))?
        .ok_or_else(errors::payment_not_found)?;
    let is_over = is_over(views, &found).await?;
    let stream = Stream {
        views: Arc::clone(views),
        watcher,
        payment: found.clone(),
    };
    let rest = (!is_over).then_some(stream);
    let now = shown(views, found).await;
    let rest = rest.filter(|_| now.is_ok());
    let first = once(std::future::ready(now));
    Ok(Response::new(first.chain(unfold(rest, next)).boxed()))
}

struct Stream {
    views: Arc<PaymentViews>,
    watcher: Watcher,
    /// The payment, as it was told last.
    payment: Payment,
}

async fn next(
    stream: Option<Stream>,
) -> Option<(Result<pb::WatchPaymentResponse, Status>, Option<Stream>)> {
    let mut stream = stream?;
    loop {
        let event = match stream.watcher.next().await {
            Ok(event) => event,
            Err(ended) => return Some((Err(ended), None)),
        };
        let its = |event: &Arc<Event>| event.payment_id() == Some(stream.payment.id);
        let Some(event) = event.filter(its) else {
            continue;
        };
        match event.payment() {
            Some(payment) if payment.version > stream.payment.version => {
                stream.payment = payment.clone();
            }
            Some(_) => continue,
            // What is settled of it is told with it; itself it is as before.
            None => {}
        }
        let is_over = match is_over(&stream.views, &stream.payment).await {
            Ok(is_over) => is_over,
            Err(ended) => return Some((Err(ended), None)),
        };
        let told = shown(&stream.views, stream.payment.clone()).await;
        let rest = !is_over && told.is_ok();
        return Some((told, rest.then_some(stream)));
    }
}

/// Whether nothing more can happen to a payment, or all of it was given back and all its captures and refunds are settled.
async fn is_over(views: &PaymentViews, payment: &Payment) -> Result<bool, Status> {
    match payment.state {
        PaymentState::Declined { .. }
        | PaymentState::Failed { .. }
        | PaymentState::Voided
        | PaymentState::Expired
        | PaymentState::Reversed => Ok(true),
        PaymentState::Captured { .. } if payment.amounts.is_refunded_whole() => {
            let funded = views.store.funded_of(payment.id).await;
            let funded = funded.map_err(|error| status::of_unavailable(&error))?;
            let captured_minor = payment.amounts.captured_minor;
            Ok(funded.captured_minor == captured_minor && funded.refunded_minor == captured_minor)
        }
        _ => Ok(false),
    }
}

async fn shown(views: &PaymentViews, payment: Payment) -> Result<pb::WatchPaymentResponse, Status> {
    let shown = views.of(vec![payment]).await;
    let payment = shown.map_err(|error| status::of_unavailable(&error))?.pop();
    Ok(pb::WatchPaymentResponse { payment })
}
