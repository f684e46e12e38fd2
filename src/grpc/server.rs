//! A door's server: the limits of HTTP/2, health and reflection.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};

use super::connection::ConnectionHandle;
use super::tls::Party;

/// The largest request that is read, in bytes. A sealed card is 8 KiB at most.
pub(crate) const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// Calls at once on one connection (HTTP/2 SETTINGS_MAX_CONCURRENT_STREAMS).
const STREAMS_PER_CONNECTION: u32 = 1024;
/// Bytes that a client may send ahead of being read, for one call and for one connection (HTTP/2 flow
/// control). A request fits whole, and 4096 connections can't take more than 2 GiB together.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 512 * 1024;
/// The most bytes of headers of one call (HTTP/2 SETTINGS_MAX_HEADER_LIST_SIZE).
const HEADER_LIST_BYTES: u32 = 16 * 1024;
/// Streams that a client may open and reset before the server handles them (CVE-2023-44487).
const PENDING_RESETS: usize = 64;
/// Streams that may be reset for a client's own faults before its connection is closed.
const LOCAL_RESETS: usize = 256;
/// How often a silent client is asked whether it is still there, and how long it has to answer.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A server with all of these limits.
pub(crate) fn limited_server() -> Server {
    Server::builder()
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(HEADER_LIST_BYTES)
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS))
        .http2_max_local_error_reset_streams(Some(LOCAL_RESETS))
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
}

/// Notes on its connection that a call came, of whichever service.
pub(crate) fn note_call<P: Party>(request: http::Request<Body>) -> http::Request<Body> {
    if let Some(connection) = request.extensions().get::<ConnectionHandle<P>>() {
        connection.called();
    }
    request
}

/// Adds reflection in both versions: older grpcurl speaks v1alpha only. It shows the services, with the
/// comments of the .proto files, and knows the messages of error details.
///
/// # Errors
/// When the descriptions can't be read.
pub(crate) fn add_reflection(
    routes: Routes,
    descriptors: &[u8],
    services: &[&str],
) -> Result<Routes, tonic_reflection::server::Error> {
    let builder = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(descriptors)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name(tonic_health::pb::health_server::SERVICE_NAME)
            .with_service_name("grpc.reflection.v1.ServerReflection")
            .with_service_name("grpc.reflection.v1alpha.ServerReflection");
        services
            .iter()
            .fold(builder, |builder, name| builder.with_service_name(*name))
    };
    let v1 = builder()
        .build_v1()?
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let v1alpha = builder()
        .build_v1alpha()?
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    Ok(routes.add_service(v1).add_service(v1alpha))
}

/// The health service of a door, which says at each moment whether the gateway is ready; and the task that
/// tells it, to be aborted when the door closes.
pub(crate) async fn follow_health(
    services: &'static [&'static str],
    mut ready: watch::Receiver<bool>,
) -> (HealthServer<impl Health>, JoinHandle<()>) {
    let (reporter, health) = tonic_health::server::health_reporter();
    let report = async move |serving: bool| {
        let status = if serving {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for service in [""].iter().chain(services) {
            reporter.set_service_status(service, status).await;
        }
    };
    let serving = *ready.borrow_and_update();
    report(serving).await;
    let task = tokio::spawn(async move {
        while ready.changed().await.is_ok() {
            let serving = *ready.borrow_and_update();
            report(serving).await;
        }
    });
    (health.max_decoding_message_size(MAX_REQUEST_BYTES), task)
}
