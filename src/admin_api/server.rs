//! The operators' API as a whole: listens, serves its services, and stops when told.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tower::util::{MapRequestLayer, MapResponseLayer};

use super::gate::Gate;
use super::lines::HostLines;
use super::pb;
use super::pb::audit_service_server::{AuditServiceServer, SERVICE_NAME as AUDIT_SERVICE};
use super::pb::host_service_server::{HostServiceServer, SERVICE_NAME as HOST_SERVICE};
use super::pb::operator_service_server::{OperatorServiceServer, SERVICE_NAME as OPERATOR_SERVICE};
use super::records::OperatorRecords;
use super::rpc::audit_service::AuditApi;
use super::rpc::audited::Audited;
use super::rpc::host_service::HostApi;
use super::rpc::operator_service::OperatorApi;
use crate::clock::Clock;
use crate::grpc::accept::Acceptor;
use crate::grpc::connection::Recorder;
use crate::grpc::records::ConnectionLog;
use crate::grpc::server::{
    MAX_REQUEST_BYTES, add_reflection, follow_health, limited_server, note_call,
};
use crate::grpc::status::with_reason;
use crate::net::{Listener, Net};
use crate::payment::ids::OperatorName;
use crate::random::Random;

/// Client connections at once.
const CONNECTIONS: usize = 64;
/// The services that are served.
const SERVICES: [&str; 3] = [HOST_SERVICE, AUDIT_SERVICE, OPERATOR_SERVICE];

/// What the operators' API needs of the other modules.
pub struct Dependencies {
    /// Operators and the audit trail.
    pub records: Arc<dyn OperatorRecords>,
    /// The lines to the bank hosts.
    pub lines: Arc<dyn HostLines>,
    /// Where client connections are recorded.
    pub connection_log: Arc<dyn ConnectionLog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names connections and audit rows.
    pub random: Random,
}

/// The operators' API can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can't be listened on, most often because another program does.
    #[error("the operators' API can't listen on {address}")]
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
    #[error("serving the operators' API failed")]
    Transport(#[from] tonic::transport::Error),
}

/// The operators' API, listening and not serving yet.
pub struct AdminApi {
    listener: Listener,
    address: SocketAddr,
    tls: TlsAcceptor,
}

impl AdminApi {
    /// Listens on `address`; port 0 takes a free one. Clients wait until [`serve`](Self::serve). `tls` must
    /// demand client certificates from the operators' own root.
    ///
    /// # Errors
    /// When the address can't be listened on.
    pub async fn bind(
        net: &Net,
        address: SocketAddr,
        tls: ServerConfig,
    ) -> Result<Self, ServeError> {
        let cannot_listen = |source| ServeError::CannotListen { address, source };
        let listener = net.listen(address).await.map_err(cannot_listen)?;
        Ok(Self {
            address: listener.local_addr().map_err(cannot_listen)?,
            listener,
            tls: TlsAcceptor::from(Arc::new(tls)),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` completes, then takes no new connection or call, and returns when all calls have
    /// been answered and the connections are closed. How long that may take is the caller's to bound.
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
        let gate = Arc::new(Gate::new(Arc::clone(&dependencies.records)));
        let audited = Audited {
            records: Arc::clone(&dependencies.records),
            clock: Arc::clone(&dependencies.clock),
            random: dependencies.random.clone(),
        };
        let hosts = HostServiceServer::new(HostApi {
            lines: dependencies.lines,
            audited: audited.clone(),
        })
        .max_decoding_message_size(MAX_REQUEST_BYTES);
        let audit = AuditServiceServer::new(AuditApi {
            records: dependencies.records,
        })
        .max_decoding_message_size(MAX_REQUEST_BYTES);
        let operators = OperatorServiceServer::new(OperatorApi { audited })
            .max_decoding_message_size(MAX_REQUEST_BYTES);
        let routes = Routes::new(gate.before(hosts))
            .add_service(gate.before(audit))
            .add_service(gate.before(operators))
            .add_service(health);
        let routes = add_reflection(routes, pb::FILE_DESCRIPTOR_SET, &SERVICES)?;
        let accepted = Acceptor {
            listener: self.listener,
            tls: self.tls,
            recorder,
            clock: dependencies.clock,
            random: dependencies.random,
            connections: CONNECTIONS,
        }
        .start::<OperatorName>();
        let served = limited_server()
            .layer(MapRequestLayer::new(note_call::<OperatorName>))
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
