//! The merchant API as a whole: listens, serves its services, and stops when told.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::util::{MapRequestLayer, MapResponseLayer};

use super::pb;
use super::pb::payment_service_server::{PaymentServiceServer, SERVICE_NAME as PAYMENT_SERVICE};
use super::pb::sealing_service_server::{SERVICE_NAME as SEALING_SERVICE, SealingServiceServer};
use super::records::{ConnectionLog, MerchantDirectory, PaymentRecords};
use super::rpc::payment_service::PaymentsApi;
use super::rpc::perform::Perform;
use super::rpc::sealing_service::SealingApi;
use super::transport::accept::Acceptor;
use super::transport::api_key::Pepper;
use super::transport::auth::Authenticator;
use super::transport::body::MAX_REQUEST_BYTES;
use super::transport::connection::{ConnectionHandle, Recorder};
use super::transport::gate::{self, Gate};
use super::transport::trailers::Timed;
use crate::card::envelope::Opener;
use crate::clock::Clock;
use crate::config::environment::Environment;
use crate::config::merchant_api::MerchantApiConfig;
use crate::flows::authorization::Authorization;
use crate::net::{Listener, Net};
use crate::random::Random;
use crate::shares::Shares;

/// Payments or lists that are read for one merchant at once; its further calls wait for these.
const READS_PER_MERCHANT: usize = 2;
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

/// What the merchant API needs of the other modules.
pub struct Dependencies {
    /// Whether this is a test environment.
    pub environment: Environment,
    /// Merchants and their keys.
    pub directory: Arc<dyn MerchantDirectory>,
    /// The secret under which API keys are hashed.
    pub pepper: Pepper,
    /// Where client connections are recorded.
    pub connection_log: Arc<dyn ConnectionLog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names connections.
    pub random: Random,
    /// What authorizes payments.
    pub authorizations: Arc<dyn Perform<Authorization>>,
    /// What finds payments again.
    pub records: Arc<dyn PaymentRecords>,
    /// What opens sealed cards and session keys.
    pub opener: Arc<Opener>,
}

/// How much the merchant API takes on.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Client connections at once.
    pub connections: usize,
    /// Calls at once over all connections.
    pub concurrent_calls: usize,
}

impl From<&MerchantApiConfig> for Limits {
    fn from(config: &MerchantApiConfig) -> Self {
        Self {
            connections: config.connections,
            concurrent_calls: config.concurrent_calls,
        }
    }
}

/// The merchant API can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can't be listened on, most often because another program does.
    #[error("the merchant API can't listen on {address}")]
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
    #[error("serving the merchant API failed")]
    Transport(#[from] tonic::transport::Error),
}

/// The merchant API, listening and not serving yet.
pub struct MerchantApi {
    listener: Listener,
    address: SocketAddr,
    tls: TlsAcceptor,
    limits: Limits,
}

impl MerchantApi {
    /// Listens on `address`; port 0 takes a free one. Clients wait until [`serve`](Self::serve).
    ///
    /// # Errors
    /// When the address can't be listened on.
    pub async fn bind(
        net: &Net,
        address: SocketAddr,
        tls: ServerConfig,
        limits: Limits,
    ) -> Result<Self, ServeError> {
        let cannot_listen = |source| ServeError::CannotListen { address, source };
        let listener = net.listen(address).await.map_err(cannot_listen)?;
        Ok(Self {
            address: listener.local_addr().map_err(cannot_listen)?,
            listener,
            tls: TlsAcceptor::from(Arc::new(tls)),
            limits,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` completes, then takes no new connection or call, and returns when all
    /// calls have been answered and the connections are closed. How long that may take is the
    /// caller's to bound.
    ///
    /// `ready` says whether the health service answers SERVING.
    ///
    /// # Errors
    /// When the descriptions or the transport are broken.
    pub async fn serve(
        self,
        dependencies: Dependencies,
        ready: watch::Receiver<bool>,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), ServeError> {
        let recorder = Recorder::new(dependencies.connection_log, Arc::clone(&dependencies.clock));
        let (health_reporter, health) = tonic_health::server::health_reporter();
        let health_task = follow_health(health_reporter, ready).await;
        let authenticator = Authenticator::new(
            dependencies.directory,
            dependencies.pepper,
            dependencies.environment,
        );
        let gate = Arc::new(Gate::new(authenticator, self.limits.concurrent_calls));
        let payments = PaymentServiceServer::new(PaymentsApi {
            environment: dependencies.environment,
            authorizations: dependencies.authorizations,
            records: dependencies.records,
            reads: Shares::of_their_own(READS_PER_MERCHANT),
        })
        .max_decoding_message_size(MAX_REQUEST_BYTES);
        let sealing = SealingApi {
            environment: dependencies.environment,
            opener: dependencies.opener,
            clock: Arc::clone(&dependencies.clock),
        };
        let sealing =
            SealingServiceServer::new(sealing).max_decoding_message_size(MAX_REQUEST_BYTES);
        let routes = Routes::new(Timed::new(gate.before(payments)))
            .add_service(Timed::new(gate.before(sealing)))
            .add_service(health.max_decoding_message_size(MAX_REQUEST_BYTES));
        let routes = add_reflection(routes)?;
        let accepted = Acceptor {
            listener: self.listener,
            tls: self.tls,
            recorder,
            clock: dependencies.clock,
            random: dependencies.random,
            connections: self.limits.connections,
        }
        .start();
        let served = Server::builder()
            .max_concurrent_streams(STREAMS_PER_CONNECTION)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_max_header_list_size(HEADER_LIST_BYTES)
            .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS))
            .http2_max_local_error_reset_streams(Some(LOCAL_RESETS))
            .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
            .layer(MapRequestLayer::new(note_call))
            // Services that are laid out and not served get a reason too.
            .layer(MapResponseLayer::new(gate::with_reason))
            .add_routes(routes)
            .serve_with_incoming_shutdown(ReceiverStream::new(accepted), stop)
            .await;
        health_task.abort();
        Ok(served?)
    }
}

/// Notes on its connection that a call came, of whichever service.
fn note_call(request: http::Request<Body>) -> http::Request<Body> {
    if let Some(connection) = request.extensions().get::<ConnectionHandle>() {
        connection.called();
    }
    request
}

/// Reflection in both versions: older grpcurl speaks v1alpha only. It shows what is served, with the
/// comments of the .proto files, and knows the messages of error details.
fn add_reflection(routes: Routes) -> Result<Routes, ServeError> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name(PAYMENT_SERVICE)
            .with_service_name(SEALING_SERVICE)
            .with_service_name(tonic_health::pb::health_server::SERVICE_NAME)
            .with_service_name("grpc.reflection.v1.ServerReflection")
            .with_service_name("grpc.reflection.v1alpha.ServerReflection")
    };
    let v1 = builder()
        .build_v1()?
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let v1alpha = builder()
        .build_v1alpha()?
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    Ok(routes.add_service(v1).add_service(v1alpha))
}

/// Tells the health service whether the gateway is ready, now and at each change.
async fn follow_health(
    reporter: HealthReporter,
    mut ready: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let report = async move |serving: bool| {
        let status = if serving {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for service in ["", PAYMENT_SERVICE, SEALING_SERVICE] {
            reporter.set_service_status(service, status).await;
        }
    };
    let serving = *ready.borrow_and_update();
    report(serving).await;
    tokio::spawn(async move {
        while ready.changed().await.is_ok() {
            let serving = *ready.borrow_and_update();
            report(serving).await;
        }
    })
}

#[cfg(test)]
mod tests;
