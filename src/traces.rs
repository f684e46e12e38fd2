//! Traces: what a call waited for, step by step, as a collector of OpenTelemetry shows it.
//!
//! The spans: a call of a merchant, the operation that it asks for, each commit and each exchange with a bank within; and
//! each attempt of a message that is owed, which no call waits for. They have the names of the log's fields, and nothing
//! that is secret. Without a collector in the configuration they cost a look at a flag each.
//!
//! A target of their own tells them from other spans, so that no line of the log has them.

use http::HeaderMap;
use tracing::Span;
use tracing::field::{Empty, display};

use crate::payment::ids::{MerchantId, OperationId, PaymentId};
use crate::payment::record::Operation;
use crate::telemetry::TRACES_TARGET;

#[cfg(feature = "otlp")]
mod callers;
#[cfg(feature = "otlp")]
pub(crate) mod export;

/// The span of a call of `method`, as it is named among the figures, within the trace of its caller where the caller says
/// which that is (`traceparent`, W3C Trace Context).
pub(crate) fn call(method: &str, headers: &HeaderMap) -> Span {
    let span = tracing::trace_span!(
        target: TRACES_TARGET,
        "call",
        otel.name = method,
        otel.kind = "server",
        rpc.system = "grpc",
        rpc.method = method,
        rpc.grpc.status_code = Empty,
    );
    #[cfg(feature = "otlp")]
    callers::within(&span, headers);
    #[cfg(not(feature = "otlp"))]
    let _ = headers;
    span
}

/// Records the gRPC code with which a call has ended.
pub(crate) fn answered(call: &Span, code: i32) {
    call.record("rpc.grpc.status_code", code);
}

/// The span of an operation that a merchant asks for.
pub(crate) fn operation(
    method: &'static str,
    merchant_id: MerchantId,
    payment_id: PaymentId,
) -> Span {
    tracing::trace_span!(
        target: TRACES_TARGET,
        "operation",
        rpc.method = method,
        merchant.id = %merchant_id,
        payment.id = %payment_id,
        operation.id = Empty,
    )
}

/// Records in the current span which operation it is.
pub(crate) fn named(operation_id: OperationId) {
    Span::current().record("operation.id", display(operation_id));
}

/// The span of an attempt of a message that is owed.
pub(crate) fn attempt(operation: &Operation) -> Span {
    tracing::trace_span!(
        target: TRACES_TARGET,
        parent: None,
        "attempt",
        kind = operation.kind.name(),
        payment.id = %operation.payment_id,
        operation.id = %operation.id,
        attempts = operation.attempts.count,
    )
}

/// The span of an exchange with a bank: from the wait for a place on its line until its answer, or until nobody waits for
/// one.
pub(crate) fn exchange(operation: &Operation) -> Span {
    tracing::trace_span!(
        target: TRACES_TARGET,
        "exchange",
        otel.kind = "client",
        host.id = %operation.host_id,
        operation.id = %operation.id,
        mti = operation.mti.as_str(),
        stan = %operation.stan,
        rrn = %operation.rrn,
        outcome = Empty,
    )
}

/// Records what has become of an exchange.
pub(crate) fn ended(exchange: &Span, outcome: &'static str) {
    exchange.record("outcome", outcome);
}

/// The span of a commit: from the wait for the writer until it is durable.
pub(crate) fn commit() -> Span {
    tracing::trace_span!(target: TRACES_TARGET, "commit", otel.kind = "client")
}
