//! Sends spans to a collector, by OTLP over gRPC. A thread of its own sends them, and a bounded number of spans waits for it:
//! where the collector is away or slow, spans are lost and nothing else.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::config::traces::TracesConfig;
use crate::telemetry::TRACES_TARGET;

/// How long the collector may take for what it is sent, also at the end.
const SENT_WITHIN: Duration = Duration::from_secs(3);

/// Spans are sent as long as this is kept; dropping it sends those that wait.
pub(crate) struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Sends to the collector of the configuration; none where that names none. Must be called, and dropped, while a
    /// runtime of tokio runs.
    ///
    /// # Errors
    /// When the endpoint is no address.
    pub(crate) fn start(config: &TracesConfig) -> Result<Option<Self>, ExporterBuildError> {
        let Some(endpoint) = &config.endpoint else {
            return Ok(None);
        };
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(SENT_WITHIN)
            .build()?;
        let resource = Resource::builder()
            .with_service_name("payswitch")
            .with_attribute(opentelemetry::KeyValue::new(
                "service.version",
                env!("CARGO_PKG_VERSION"),
            ))
            .build();
        // The id of a trace alone decides, so that all of its spans are sent or none, on whichever node. Whether the caller
        // samples it is not asked.
        let share = Sampler::TraceIdRatioBased(1.0 / f64::from(config.one_in));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(share)
            .with_resource(resource)
            .build();
        Ok(Some(Self(provider)))
    }

    /// What takes the spans from the program.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let is_of_a_trace = |metadata: &Metadata<'_>| metadata.target() == TRACES_TARGET;
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("payswitch"))
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_of_a_trace))
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // The library logs that a collector is away.
        let _sent = self.0.shutdown_with_timeout(SENT_WITHIN);
    }
}
