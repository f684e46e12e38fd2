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
use crate::payment::ids::PaymentId;
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
    let stream = Stream {
        views: Arc::clone(views),
        watcher,
        payment_id: id,
        version: found.version,
    };
    let rest = (!is_over(&found.state)).then_some(stream);
    let now = shown(views, found).await;
    let rest = rest.filter(|_| now.is_ok());
    let first = once(std::future::ready(now));
    Ok(Response::new(first.chain(unfold(rest, next)).boxed()))
}

struct Stream {
    views: Arc<PaymentViews>,
    watcher: Watcher,
    payment_id: PaymentId,
    /// The payment's, as it was told last.
    version: i64,
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
        let payment = event.as_deref().and_then(Event::payment);
        let Some(payment) = payment.filter(|it| it.id == stream.payment_id).cloned() else {
            continue;
        };
        if payment.version > stream.version {
            stream.version = payment.version;
            let rest = !is_over(&payment.state);
            let told = shown(&stream.views, payment).await;
            let rest = rest && told.is_ok();
            return Some((told, rest.then_some(stream)));
        }
    }
}

/// Whether nothing more can happen to a payment.
fn is_over(state: &PaymentState) -> bool {
    matches!(
        state,
        PaymentState::Declined { .. }
            | PaymentState::Failed { .. }
            | PaymentState::Voided
            | PaymentState::Expired
            | PaymentState::Reversed
    )
}

async fn shown(views: &PaymentViews, payment: Payment) -> Result<pb::WatchPaymentResponse, Status> {
    let shown = views.of(vec![payment]).await;
    let payment = shown.map_err(|error| status::of_unavailable(&error))?.pop();
    Ok(pb::WatchPaymentResponse { payment })
}
