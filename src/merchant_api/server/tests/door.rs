//! A running merchant API with doubles behind it, and clients that speak real TLS to it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::crypto::aws_lc_rs;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::copy_bidirectional;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::async_trait;
use tonic::transport::{Channel, Endpoint};
use zeroize::Zeroizing;

use super::super::*;
use crate::card::custody::MasterKey;
use crate::card::keys::SealingKeys;
use crate::clock::SystemClock;
use crate::config::environment::Environment;
use crate::flows::authorization::{Authorization, Authorize, Refusal};
use crate::grpc::records::RecordsUnavailable;
use crate::grpc::tls::{ClientCertificates, server_config};
use crate::merchant_api::pb::payment_service_client::PaymentServiceClient;
use crate::merchant_api::records::KnownApiKey;
use crate::merchant_api::testing::{self, merchant};
use crate::merchant_api::transport::api_key::NewApiKey;
use crate::net::{Net, Stream};
use crate::operations::call::{Call, Concluded, OperationError};
use crate::payment::decline::{Approval, ResponseCode};
use crate::payment::ids::{ConnectionId, MerchantId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::{Rrn, SequenceNumber};
use crate::payment::samples;
use crate::payment::state::PaymentState;
use crate::random::Random;
use crate::store::records::{
    ClientConnection, KeptLateResponse, ListOrder, Page, PaymentCursor, PaymentFilter,
};

/// A root, and what it issued: PEM texts.
pub(super) struct Pki {
    pub(super) root: String,
    pub(super) server: (String, String),
    pub(super) client: (String, String),
}

pub(super) fn pki() -> Pki {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::default();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = rcgen::Issuer::new(root.clone(), &root_key);
    let issue = |name: SanType| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![name];
        let certificate = params.signed_by(&key, &issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    };
    Pki {
        server: issue(SanType::DnsName("localhost".try_into().unwrap())),
        client: issue(SanType::URI(
            "payswitch://merchant/demo-shop".try_into().unwrap(),
        )),
        root: root.self_signed(&root_key).unwrap().pem(),
    }
}

/// Everything behind the door, in memory.
pub(super) struct Behind {
    keys: BTreeMap<String, KnownApiKey>,
    pub(super) payments: Mutex<Vec<Payment>>,
    pub(super) events: Mutex<Vec<String>>,
    /// Told when an authorization begins.
    pub(super) begun: Notify,
    /// While it is taken, authorizations wait.
    pub(super) hold: tokio::sync::Mutex<()>,
}

#[async_trait]
impl MerchantDirectory for Behind {
    async fn api_key(&self, id: &str) -> Result<Option<KnownApiKey>, RecordsUnavailable> {
        Ok(self.keys.get(id).cloned())
    }

    async fn merchant(&self, id: &MerchantId) -> Result<Option<Arc<Merchant>>, RecordsUnavailable> {
        let mut known = self.keys.values().map(|known| Arc::clone(&known.merchant));
        Ok(known.find(|merchant| merchant.id == *id))
    }
}

impl ConnectionLog for Behind {
    fn opened(&self, connection: ClientConnection) -> Result<(), RecordsUnavailable> {
        let identity = connection.identity.as_deref().unwrap_or("somebody");
        let line = format!("{identity} came from {}", connection.peer_address);
        self.events.lock().unwrap().push(line);
        Ok(())
    }

    fn identified(&self, _: ConnectionId, identity: &str) -> Result<(), RecordsUnavailable> {
        self.events.lock().unwrap().push(identity.to_owned());
        Ok(())
    }

    fn closed(&self, _: ConnectionId, _: UnixMillis) -> Result<(), RecordsUnavailable> {
        self.events.lock().unwrap().push("left".to_owned());
        Ok(())
    }
}

#[async_trait]
impl Perform<Authorization> for Behind {
    async fn perform(
        &self,
        call: Call,
        command: Authorize,
    ) -> Result<Concluded, OperationError<Refusal>> {
        self.begun.notify_one();
        let _held = self.hold.lock().await;
        let mut payments = self.payments.lock().unwrap();
        let now =
            UnixMillis::new(1_763_757_000_000).plus_ms(i64::try_from(payments.len()).unwrap());
        let number = SequenceNumber::new(u64::try_from(payments.len()).unwrap()).unwrap();
        let state = PaymentState::Authorized {
            approval: Approval {
                approval_code: "A1B2C3".into(),
                response_code: ResponseCode::APPROVED,
            },
            expires_at: now.plus_ms(1000),
        };
        let mut payment = testing::payment(state);
        payment.id = PaymentId::from_parts(now, [1; 10]);
        payment.merchant_id = call.merchant.id;
        payment.merchant_reference = command.merchant_reference;
        payment.amount = command.amount;
        payment.authorization.rrn = number.rrn(NumberDate::of(now));
        payment.created_at = now;
        payments.push(payment.clone());
        Ok(Concluded {
            operation: Box::new(samples::operation()),
            payment: Box::new(payment),
            bank_us: 777,
        })
    }
}

#[async_trait]
impl PaymentRecords for Behind {
    async fn find(
        &self,
        merchant_id: &MerchantId,
        id: PaymentId,
    ) -> Result<Option<Payment>, RecordsUnavailable> {
        let payments = self.payments.lock().unwrap();
        let found = payments
            .iter()
            .find(|payment| payment.id == id && payment.merchant_id == *merchant_id);
        Ok(found.cloned())
    }

    async fn list(
        &self,
        merchant_id: &MerchantId,
        _: &PaymentFilter,
        _: ListOrder,
        page_size: usize,
        after: Option<PaymentCursor>,
    ) -> Result<Page<Payment>, RecordsUnavailable> {
        let payments = self.payments.lock().unwrap();
        let cursor = |payment: &Payment| PaymentCursor {
            created_at: payment.created_at,
            id: payment.id,
        };
        let mut left = payments
            .iter()
            .rev()
            .filter(|payment| payment.merchant_id == *merchant_id)
            .skip_while(|payment| after.is_some_and(|after| payment.id >= after.id));
        let items: Vec<Payment> = left.by_ref().take(page_size).cloned().collect();
        let next = left.next().and(items.last()).map(cursor);
        Ok(Page { items, next })
    }

    async fn by_merchant_reference(
        &self,
        _: &MerchantId,
        _: &str,
    ) -> Result<Vec<Payment>, RecordsUnavailable> {
        Ok(Vec::new())
    }

    async fn by_request_id(
        &self,
        _: &MerchantId,
        _: &str,
    ) -> Result<Option<Payment>, RecordsUnavailable> {
        Ok(None)
    }

    async fn operations(
        &self,
        _: &MerchantId,
        _: PaymentId,
    ) -> Result<Option<Vec<(Operation, Option<KeptLateResponse>)>>, RecordsUnavailable> {
        Ok(None)
    }

    async fn by_rrn(
        &self,
        merchant_id: &MerchantId,
        rrn: Rrn,
    ) -> Result<Vec<Payment>, RecordsUnavailable> {
        let payments = self.payments.lock().unwrap();
        let found = payments.iter().filter(|payment| {
            payment.merchant_id == *merchant_id && payment.authorization.rrn == rrn
        });
        Ok(found.cloned().collect())
    }
}

/// A running merchant API.
pub(super) struct Door {
    pub(super) address: SocketAddr,
    pub(super) pki: Pki,
    pub(super) shop_key: Zeroizing<String>,
    pub(super) other_key: Zeroizing<String>,
    pub(super) behind: Arc<Behind>,
    pub(super) ready: watch::Sender<bool>,
    pub(super) stop: oneshot::Sender<()>,
    pub(super) served: JoinHandle<Result<(), ServeError>>,
}

pub(super) async fn open(limits: Limits) -> Door {
    let pki = pki();
    let pepper = Pepper::new(&[7; 32]);
    let shop = NewApiKey::generate(&pepper, Environment::Test, &Random::SYSTEM).unwrap();
    let other = NewApiKey::generate(&pepper, Environment::Test, &Random::SYSTEM).unwrap();
    let known = |key: &NewApiKey, id| {
        let (digest, merchant) = (key.digest, merchant(id));
        (key.id.clone(), KnownApiKey { digest, merchant })
    };
    let behind = Arc::new(Behind {
        keys: BTreeMap::from([known(&shop, "demo-shop"), known(&other, "other-shop")]),
        payments: Mutex::default(),
        events: Mutex::default(),
        begun: Notify::new(),
        hold: tokio::sync::Mutex::default(),
    });
    let (chain, key) = &pki.server;
    let clients = ClientCertificates::Optional(pki.root.as_bytes());
    let tls = server_config(chain.as_bytes(), key.as_bytes(), clients).unwrap();
    let localhost = SocketAddr::from(([127, 0, 0, 1], 0));
    let api = MerchantApi::bind(&Net::SYSTEM, localhost, tls, limits)
        .await
        .unwrap();
    let address = api.local_addr();
    let master_key = MasterKey::from_base64(&STANDARD.encode([1; 32]), &Random::SYSTEM).unwrap();
    let opener = Opener::new(SealingKeys::new([]), &master_key, &Random::SYSTEM).unwrap();
    let dependencies = Dependencies {
        environment: Environment::Test,
        directory: behind.clone(),
        pepper,
        connection_log: behind.clone(),
        clock: Arc::new(SystemClock),
        random: Random::SYSTEM,
        authorizations: behind.clone(),
        records: behind.clone(),
        opener: Arc::new(opener),
    };
    let (ready, is_ready) = watch::channel(true);
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(api.serve(dependencies, is_ready, async {
        let _ = stopped.await;
    }));
    Door {
        address,
        pki,
        shop_key: shop.text,
        other_key: other.text,
        behind,
        ready,
        stop,
        served,
    }
}

pub(super) const ROOMY: Limits = Limits {
    connections: 100,
    concurrent_calls: 100,
};

impl Door {
    pub(super) async fn shake_hands(
        &self,
        client: Option<&(String, String)>,
        version: &'static SupportedProtocolVersion,
    ) -> io::Result<TlsStream<Stream>> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.pki.root.as_bytes()).unwrap())
            .unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match client {
            None => config.with_no_client_auth(),
            Some((chain, key)) => config
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let tcp = Net::SYSTEM.connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
    }

    /// A channel over one TLS connection. tonic's own connector speaks to a forwarder, which speaks
    /// TLS to the door.
    pub(super) async fn connect(&self, client: Option<&(String, String)>) -> Channel {
        let mut tls = self.shake_hands(client, &TLS13).await.unwrap();
        let forwarder = Net::SYSTEM
            .listen("127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let address = forwarder.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut plain, _) = forwarder.accept().await.unwrap();
            // Either side may end it.
            let _ = copy_bidirectional(&mut plain, &mut tls).await;
        });
        Endpoint::from_shared(format!("http://{address}"))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    pub(super) async fn client(&self) -> PaymentServiceClient<Channel> {
        PaymentServiceClient::new(self.connect(None).await)
    }

    pub(super) async fn stop(self) -> Arc<Behind> {
        self.stop.send(()).unwrap();
        self.served.await.unwrap().unwrap();
        self.behind
    }
}
