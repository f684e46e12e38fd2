//! The door itself, over real TLS: who gets in.

use std::sync::atomic::Ordering;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use super::*;
use crate::admin_api::pb::host_service_client::HostServiceClient;
use crate::admin_api::testing::{Lines, Memory, operator};
use crate::certs::{DevelopmentPki, Identity};
use crate::clock::SystemClock;
use crate::grpc::client::{ClientCertificate, ConnectError, connect, error_reason};
use crate::grpc::records::RecordsUnavailable;
use crate::grpc::tls::{ClientCertificates, server_config};
use crate::payment::ids::ConnectionId;
use crate::payment::moment::UnixMillis;
use crate::store::records::{ClientConnection, OperatorRole};

/// Notes whose connections come.
#[derive(Default)]
struct Came(std::sync::Mutex<Vec<String>>);

impl ConnectionLog for Came {
    fn opened(&self, connection: ClientConnection) -> Result<(), RecordsUnavailable> {
        let identity = connection.identity.unwrap_or_default();
        self.0.lock().unwrap().push(identity);
        Ok(())
    }

    fn identified(&self, _: ConnectionId, _: &str) -> Result<(), RecordsUnavailable> {
        Ok(())
    }

    fn closed(&self, _: ConnectionId, _: UnixMillis) -> Result<(), RecordsUnavailable> {
        Ok(())
    }
}

struct Door {
    address: SocketAddr,
    pki: DevelopmentPki,
    memory: Arc<Memory>,
    came: Arc<Came>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
}

fn pki(operator: &str) -> DevelopmentPki {
    let (merchant, operator) = ("demo-shop".parse().unwrap(), operator.parse().unwrap());
    DevelopmentPki::generate(&merchant, &operator, SystemClock.now()).unwrap()
}

fn tls(pki: &DevelopmentPki) -> ServerConfig {
    let clients = ClientCertificates::Mandatory(pki.operators_root.certificate_pem().as_bytes());
    let chain = pki.admin.certificate_pem().as_bytes();
    server_config(chain, &pki.admin.key_pem(), clients).unwrap()
}

async fn open() -> Door {
    let pki = pki("alice");
    let memory = Arc::new(Memory::default());
    let alice = operator("alice", OperatorRole::Viewer);
    memory.operators.lock().unwrap().push(alice);
    let came = Arc::new(Came::default());
    let localhost = SocketAddr::from(([127, 0, 0, 1], 0));
    let api = AdminApi::bind(&Net::SYSTEM, localhost, tls(&pki))
        .await
        .unwrap();
    let address = api.local_addr();
    let dependencies = Dependencies {
        records: memory.clone(),
        lines: Arc::new(Lines::default()),
        connection_log: came.clone(),
        clock: Arc::new(SystemClock),
        random: Random::SYSTEM,
    };
    let (_ready, is_ready) = watch::channel(true);
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(api.serve(dependencies, is_ready, async {
        let _ = stopped.await;
    }));
    Door {
        address,
        pki,
        memory,
        came,
        stop,
        served,
    }
}

impl Door {
    /// A channel by a client with this certificate, or none.
    async fn connect(&self, identity: Option<&Identity>) -> Result<Channel, ConnectError> {
        let ca = self.pki.operators_root.certificate_pem().as_bytes();
        let key = identity.map(Identity::key_pem);
        let certificate = identity.zip(key.as_ref());
        let certificate = certificate.map(|(identity, key)| ClientCertificate {
            chain: identity.certificate_pem().as_bytes(),
            key,
        });
        connect(self.address, "localhost", ca, certificate.as_ref()).await
    }
}

async fn list(channel: Channel) -> Result<usize, Status> {
    let request = Request::new(pb::ListHostsRequest {});
    let listed = HostServiceClient::new(channel).list_hosts(request).await?;
    Ok(listed.into_inner().hosts.len())
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[tokio::test]
async fn only_an_active_operator_of_the_operators_root_gets_in() {
    let door = open().await;
    let channel = door.connect(Some(&door.pki.operator)).await.unwrap();
    assert_eq!(list(channel.clone()).await.unwrap(), 1);
    let unsure = (Code::Unavailable, "STORE_UNAVAILABLE".to_owned());
    let refused = (Code::Unauthenticated, "OPERATOR_REFUSED".to_owned());
    door.memory.down.store(true, Ordering::Relaxed);
    let down = list(channel.clone()).await.unwrap_err();
    assert_eq!((down.code(), reason(&down)), unsure);
    door.memory.down.store(false, Ordering::Relaxed);
    // It is looked at with each call.
    door.memory.operators.lock().unwrap()[0].active = false;
    let inactive = list(channel.clone()).await.unwrap_err();
    assert_eq!((inactive.code(), reason(&inactive)), refused);
    door.memory.operators.lock().unwrap().clear();
    let unknown = list(channel).await.unwrap_err();
    assert_eq!((unknown.code(), reason(&unknown)), refused);
    assert_eq!(
        *door.came.0.lock().unwrap(),
        ["operator alice by certificate"]
    );
    let other = pki("alice");
    for identity in [
        None,
        Some(&door.pki.merchant),
        Some(&other.operator),
        Some(&door.pki.admin),
    ] {
        // In TLS 1.3 the client hears of it only after its own handshake is over.
        if let Ok(channel) = door.connect(identity).await {
            let refused = list(channel).await.unwrap_err();
            assert_eq!(error_reason(&refused), None, "{identity:?}: {refused:?}");
        }
    }
    assert_eq!(door.came.0.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_api_key_is_no_credential_here() {
    let door = open().await;
    let channel = door.connect(Some(&door.pki.operator)).await.unwrap();
    let mut request = Request::new(pb::ListHostsRequest {});
    let key = "Bearer sk_test_1.x".parse().unwrap();
    request.metadata_mut().insert("authorization", key);
    let refused = HostServiceClient::new(channel).list_hosts(request).await;
    let refused = refused.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::Unauthenticated, "API_KEY_REFUSED".into())
    );
}

#[tokio::test]
async fn health_is_told_what_is_not_served_has_a_reason_and_stopping_closes_the_door() {
    let door = open().await;
    let channel = door.connect(Some(&door.pki.operator)).await.unwrap();
    let mut health = HealthClient::new(channel.clone());
    let service = HOST_SERVICE.to_owned();
    let health = health.check(HealthCheckRequest { service }).await;
    let status = health.unwrap().into_inner().status;
    assert_eq!(status, ServingStatus::Serving as i32);
    let mut custody = pb::custody_service_client::CustodyServiceClient::new(channel);
    let keys = custody.list_data_keys(pb::ListDataKeysRequest::default());
    let unbuilt = keys.await.unwrap_err();
    assert_eq!(
        (unbuilt.code(), reason(&unbuilt)),
        (Code::Unimplemented, "NOT_IMPLEMENTED".into())
    );
    drop(custody);
    let taken = AdminApi::bind(&Net::SYSTEM, door.address, tls(&door.pki)).await;
    let taken = taken.err().unwrap().to_string();
    assert!(taken.contains(&door.address.to_string()), "{taken}");
    door.stop.send(()).unwrap();
    door.served.await.unwrap().unwrap();
    assert!(Net::SYSTEM.connect(door.address).await.is_err());
}
