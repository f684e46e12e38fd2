//! What every call of a service passes first: whether there is room, and who is calling.
//!
//! A call without room, or without a known caller, ends here, before its body is read. A service behind the
//! gate finds the [`Caller`] in the extensions of each request, and the time of the call's arrival: the five
//! seconds that an authorization may take begin there, not when its handler runs.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;
use tracing::debug;

use super::auth::{Authenticator, Caller, Refused};
use super::caller_deadline::caller_deadline;
use super::connection::ConnectionHandle;
use crate::merchant_api::show::status;
use crate::payment::merchant::Merchant;

/// How long any call may take, from its arrival to the beginning of its answer. This is longer than the
/// authorization flow's own limit, so that it only ends what that flow does not see: a body that comes slowly,
/// a list that the store is slow to read.
const ANSWERED_WITHIN: Duration = Duration::from_millis(4_900);

/// Says which encodings a server takes.
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// When a call arrived.
#[derive(Debug, Clone, Copy)]
struct ReceivedAt(Instant);

/// The gate: one for all services.
pub(crate) struct Gate {
    authenticator: Authenticator,
    /// Calls at once, over all connections and services.
    room: Semaphore,
    /// [`ANSWERED_WITHIN`].
    answered_within: Duration,
}

impl Gate {
    /// A gate with room for so many calls at once.
    pub(crate) fn new(authenticator: Authenticator, concurrent_calls: usize) -> Self {
        Self {
            authenticator,
            room: Semaphore::new(concurrent_calls),
            answered_within: ANSWERED_WITHIN,
        }
    }

    /// Puts itself before a service.
    pub(crate) fn before<S>(self: &Arc<Self>, inner: S) -> Gated<S> {
        Gated {
            inner,
            gate: Arc::clone(self),
        }
    }
}

/// A gRPC service behind the gate.
#[derive(Clone)]
pub(crate) struct Gated<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S: NamedService> NamedService for Gated<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<Request<B>> for Gated<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The ready service is the one to call; its clone is made ready before the next call.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let gate = Arc::clone(&self.gate);
        let received_at = Instant::now();
        request.extensions_mut().insert(ReceivedAt(received_at));
        Box::pin(async move {
            let Ok(_room) = gate.room.try_acquire() else {
                return Ok(status::overloaded().into_http());
            };
            let (answered_within, too_late): (_, fn() -> Status) =
                match caller_deadline(request.headers()) {
                    Some(within) if within < gate.answered_within => {
                        (within, status::caller_deadline_exceeded)
                    }
                    _ => (gate.answered_within, status::not_answered_in_time),
                };
            let answer = async {
                let authenticated = authenticate(&gate.authenticator, &mut request, received_at);
                match authenticated.await {
                    Ok(()) => inner.call(request).await,
                    Err(refused) => Ok(refused.into_http()),
                }
            };
            // A payment in progress does not end with its call: it runs in a task of its own.
            timeout_at(received_at + answered_within, answer)
                .await
                .unwrap_or_else(|_| Ok(too_late().into_http()))
                .map(with_reason)
        })
    }
}

/// Gives a reason to what tonic says of a request that it can't read: INTERNAL, OUT_OF_RANGE where it is
/// too large, UNIMPLEMENTED where it is compressed or for no call that there is; all without details and
/// before a handler ran. All that handlers say has details.
pub(crate) fn with_reason(answer: Response<Body>) -> Response<Body> {
    if answer.headers().contains_key(Status::GRPC_STATUS_DETAILS) {
        return answer;
    }
    match Status::from_header_map(answer.headers()) {
        Some(status) if matches!(status.code(), Code::Internal | Code::OutOfRange) => {
            status::request_not_readable(status.message()).into_http()
        }
        Some(status) if status.code() == Code::Unimplemented => {
            let mut refused: Response<Body> = status::not_supported(status.message()).into_http();
            // Which encodings are taken (gRPC over HTTP/2, "Message-Accept-Encoding").
            if let Some(accepted) = answer.headers().get(ACCEPT_ENCODING) {
                let accepted = accepted.clone();
                refused.headers_mut().insert(ACCEPT_ENCODING, accepted);
            }
            refused
        }
        _ => answer,
    }
}

/// The caller that the gate found. A service that is not behind the gate lets nobody in.
pub(crate) fn caller<T>(request: &tonic::Request<T>) -> Result<Arc<Merchant>, Status> {
    request
        .extensions()
        .get::<Caller>()
        .map(|caller| Arc::clone(&caller.merchant))
        .ok_or_else(|| Refused::NoCredentials.status())
}

/// When the call arrived at the gate.
pub(crate) fn received_at<T>(request: &tonic::Request<T>) -> Instant {
    request
        .extensions()
        .get::<ReceivedAt>()
        .map_or_else(Instant::now, |received| received.0)
}

async fn authenticate<B>(
    authenticator: &Authenticator,
    request: &mut Request<B>,
    received_at: Instant,
) -> Result<(), Status> {
    let Some(connection) = request.extensions().get::<ConnectionHandle>().cloned() else {
        return Err(Refused::NoCredentials.status());
    };
    match authenticator
        .authenticate(request.headers(), &connection, received_at)
        .await
    {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            Ok(())
        }
        Err(refused) => {
            debug!(connection.id = %connection.id(), reason = %refused, "a call was refused");
            Err(refused.status())
        }
    }
}

#[cfg(test)]
mod tests;
