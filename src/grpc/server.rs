//! A door's server: it listens, and serves the door's services with the limits of HTTP/2, health and reflection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tower::util::{MapRequestLayer, MapResponseLayer};

use super::accept::Acceptor;
use super::connection::{ConnectionHandle, Recorder};
use super::free_calls::FreeCalls;
use super::places::ConnectionBounds;
use super::records::ConnectionLog;
use super::status::with_reason;
use super::tls::{CurrentTls, Party};
use crate::clock::Clock;
use crate::metrics::BoundCounter;
use crate::net::{Listener, Net};
use crate::random::Random;

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

/// A door can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can't be listened on, most often because another program does.
    #[error("can't listen on {address}{}", hint(source, *address))]
    CannotListen {
        /// The address asked for.
        address: SocketAddr,
        /// What the machine said.
        #[source]
        source: io::Error,
    },
    /// What reflection serves can't be read.
    #[error("the service descriptions can't be read")]
    Descriptions(#[from] tonic_reflection::server::Error),
    /// The transport failed.
    #[error("serving failed")]
    Transport(#[from] tonic::transport::Error),
}

/// What to do where an address can't be listened on.
fn hint(error: &io::Error, address: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            ": another program does; `ss -ltnp 'sport = :{}'` says which",
            address.port()
        ),
        _ => String::new(),
    }
}

/// A door that listens and does not serve yet: clients wait.
pub struct Bound {
    listener: Listener,
    address: SocketAddr,
    tls: CurrentTls,
}

impl Bound {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address can't be listened on.
    pub async fn bind(net: &Net, address: SocketAddr, tls: CurrentTls) -> Result<Self, ServeError> {
        let cannot_listen = |source| ServeError::CannotListen { address, source };
        let listener = net.listen(address).await.map_err(cannot_listen)?;
        Ok(Self {
            address: listener.local_addr().map_err(cannot_listen)?,
            listener,
            tls,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` completes, then takes no new connection or call, and returns when all calls have been
    /// answered and the connections are closed. How long that may take is the caller's to bound.
    ///
    /// # Errors
    /// When the descriptions or the transport are broken.
    pub(crate) async fn serve<P: Party>(
        self,
        door: Door,
        ready: watch::Receiver<bool>,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), ServeError> {
        let (health, health_task) = follow_health(door.services, ready).await;
        let free_calls = FreeCalls::new(door.free_calls_refused);
        let routes = door.routes.add_service(free_calls.before::<P, _>(health));
        let routes = add_reflection::<P>(routes, &free_calls, (door.descriptors, door.services))?;
        let accepted = Acceptor {
            listener: self.listener,
            tls: self.tls,
            recorder: Recorder::new(door.connection_log, Arc::clone(&door.clock)),
            clock: door.clock,
            random: door.random,
            bounds: door.connections,
        }
        .start::<P>();
        let served = limited_server()
            .layer(MapRequestLayer::new(note_call::<P>))
            // Services that are laid out and not served get a reason too.
            .layer(MapResponseLayer::new(with_reason))
            .add_routes(routes)
            .serve_with_incoming_shutdown(ReceiverStream::new(accepted), stop)
            .await;
        health_task.abort();
        Ok(served?)
    }
}

/// What a door serves, and to how many.
pub(crate) struct Door {
    /// The services, each behind the door's gate.
    pub(crate) routes: Routes,
    /// Their names.
    pub(crate) services: &'static [&'static str],
    /// What reflection shows of them.
    pub(crate) descriptors: &'static [u8],
    /// Client connections at once.
    pub(crate) connections: ConnectionBounds,
    /// Counts the calls of health and reflection that were too many.
    pub(crate) free_calls_refused: BoundCounter,
    /// Where client connections are recorded.
    pub(crate) connection_log: Arc<dyn ConnectionLog>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Names connections.
    pub(crate) random: Random,
}

/// A server with all of these limits.
fn limited_server() -> Server {
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
fn note_call<P: Party>(request: http::Request<Body>) -> http::Request<Body> {
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
fn add_reflection<P: Party>(
    routes: Routes,
    free_calls: &FreeCalls,
    (descriptors, services): (&[u8], &[&str]),
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
    Ok(routes
        .add_service(free_calls.before::<P, _>(v1))
        .add_service(free_calls.before::<P, _>(v1alpha)))
}

/// The health service of a door, which says at each moment whether the gateway is ready; and the task that
/// tells it, to be aborted when the door closes.
async fn follow_health(
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

#[cfg(test)]
mod tests {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;

    use super::*;

    #[tokio::test]
    async fn health_follows_readiness() {
        let (ready, is_ready) = watch::channel(true);
        let (health, task) = follow_health(&["a.Service"], is_ready).await;
        let service = "a.Service".to_owned();
        let request = HealthCheckRequest { service };
        let watched = HealthClient::new(health).watch(request).await;
        let mut watched = watched.unwrap().into_inner();
        let serving = watched.message().await.unwrap().unwrap();
        assert_eq!(serving.status, ServingStatus::Serving as i32);
        ready.send(false).unwrap();
        let stopped = watched.message().await.unwrap().unwrap();
        assert_eq!(stopped.status, ServingStatus::NotServing as i32);
        task.abort();
    }
}
