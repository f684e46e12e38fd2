//! What the gateway counts, on a page of its own beside the services: `GET /metrics`, for Prometheus, which shows the
//! client certificate of an operator.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::routing::get_service;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;
use tower::util::MapResponse;

use super::gate::{Gate, METRICS};
use super::lines::HostLines;
use crate::clock::Clock;
use crate::grpc::status;
use crate::hosts::service::HostView;
use crate::metrics::{Figure, Metrics};
use crate::store::Store;
use crate::store::error::StoreError;

/// OpenMetrics 1.0, "Overall structure".
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// What the page shows.
#[derive(Clone)]
pub(super) struct MetricsPage {
    pub(super) metrics: Arc<Metrics>,
    pub(super) certificate_ends: Arc<[(String, u64)]>,
    pub(super) store: Store,
    pub(super) lines: Arc<dyn HostLines>,
    pub(super) clock: Arc<dyn Clock>,
}

impl MetricsPage {
    /// Adds the page to what the door serves, behind its gate.
    pub(super) fn beside(self, services: Router, gate: &Arc<Gate>) -> Router {
        let page = MapResponse::new(gate.before(self), as_a_page);
        services.route(METRICS, get_service(page))
    }

    async fn text(&self) -> Result<String, StoreError> {
        let mut figures = self.of_the_store().await?;
        figures.extend(self.of_the_lines());
        figures.extend(self.certificate_ends.iter().map(|(of, end)| Figure {
            name: "certificate_not_after_seconds",
            help: "When the certificate ends that payswitch shows, as Unix time",
            counts: false,
            labels: vec![("of", of.clone())],
            value: *end,
        }));
        Ok(self.metrics.text(&figures))
    }

    async fn of_the_store(&self) -> Result<Vec<Figure>, StoreError> {
        let figure = |name, help, counts, labels, value| Figure {
            name,
            help,
            counts,
            labels,
            value,
        };
        let mut figures: Vec<Figure> = self
            .store
            .committed_events()
            .into_iter()
            .map(|(kind, count)| {
                let help = "What happened to payments, by this gateway";
                figure("events", help, true, vec![("kind", kind.to_owned())], count)
            })
            .collect();
        let help = "Changes and other statements that wait to be written";
        figures.push(figure(
            "store_waiting",
            help,
            false,
            Vec::new(),
            self.store.waiting(),
        ));
        let owed = match self.store.count_owed().await {
            // One row that can't be read hides no other figure.
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "What is owed can't be counted");
                Vec::new()
            }
            owed => owed?,
        };
        let labels = |host: &str, kind: &'static str| {
            vec![("host", host.to_owned()), ("kind", kind.to_owned())]
        };
        for it in &owed {
            let help = "Messages that are owed to hosts, by all gateways";
            let labels = labels(it.host_id.as_str(), it.kind.name());
            figures.push(figure("owed", help, false, labels, it.owed));
        }
        for it in &owed {
            let help = "Of those, how many wait for an operator";
            let labels = labels(it.host_id.as_str(), it.kind.name());
            figures.push(figure("owed_suspended", help, false, labels, it.suspended));
        }
        let now = self.clock.now().as_i64();
        for it in &owed {
            let help = "How long the oldest of those is owed";
            let labels = labels(it.host_id.as_str(), it.kind.name());
            let age = now.saturating_sub(it.oldest.as_i64()).max(0) / 1000;
            let age = u64::try_from(age).unwrap_or(0);
            figures.push(figure("owed_oldest_seconds", help, false, labels, age));
        }
        Ok(figures)
    }

    fn of_the_lines(&self) -> Vec<Figure> {
        let hosts = self.lines.hosts();
        let figures_of = |name, help, value: fn(&LinesOfAHost) -> u64| {
            hosts.iter().map(move |host| Figure {
                name,
                help,
                counts: false,
                labels: vec![("host", host.status.host_id.to_string())],
                value: value(&LinesOfAHost::of(host)),
            })
        };
        figures_of(
            "host_lines",
            "Lines of the host that are configured",
            |it| it.all,
        )
        .chain(figures_of(
            "host_lines_signed_on",
            "Of those, how many take payments",
            |it| it.signed_on,
        ))
        .chain(figures_of(
            "host_in_flight",
            "Messages that wait for the host's answer",
            |it| it.in_flight,
        ))
        .collect()
    }
}

struct LinesOfAHost {
    all: u64,
    signed_on: u64,
    in_flight: u64,
}

impl LinesOfAHost {
    fn of(host: &HostView) -> Self {
        let lines = &host.status.lines;
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Self {
            all: count(lines.len()),
            signed_on: count(lines.iter().filter(|line| line.signed_on).count()),
            in_flight: count(lines.iter().map(|line| line.in_flight).sum()),
        }
    }
}

impl<B: Send + 'static> Service<Request<B>> for MetricsPage {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let page = self.clone();
        Box::pin(async move {
            Ok(match page.text().await {
                Ok(text) => answer(StatusCode::OK, OPEN_METRICS, text),
                Err(error) => status::of_unavailable(&error).into_http(),
            })
        })
    }
}

/// The gate refuses as gRPC does, which to who reads a page would be an empty page.
fn as_a_page(refused: Response<Body>) -> Response<Body> {
    let Some(status) = Status::from_header_map(refused.headers()) else {
        return refused;
    };
    let code = match status.code() {
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    answer(code, PLAIN, format!("{}\n", status.message()))
}

fn answer(code: StatusCode, content_type: HeaderValue, text: String) -> Response<Body> {
    let mut answer = Response::new(Body::new(Full::from(text)));
    *answer.status_mut() = code;
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}
