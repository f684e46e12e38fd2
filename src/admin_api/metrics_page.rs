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
use crate::hosts::circuit::CircuitState;
use crate::hosts::service::HostView;
use crate::hosts::status::LineStatus;
use crate::metrics::{Figure, Metrics};
use crate::reloading::{PartCount, Reloading};
use crate::risk::limits::Limits;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::reads::owed::OwedCount;
use crate::telemetry::lines_left_out;
use crate::x509::{Ends, EndsNow};

/// OpenMetrics 1.0, "Overall structure".
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// What the page shows.
#[derive(Clone)]
pub(super) struct MetricsPage {
    pub(super) metrics: Arc<Metrics>,
    pub(super) ends: EndsNow,
    pub(super) reloading: Arc<Reloading>,
    pub(super) limits: Arc<Limits>,
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
        let mut figures = self.of_the_store();
        figures.extend(self.of_what_is_owed().await?);
        figures.extend(self.of_the_lines());
        figures.extend(self.of_certificates());
        figures.extend(self.of_reloading());
        figures.extend(self.limits.declined().map(|(limit, value)| Figure {
            name: "risk_declines",
            help: "Payments and verifications that this gateway declined by a limit of its own",
            counts: true,
            labels: vec![("limit", limit.to_owned())],
            value,
        }));
        figures.push(Figure {
            name: "log_lines_left_out",
            help: "Lines of the log that were not written, because what takes them stood still or failed",
            counts: true,
            labels: Vec::new(),
            value: lines_left_out(),
        });
        Ok(self.metrics.text(&figures))
    }

    fn of_certificates(&self) -> Vec<Figure> {
        let ends = (self.ends)();
        let each = |name, help, end: fn(&Ends) -> Option<u64>| -> Vec<Figure> {
            let figure = |it: &Ends| {
                let labels = vec![("of", it.of.clone())];
                Some(Figure::standing(name, help, labels, end(it)?))
            };
            ends.iter().filter_map(figure).collect()
        };
        [
            each(
                "certificate_not_after_seconds",
                "When the certificate ends that payswitch shows, as Unix time",
                |it| it.certificate,
            ),
            each(
                "crl_next_update_seconds",
                "When a revocation list should be replaced by a newer one, as Unix time",
                |it| it.revocation_lists,
            ),
        ]
        .concat()
    }

    fn of_reloading(&self) -> Vec<Figure> {
        let counts = self.reloading.counts().into_iter();
        let figures = counts.flat_map(|count| {
            let PartCount {
                part,
                reloaded,
                refused,
            } = count;
            [("reloaded", reloaded), ("refused", refused)].map(|(outcome, value)| Figure {
                name: "reloads",
                help: "How often a part was read again, and put in use or refused",
                counts: true,
                labels: vec![("part", part.clone()), ("outcome", outcome.to_owned())],
                value,
            })
        });
        figures.collect()
    }

    fn of_the_store(&self) -> Vec<Figure> {
        let events = self.store.committed_events().into_iter();
        let events = events.map(|(kind, value)| Figure {
            name: "events",
            help: "What happened to payments, by this gateway",
            counts: true,
            labels: vec![("kind", kind.to_owned())],
            value,
        });
        let help = "Changes and other statements that wait to be written";
        let waiting = self.store.waiting();
        let waiting = Figure::standing("store_waiting", help, Vec::new(), waiting);
        events.chain([waiting]).collect()
    }

    async fn of_what_is_owed(&self) -> Result<Vec<Figure>, StoreError> {
        let owed = match self.store.count_owed().await {
            // One row that can't be read hides no other figure.
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "What is owed can't be counted");
                Vec::new()
            }
            owed => owed?,
        };
        let now = self.clock.now().as_i64();
        let age_s = |it: &OwedCount| {
            u64::try_from(now.saturating_sub(it.oldest.as_i64()) / 1000).unwrap_or(0)
        };
        let each = |name, help, value: &dyn Fn(&OwedCount) -> u64| -> Vec<Figure> {
            let figure = |it: &OwedCount| {
                let host = ("host", it.host_id.to_string());
                let labels = vec![host, ("kind", it.kind.name().to_owned())];
                Figure::standing(name, help, labels, value(it))
            };
            owed.iter().map(figure).collect()
        };
        Ok([
            each(
                "owed",
                "Messages that are owed to hosts, by all gateways",
                &|it| it.owed,
            ),
            each(
                "owed_suspended",
                "Of those, how many wait for an operator",
                &|it| it.suspended,
            ),
            each(
                "owed_oldest_seconds",
                "How long the oldest of those is owed",
                &age_s,
            ),
        ]
        .concat())
    }

    fn of_the_lines(&self) -> Vec<Figure> {
        let hosts = self.lines.hosts();
        let label = |host: &HostView| vec![("host", host.status.host_id.to_string())];
        let each = |name, help, value: fn(&[LineStatus]) -> usize| -> Vec<Figure> {
            let figure = |host: &HostView| {
                let value = u64::try_from(value(&host.status.lines)).unwrap_or(u64::MAX);
                Figure::standing(name, help, label(host), value)
            };
            hosts.iter().map(figure).collect()
        };
        let unmatched = |host: &HostView| Figure {
            name: "host_unmatched",
            help: "Messages of the host that nobody waited for",
            counts: true,
            labels: label(host),
            value: host.status.lines.iter().map(|line| line.unmatched).sum(),
        };
        let is_not_closed = |host: &HostView| {
            let is_not_closed = host.circuit.state != CircuitState::Closed;
            let help = "Whether payments to the host fail, unsent, because it does not answer";
            Figure::standing("host_circuit_open", help, label(host), is_not_closed.into())
        };
        [
            each(
                "host_lines",
                "Lines of the host that are configured",
                |lines| lines.len(),
            ),
            each(
                "host_lines_signed_on",
                "Of those, how many take payments",
                |lines| lines.iter().filter(|line| line.signed_on).count(),
            ),
            each(
                "host_in_flight",
                "Messages that wait for the host's answer",
                |lines| lines.iter().map(|line| line.in_flight).sum(),
            ),
            hosts.iter().map(unmatched).collect(),
            hosts.iter().map(is_not_closed).collect(),
        ]
        .concat()
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
