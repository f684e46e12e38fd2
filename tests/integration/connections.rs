//! Every client connection is recorded: from where, whose, when it came, when it left.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use payswitch::certs::{DevelopmentPki, Identity};
use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::payment_service_client::PaymentServiceClient;
use payswitch::net::{Net, Stream};
use payswitch::store::records::callers::ConnectionRecord;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::AsyncReadExt as _;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use crate::database::Engine;
use crate::harness::{Switch, eventually, now, on_both_engines, run, until, with_key};

on_both_engines!(
    each_connection_is_recorded,
    a_stopping_gateway_records_that_its_clients_left,
);

async fn shake_hands(
    switch: &Switch,
    certificate: Option<&Identity>,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<TlsStream<Stream>> {
    let ca = switch.pki.gateway_root.certificate_pem();
    let ca = CertificateDer::from_pem_slice(ca.as_bytes()).expect("a root");
    let mut roots = RootCertStore::empty();
    roots.add(ca).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version of TLS")
        .with_root_certificates(roots);
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some(certificate) => {
            let chain = certificate.certificate_pem().as_bytes();
            let chain = CertificateDer::from_pem_slice(chain).expect("a certificate");
            let key = PrivateKeyDer::from_pem_slice(&certificate.key_pem()).expect("a key");
            builder
                .with_client_auth_cert(vec![chain], key)
                .expect("a client certificate")
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = Net::SYSTEM.connect(switch.gateway().merchant_api).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
}

/// A connection whose own end is known.
async fn connect_from(switch: &Switch, certificate: Option<&Identity>) -> (Channel, SocketAddr) {
    let tls = shake_hands(switch, certificate, &TLS13).await;
    let tls = tls.expect("a handshake");
    let own = tls.get_ref().0.local_addr().expect("its own end");
    let mut tls = Some(TokioIo::new(tls));
    let connector = tower::service_fn(move |_: http::Uri| {
        let tls = tls.take().ok_or(std::io::ErrorKind::NotConnected);
        async move { tls.map_err(std::io::Error::from) }
    });
    let channel = Endpoint::from_static("https://payswitch")
        .connect_with_connector(connector)
        .await
        .expect("HTTP/2");
    (channel, own)
}

/// The record of the connection from this address, once `as_wanted` holds of it.
async fn recorded(
    switch: &Switch,
    from: SocketAddr,
    what: &str,
    as_wanted: impl Fn(&ConnectionRecord) -> bool,
) -> ConnectionRecord {
    eventually(what, async || {
        let all = switch.store().list_connections(100, None).await;
        let mut here = all.expect("the connections").into_iter().filter(|record| {
            record.connection.peer_port == from.port()
                && record.connection.peer_address == from.ip().to_string()
        });
        let record = here.next();
        assert!(here.next().is_none(), "one record for a connection");
        record.filter(&as_wanted)
    })
    .await
}

async fn each_connection_is_recorded(engine: Engine) {
    let switch = Switch::start(engine).await;
    let key_id = switch.api_key.split('.').next().expect("a key");
    let by_key = format!("{} by {key_id}", switch.merchant_id);
    let by_certificate = format!("{} by certificate", switch.merchant_id);
    let list = || pb::ListPaymentsRequest::default();
    let began = now();

    let (channel, nobody) = connect_from(&switch, None).await;
    let (keyed, with_a_key) = connect_from(&switch, None).await;
    let merchant = Some(&switch.pki.merchant);
    let (certified, with_a_certificate) = connect_from(&switch, merchant).await;
    let (refused, with_a_wrong_key) = connect_from(&switch, None).await;

    let mut payments = with_key(keyed, &switch.api_key);
    for _ in 0..3 {
        payments.list_payments(list()).await.expect("a list");
    }
    let mut wrong = with_key(refused, "pk_0123456789abcdef.x");
    wrong.list_payments(list()).await.expect_err("a wrong key");
    let all_came = now();

    for (from, identity) in [
        (nobody, None),
        (with_a_key, Some(by_key)),
        (with_a_certificate, Some(by_certificate)),
        (with_a_wrong_key, None),
    ] {
        let record = recorded(&switch, from, "the connection's record", |record| {
            record.connection.identity == identity
        })
        .await;
        assert_eq!(record.node_id, switch.store().node_id());
        assert_eq!(record.disconnected_at, None, "{record:?}");
        assert_eq!(record.note, None);
        let came = record.connection.connected_at;
        assert!(began <= came && came <= all_came, "{record:?}");
    }
    let before_they_left = now();
    drop((channel, payments, certified, wrong));
    for from in [nobody, with_a_key, with_a_certificate, with_a_wrong_key] {
        let record = recorded(&switch, from, "that the client left", |record| {
            record.disconnected_at.is_some()
        })
        .await;
        let left = record.disconnected_at.expect("when it left");
        assert!(before_they_left <= left && left <= now(), "{record:?}");
        assert_eq!(record.note, None);
    }
    assert_eq!(switch.database.count("client_connections").await, 4);
}

async fn a_stopping_gateway_records_that_its_clients_left(engine: Engine) {
    let mut switch = Switch::start(engine).await;
    let (channel, from) = connect_from(&switch, None).await;
    let mut payments = with_key(channel.clone(), &switch.api_key);
    let list = || pb::ListPaymentsRequest::default();
    payments.list_payments(list()).await.expect("a list");
    recorded(&switch, from, "the connection's record", |_| true).await;
    switch.restart_gateway().await;
    // The client holds on to its end; the gateway has closed the other one.
    let record = recorded(&switch, from, "that the client left", |record| {
        record.disconnected_at.is_some()
    })
    .await;
    assert_ne!(record.node_id, switch.store().node_id());
    until("the client's own end closed", async || {
        let mut client = PaymentServiceClient::new(channel.clone());
        client.list_payments(list()).await.is_err()
    })
    .await;
}

#[test]
fn neither_an_old_tls_nor_a_strangers_certificate_gets_in() {
    run(async {
        let switch = Switch::start(Engine::Sqlite).await;
        assert!(shake_hands(&switch, None, &TLS12).await.is_err());
        let operator = "alice".parse().expect("a name");
        let other = DevelopmentPki::generate(&switch.merchant_id, &operator, now());
        let other = other.expect("another root").merchant;
        // In TLS 1.3 the client hears of it only after its own handshake is over.
        if let Ok(mut refused) = shake_hands(&switch, Some(&other), &TLS13).await {
            assert!(refused.read_u8().await.is_err());
        }
        assert_eq!(switch.database.count("client_connections").await, 0);
    });
}
