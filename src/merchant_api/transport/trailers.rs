//! Tells the caller in real HTTP/2 trailers how long the bank took and how long payswitch took.
//!
//! A handler puts a [`BankTime`] into the extensions of its response. [`Timed`] measures the whole
//! call, from the request's headers to the answer's trailers, and appends [`BANK_US`] and [`OWN_US`] to
//! the trailers frame in which tonic sends `grpc-status`, where the answer is counted too. tonic itself puts
//! the metadata of a response into the headers, which leave before the call has ended.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;
use tracing::Span;

use crate::metrics::{CallMetrics, MethodMetrics};
use crate::traces;

/// The trailer that says how long the bank took, in microseconds; 0 when no bank was asked.
pub const BANK_US: HeaderName = HeaderName::from_static("payswitch-bank-us");
/// The trailer that says how long payswitch itself took, in microseconds.
pub const OWN_US: HeaderName = HeaderName::from_static("payswitch-own-us");

/// How long the bank took within a call. Without one in the response's extensions it is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BankTime(pub(crate) Duration);

/// A gRPC service whose answers end with the two trailers.
#[derive(Debug, Clone)]
pub(crate) struct Timed<S> {
    inner: S,
    calls: CallMetrics,
}

impl<S> Timed<S> {
    /// Wraps a service, whose answers are counted among these.
    pub(crate) fn new(inner: S, calls: CallMetrics) -> Self {
        Self { inner, calls }
    }
}

impl<S: NamedService> NamedService for Timed<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<Request<B>> for Timed<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = TimedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let method = Arc::clone(self.calls.of(request.uri().path()));
        TimedFuture {
            started: Instant::now(),
            span: traces::call(method.name(), request.headers()),
            method,
            inner: self.inner.call(request),
        }
    }
}

/// The answer of a [`Timed`] service.
#[derive(Debug)]
pub(crate) struct TimedFuture<F> {
    started: Instant,
    span: Span,
    method: Arc<MethodMetrics>,
    inner: F,
}

impl<F> Future for TimedFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let inner = Pin::new(&mut this.inner);
        let Ok(response) = ready!(this.span.in_scope(|| inner.poll(cx)));
        let timings = Timings {
            started: self.started,
            span: std::mem::replace(&mut self.span, Span::none()),
            method: Arc::clone(&self.method),
            bank: Duration::ZERO,
        };
        Poll::Ready(Ok(append_timings(response, timings)))
    }
}

fn append_timings(mut response: Response<Body>, timings: Timings) -> Response<Body> {
    let BankTime(bank) = response.extensions().get().copied().unwrap_or_default();
    let timings = Timings { bank, ..timings };
    if response.headers().contains_key(Status::GRPC_STATUS) {
        // An error without a body: the only header block is the trailers (gRPC over HTTP/2,
        // "Trailers-Only").
        timings.append_to(response.headers_mut());
        return response;
    }
    response.map(|inner| Body::new(TimedBody { inner, timings }))
}

#[derive(Debug)]
struct Timings {
    started: Instant,
    span: Span,
    method: Arc<MethodMetrics>,
    bank: Duration,
}

impl Timings {
    /// Called once: a call has one block of trailers.
    fn append_to(&self, trailers: &mut HeaderMap) {
        let own = self.started.elapsed().saturating_sub(self.bank);
        let code = trailers.get(Status::GRPC_STATUS);
        let code = code.map_or(Code::Unknown, |code| Code::from_bytes(code.as_bytes()));
        self.method.answered(code as usize, own, self.bank);
        traces::answered(&self.span, code as i32);
        trailers.insert(BANK_US, micros(self.bank));
        trailers.insert(OWN_US, micros(own));
    }
}

fn micros(duration: Duration) -> HeaderValue {
    HeaderValue::from(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

struct TimedBody {
    inner: Body,
    timings: Timings,
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            self.timings.append_to(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::{Ready, poll_fn, ready};

    use super::*;
    use crate::metrics::Metrics;

    /// A body of prepared frames.
    struct Frames(VecDeque<Frame<Bytes>>);

    impl HttpBody for Frames {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }

    #[derive(Clone)]
    struct Answers(fn() -> Response<Body>);

    impl Service<Request<()>> for Answers {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = Ready<Result<Response<Body>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            ready(Ok((self.0)()))
        }
    }

    async fn call(answer: fn() -> Response<Body>) -> Response<Body> {
        let calls = Metrics::new([]).calls().clone();
        let Ok(response) = Timed::new(Answers(answer), calls)
            .call(Request::new(()))
            .await;
        response
    }

    async fn frames_of(body: Body) -> Vec<Frame<Bytes>> {
        let mut body = body;
        let mut frames = Vec::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            frames.push(frame.unwrap());
        }
        frames
    }

    fn number(trailers: &HeaderMap, name: &HeaderName) -> u64 {
        trailers[name].to_str().unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn the_trailers_frame_of_an_answer_carries_both_figures() {
        let response = call(|| {
            let mut trailers = HeaderMap::new();
            trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
            let frames = [
                Frame::data(Bytes::from("answer")),
                Frame::trailers(trailers),
            ];
            let mut response = Response::new(Body::new(Frames(frames.into())));
            response
                .extensions_mut()
                .insert(BankTime(Duration::from_secs(3600)));
            response
        })
        .await;
        assert!(
            !response.headers().contains_key(BANK_US),
            "the headers leave too early to know"
        );
        let mut frames = frames_of(response.into_body()).await;
        let trailers = frames.pop().unwrap().into_trailers().unwrap();
        assert_eq!(trailers[Status::GRPC_STATUS], "0");
        assert_eq!(number(&trailers, &BANK_US), 3_600_000_000);
        // The bank is said to have taken longer than the whole call, so nothing is left for us.
        assert_eq!(number(&trailers, &OWN_US), 0);
        assert_eq!(frames.pop().unwrap().into_data().unwrap(), "answer");
    }

    #[tokio::test]
    async fn an_error_carries_them_beside_its_status() {
        let began = Instant::now();
        let response = call(|| Status::not_found("no such payment").into_http()).await;
        let whole_us = u64::try_from(began.elapsed().as_micros()).unwrap();
        assert_eq!(number(response.headers(), &BANK_US), 0);
        assert!(number(response.headers(), &OWN_US) <= whole_us);
        assert!(frames_of(response.into_body()).await.is_empty());
    }
}
