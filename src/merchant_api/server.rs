//! The merchant API as a whole: listens, serves its services, and stops when told.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tower::util::{MapRequestLayer, MapResponseLayer};

use super::pb;
use super::pb::payment_service_server::{PaymentServiceServer, SERVICE_NAME as PAYMENT_SERVICE};
use super::pb::sealing_service_server::{SERVICE_NAME as SEALING_SERVICE, SealingServiceServer};
use super::records::{MerchantDirectory, PaymentRecords};
use super::rpc::payment_service::PaymentsApi;
use super::rpc::perform::Perform;
use super::rpc::sealing_service::SealingApi;
use super::transport::api_key::Pepper;
use super::transport::auth::Authenticator;
use super::transport::gate::Gate;
use super::transport::trailers::Timed;
use crate::card::envelope::Opener;
use crate::clock::Clock;
use crate::config::environment::Environment;
use crate::config::merchant_api::MerchantApiConfig;
use crate::flows::authorization::Authorization;
use crate::grpc::accept::Acceptor;
use crate::grpc::connection::Recorder;
use crate::grpc::records::ConnectionLog;
use crate::grpc::server::{
    MAX_REQUEST_BYTES, add_reflection, follow_health, limited_server, note_call,
};
use crate::grpc::status::with_reason;
use crate::net::{Listener, Net};
use crate::payment::ids::MerchantId;
use crate::random::Random;
use crate::shares::Shares;

/// Payments or lists that are read for one merchant at once; its further calls wait for these.
const READS_PER_MERCHANT: usize = 2;
/// The services of the API that are served.
const SERVICES: [&str; 2] = [PAYMENT_SERVICE, SEALING_SERVICE];

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
        let (health, health_task) = follow_health(&SERVICES, ready).await;
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
            .add_service(health);
        let routes = add_reflection(routes, pb::FILE_DESCRIPTOR_SET, &SERVICES)?;
        let accepted = Acceptor {
            listener: self.listener,
            tls: self.tls,
            recorder,
            clock: dependencies.clock,
            random: dependencies.random,
            connections: self.limits.connections,
        }
        .start::<MerchantId>();
        let served = limited_server()
            .layer(MapRequestLayer::new(note_call::<MerchantId>))
            // Services that are laid out and not served get a reason too.
            .layer(MapResponseLayer::new(with_reason))
            .add_routes(routes)
            .serve_with_incoming_shutdown(ReceiverStream::new(accepted), stop)
            .await;
        health_task.abort();
        Ok(served?)
    }
}

#[cfg(test)]
mod tests;
