//! The calls that cost nobody a credential: health and reflection. They are few at once, on a connection and in all, and the
//! addresses that they come from share them. A call holds its place until its answer has left, so that what clients don't
//! read is bounded too. A health check that is answered at once needs no place: a load balancer's must not be refused because
//! somebody else watches.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

use super::connection::ConnectionHandle;
use super::status::overloaded;
use super::tls::Party;
use crate::metrics::BoundCounter;
use crate::payment::ids::ConnectionId;
use crate::shares::{Place, Shares};

/// Free calls at once. The largest answer, that of reflection, has about 100 KiB.
const FREE_CALLS: usize = 256;
/// Those of one connection.
const FREE_CALLS_OF_CONNECTION: usize = 64;
/// The call that needs no place; its answer has a few bytes.
const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// The places of a door's free calls.
#[derive(Debug, Clone)]
pub(crate) struct FreeCalls {
    of_addresses: Shares<IpAddr>,
    of_connections: Shares<ConnectionId>,
}

impl FreeCalls {
    /// None is taken yet.
    pub(crate) fn new(refused: BoundCounter) -> Self {
        Self {
            of_addresses: Shares::new(FREE_CALLS, refused.clone()),
            of_connections: Shares::of_their_own(FREE_CALLS_OF_CONNECTION, refused),
        }
    }

    fn take<P: Party>(&self, connection: &ConnectionHandle<P>) -> Option<FreePlace> {
        let of_connection = self.of_connections.take(&connection.id())?;
        let of_address = self.of_addresses.take(&connection.share())?;
        Some((of_connection, of_address))
    }

    /// Puts itself before a service of a door whose clients are such parties.
    pub(crate) fn before<P, S>(&self, inner: S) -> Free<P, S> {
        Free {
            inner,
            calls: self.clone(),
            party: PhantomData,
        }
    }
}

/// A service whose calls are free.
#[derive(Debug)]
pub(crate) struct Free<P, S> {
    inner: S,
    calls: FreeCalls,
    party: PhantomData<fn() -> P>,
}

impl<P, S: Clone> Clone for Free<P, S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            calls: self.calls.clone(),
            party: PhantomData,
        }
    }
}

impl<P, S: NamedService> NamedService for Free<P, S> {
    const NAME: &'static str = S::NAME;
}

impl<P, S, B> Service<Request<B>> for Free<P, S>
where
    P: Party,
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.uri().path() == HEALTH_CHECK {
            return Box::pin(self.inner.call(request));
        }
        let connection = request.extensions().get::<ConnectionHandle<P>>();
        let place = connection.and_then(|connection| self.calls.take(connection));
        let Some(place) = place else {
            return Box::pin(std::future::ready(Ok(overloaded().into_http())));
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let Ok(answer) = answer.await;
            // The body holds the place until it has left, or its client has.
            let held = move |inner: Body| {
                Body::new(inner.map_frame(move |frame| {
                    let _held = &place;
                    frame
                }))
            };
            Ok(answer.map(held))
        })
    }
}

type FreePlace = (Place<ConnectionId>, Place<IpAddr>);
