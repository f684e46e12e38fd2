//! What every call of a service passes first: whether there is room, and who is calling.
//!
//! In this order, so that nobody holds what others need while it keeps us waiting:
//! 1. Who is calling, from memory. A caller that is refused ends here.
//! 2. The body, which has a second. Until it is there the call holds nothing but its stream; that of a caller who is not
//!    known yet, and was not let in a moment ago, takes a place of its address among the bodies.
//! 3. Who is calling, from the store, for those who are not known yet: in a small pool of their own.
//! 4. A place among the calls: each merchant has its share of them.
//!
//! A service behind the gate finds the [`Caller`] in the extensions of each request, and the time of the call's
//! arrival: the five seconds that an authorization may take begin there, not when its handler runs.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;
use tracing::debug;

use super::auth::{Authenticator, Caller, Refused, Remembered};
use super::body::{self, BODY_WITHIN};
use crate::grpc::caller_deadline::caller_deadline;
use crate::grpc::connection::ConnectionHandle;
use crate::grpc::status;
use crate::metrics::Metrics;
use crate::payment::ids::MerchantId;
use crate::payment::merchant::Merchant;
use crate::shares::{Place, Shares};

/// How long any call may take, from its arrival to the beginning of its answer. This is longer than the
/// authorization flow's own limit, so that it only ends what that flow does not see: a body that comes slowly,
/// a list that the store is slow to read.
const ANSWERED_WITHIN: Duration = Duration::from_millis(4_900);

/// Bodies at once of callers who are not known yet, shared by the addresses that they come from. With the largest
/// request they take 64 MiB.
const UNIDENTIFIED_BODIES: usize = 1024;

/// When a call arrived.
#[derive(Debug, Clone, Copy)]
struct ReceivedAt(Instant);

/// The gate: one for all services.
pub(crate) struct Gate {
    authenticator: Authenticator,
    /// Calls at once, over all connections and services.
    calls: Shares<MerchantId>,
    /// Calls at once whose body is read before it is known who calls.
    bodies: Shares<IpAddr>,
    /// [`BODY_WITHIN`].
    body_within: Duration,
    /// [`ANSWERED_WITHIN`].
    answered_within: Duration,
}

impl Gate {
    /// A gate with room for so many calls at once.
    pub(crate) fn new(
        authenticator: Authenticator,
        concurrent_calls: usize,
        metrics: &Metrics,
    ) -> Self {
        Self {
            authenticator,
            calls: Shares::new(concurrent_calls, metrics.bound("calls")),
            bodies: Shares::new(UNIDENTIFIED_BODIES, metrics.bound("unidentified_bodies")),
            body_within: BODY_WITHIN,
            answered_within: ANSWERED_WITHIN,
        }
    }

    /// Lets a call in: its request with the body read and the caller found, and its place.
    async fn let_in<B>(
        &self,
        request: Request<B>,
        received_at: Instant,
    ) -> Result<(Request<Body>, Place<MerchantId>), Status>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: std::fmt::Display,
    {
        let (mut head, body) = request.into_parts();
        let Some(connection) = head
            .extensions
            .get::<ConnectionHandle<MerchantId>>()
            .cloned()
        else {
            return Err(Refused::NoCredentials.status());
        };
        let refuse = |refused: Refused| {
            debug!(connection.id = %connection.id(), reason = %refused, "a call was refused");
            refused.status()
        };
        let remembered =
            self.authenticator
                .caller_in_memory(&head.headers, &connection, received_at);
        let (known, is_new) = match remembered {
            Remembered::Now(known) => (Some(known.map_err(refuse)?), false),
            Remembered::Before => (None, false),
            Remembered::Nothing => (None, true),
        };
        let _body = match is_new {
            false => None,
            true => {
                let place = self.bodies.take(&connection.share());
                Some(place.ok_or_else(status::overloaded)?)
            }
        };
        let body = timeout_at(received_at + self.body_within, body::read(body))
            .await
            .map_err(|_| status::body_too_slow())?
            .map_err(|error| status::request_not_readable(&error.to_string()))?;
        let caller = match known {
            Some(caller) => caller,
            None => {
                // Its own second begins when there is something to be asked for.
                let asked_at = Instant::now();
                let found = self
                    .authenticator
                    .authenticate(&head.headers, &connection, asked_at);
                // Boxed, because it is rare, and every call would have room for it.
                Box::pin(found).await.map_err(refuse)?
            }
        };
        let place = self.calls.take(&caller.merchant.id);
        let place = place.ok_or_else(status::overloaded)?;
        head.extensions.insert(caller);
        Ok((Request::from_parts(head, body), place))
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
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Display + Send,
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
            let (answered_within, too_late): (_, fn() -> Status) =
                match caller_deadline(request.headers()) {
                    Some(within) if within < gate.answered_within => {
                        (within, status::caller_deadline_exceeded)
                    }
                    _ => (gate.answered_within, status::not_answered_in_time),
                };
            let answer = async {
                match gate.let_in(request, received_at).await {
                    Ok((request, _place)) => inner.call(request).await,
                    Err(refused) => Ok(refused.into_http()),
                }
            };
            // A payment in progress does not end with its call: it runs in a task of its own.
            timeout_at(received_at + answered_within, answer)
                .await
                .unwrap_or_else(|_| Ok(too_late().into_http()))
                .map(status::with_reason)
        })
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

/// From where the caller has connected.
pub(crate) fn address<T>(request: &tonic::Request<T>) -> IpAddr {
    let connection = request.extensions().get::<ConnectionHandle<MerchantId>>();
    connection.map_or(Ipv4Addr::UNSPECIFIED.into(), ConnectionHandle::address)
}

/// When the call arrived at the gate.
pub(crate) fn received_at<T>(request: &tonic::Request<T>) -> Instant {
    request
        .extensions()
        .get::<ReceivedAt>()
        .map_or_else(Instant::now, |received| received.0)
}

#[cfg(test)]
mod tests;
