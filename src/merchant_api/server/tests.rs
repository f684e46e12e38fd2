//! The whole door over a real socket, with doubles behind it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, async_trait};
use tonic_types::StatusExt as _;

use super::*;
use crate::authorization::{AuthorizeCommand, AuthorizeError, Authorized, Timings};
use crate::card::custody::MasterKey;
use crate::card::keys::SealingKeys;
use crate::clock::SystemClock;
use crate::merchant_api::auth::{DirectoryUnavailable, KnownApiKey, NewApiKey};
use crate::merchant_api::connection::{ConnectionEvent, ConnectionsNotRecorded};
use crate::merchant_api::from_proto::{PaymentKey, PaymentQuery};
use crate::merchant_api::payments::PaymentsUnavailable;
use crate::merchant_api::pb::authorize_payment_request::PaymentMethod;
use crate::merchant_api::pb::payment_service_client::PaymentServiceClient;
use crate::merchant_api::tls::server_config;
use crate::merchant_api::trailers::{BANK_US, OWN_US};
use crate::payment::decline::{Approval, ResponseCode};
use crate::payment::ids::{MerchantId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::record::{CardBrand, CardSummary, Payment};
use crate::payment::reference::SequenceNumber;
use crate::payment::state::PaymentState;

/// A root, and what it issued: PEM texts.
struct Pki {
    root: String,
    server: (String, String),
    client: (String, String),
}

fn pki() -> Pki {
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

fn merchant(id: &str) -> Arc<Merchant> {
    Arc::new(Merchant {
        id: id.parse().unwrap(),
        name: "Demo Shop".into(),
        city: "Berlin".into(),
        country: "DE".into(),
        country_numeric: 276,
        mcc: "5999".into(),
        terminal_id: "WEB00001".into(),
        acceptor_id: "DEMO00000000001".into(),
        acquirer: "acquirer".parse().unwrap(),
        active: true,
    })
}

/// Everything behind the door, in memory.
struct Behind {
    keys: BTreeMap<String, KnownApiKey>,
    payments: Mutex<Vec<Payment>>,
    events: Mutex<Vec<ConnectionEvent>>,
    /// Told when an authorization begins.
    begun: Notify,
    /// While it is taken, authorizations wait.
    hold: tokio::sync::Mutex<()>,
}

#[async_trait]
impl MerchantDirectory for Behind {
    async fn api_key(&self, id: &str) -> Result<Option<KnownApiKey>, DirectoryUnavailable> {
        Ok(self.keys.get(id).cloned())
    }

    async fn merchant(
        &self,
        id: &MerchantId,
    ) -> Result<Option<Arc<Merchant>>, DirectoryUnavailable> {
        let mut known = self.keys.values().map(|known| Arc::clone(&known.merchant));
        Ok(known.find(|merchant| merchant.id == *id))
    }
}

#[async_trait]
impl ConnectionLog for Behind {
    async fn record(&self, events: &[ConnectionEvent]) -> Result<(), ConnectionsNotRecorded> {
        self.events.lock().unwrap().extend_from_slice(events);
        Ok(())
    }
}

#[async_trait]
impl Payments for Behind {
    async fn authorize(&self, command: AuthorizeCommand) -> Result<Authorized, AuthorizeError> {
        self.begun.notify_one();
        let _held = self.hold.lock().await;
        let mut payments = self.payments.lock().unwrap();
        let now =
            UnixMillis::new(1_763_757_000_000).plus_ms(i64::try_from(payments.len()).unwrap());
        let business_date = BusinessDate::of(now);
        let number = SequenceNumber::new(u64::try_from(payments.len()).unwrap()).unwrap();
        let payment = Payment {
            id: PaymentId::from_parts(now, [1; 10]),
            merchant_id: command.merchant.id.clone(),
            merchant_reference: command.merchant_reference,
            customer_reference: command.customer_reference,
            description: command.description,
            terminal_id: command.merchant.terminal_id.clone(),
            amount: command.amount,
            authorized_minor: command.amount.amount_minor(),
            captured_minor: 0,
            refunded_minor: 0,
            disputed_minor: 0,
            state: PaymentState::Authorized {
                approval: Approval {
                    approval_code: "A1B2C3".into(),
                    response_code: ResponseCode::APPROVED,
                },
                expires_at: now.plus_ms(1000),
            },
            card: CardSummary {
                brand: CardBrand::Visa,
                bin: "424242".into(),
                last_four: "4242".into(),
            },
            host_id: "acquirer".parse().unwrap(),
            stan: number.stan(),
            rrn: number.rrn(business_date),
            business_date,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        payments.push(payment.clone());
        let timings = Timings {
            bank_us: 777,
            own_us: 0,
        };
        Ok(Authorized { payment, timings })
    }

    async fn find(
        &self,
        merchant_id: &MerchantId,
        id: PaymentId,
    ) -> Result<Option<Payment>, PaymentsUnavailable> {
        let payments = self.payments.lock().unwrap();
        let found = payments
            .iter()
            .find(|payment| payment.id == id && payment.merchant_id == *merchant_id);
        Ok(found.cloned())
    }

    async fn list(
        &self,
        merchant_id: &MerchantId,
        query: &PaymentQuery,
    ) -> Result<Vec<Payment>, PaymentsUnavailable> {
        let payments = self.payments.lock().unwrap();
        let newest_first = payments.iter().rev();
        let after = |payment: &&Payment| match query.after {
            Some((created_at, id)) => (payment.created_at, payment.id) < (created_at, id),
            None => true,
        };
        Ok(newest_first
            .filter(|payment| payment.merchant_id == *merchant_id)
            .filter(after)
            .take(query.limit)
            .cloned()
            .collect())
    }

    async fn look_up(
        &self,
        merchant_id: &MerchantId,
        key: &PaymentKey,
    ) -> Result<Vec<Payment>, PaymentsUnavailable> {
        let payments = self.payments.lock().unwrap();
        let matches = |payment: &&Payment| match key {
            PaymentKey::MerchantReference(reference) => payment.merchant_reference == *reference,
            PaymentKey::Rrn { rrn, .. } => payment.rrn == *rrn,
        };
        Ok(payments
            .iter()
            .filter(|payment| payment.merchant_id == *merchant_id)
            .filter(matches)
            .cloned()
            .collect())
    }
}

/// A running merchant API.
struct Door {
    address: SocketAddr,
    pki: Pki,
    shop_key: String,
    other_key: String,
    behind: Arc<Behind>,
    ready: watch::Sender<bool>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
}

async fn open(limits: Limits) -> Door {
    let pki = pki();
    let pepper = Pepper::new(&[7; 32]);
    let shop = NewApiKey::generate(&pepper).unwrap();
    let other = NewApiKey::generate(&pepper).unwrap();
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
    let tls = server_config(chain.as_bytes(), key.as_bytes(), Some(pki.root.as_bytes())).unwrap();
    let localhost = SocketAddr::from(([127, 0, 0, 1], 0));
    let api = MerchantApi::bind(localhost, tls, limits).await.unwrap();
    let address = api.local_addr();
    let master_key = MasterKey::from_base64(&STANDARD.encode([1; 32])).unwrap();
    let opener = Opener::new(SealingKeys::new([]), &master_key).unwrap();
    let foundations = Foundations {
        directory: behind.clone(),
        pepper,
        connection_log: behind.clone(),
        clock: Arc::new(SystemClock),
        payments: behind.clone(),
        opener: Arc::new(opener),
    };
    let (ready, is_ready) = watch::channel(true);
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(api.serve(foundations, is_ready, async {
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

const ROOMY: Limits = Limits {
    connections: 100,
    concurrent_calls: 100,
};

impl Door {
    async fn shake_hands(
        &self,
        client: Option<&(String, String)>,
        version: &'static SupportedProtocolVersion,
    ) -> io::Result<TlsStream<TcpStream>> {
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
        let tcp = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
    }

    /// A channel over one TLS connection. tonic's own connector speaks to a forwarder, which speaks
    /// TLS to the door.
    async fn connect(&self, client: Option<&(String, String)>) -> Channel {
        let mut tls = self.shake_hands(client, &TLS13).await.unwrap();
        let forwarder = TcpListener::bind("127.0.0.1:0").await.unwrap();
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

    async fn client(&self) -> PaymentServiceClient<Channel> {
        PaymentServiceClient::new(self.connect(None).await)
    }

    async fn stop(self) -> Arc<Behind> {
        self.stop.send(()).unwrap();
        self.served.await.unwrap().unwrap();
        self.behind
    }
}

fn with_key<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {key}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

fn authorize(reference: &str) -> pb::AuthorizePaymentRequest {
    pb::AuthorizePaymentRequest {
        request_id: reference.into(),
        amount: Some(pb::Money {
            amount_minor: 1250,
            currency: "EUR".into(),
        }),
        merchant_reference: reference.into(),
        payment_method: Some(PaymentMethod::PaymentMethodToken("pm_test_visa".into())),
        ..Default::default()
    }
}

fn reason(status: &tonic::Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[tokio::test]
async fn a_payment_goes_through_and_is_found_again_by_its_merchant_alone() {
    let door = open(ROOMY).await;
    let mut client = door.client().await;
    let answer = client
        .authorize_payment(with_key(&door.shop_key, authorize("order-1")))
        .await
        .unwrap();
    // tonic merges the trailers of a unary answer into its metadata.
    assert_eq!(answer.metadata().get(BANK_US.as_str()).unwrap(), "777");
    assert!(answer.metadata().contains_key(OWN_US.as_str()));
    let payment = answer.into_inner().payment.unwrap();
    assert_eq!(payment.state(), pb::PaymentState::Authorized);

    let get = |key: &str, payment_id: &str| {
        let payment_id = payment_id.to_owned();
        with_key(key, pb::GetPaymentRequest { payment_id })
    };
    let own = client
        .get_payment(get(&door.shop_key, &payment.payment_id))
        .await;
    assert_eq!(own.unwrap().into_inner().payment.unwrap(), payment);
    let missing = PaymentId::from_parts(UnixMillis::new(7), [7; 10]).to_string();
    let foreign = client
        .get_payment(get(&door.other_key, &payment.payment_id))
        .await;
    let missing = client.get_payment(get(&door.other_key, &missing)).await;
    let (foreign, missing) = (foreign.unwrap_err(), missing.unwrap_err());
    assert_eq!(
        (foreign.code(), reason(&foreign)),
        (Code::NotFound, "PAYMENT_NOT_FOUND".into())
    );
    assert_eq!(
        (foreign.message(), foreign.details()),
        (missing.message(), missing.details())
    );

    let look_up = |key: &str| {
        let found_by = pb::lookup_payment_request::Key::Rrn(payment.rrn.clone());
        let message = pb::LookupPaymentRequest {
            key: Some(found_by),
            business_date: String::new(),
        };
        with_key(key, message)
    };
    let own = client
        .lookup_payment(look_up(&door.shop_key))
        .await
        .unwrap();
    assert_eq!(own.into_inner().payments, [payment.clone()]);
    let foreign = client
        .lookup_payment(look_up(&door.other_key))
        .await
        .unwrap_err();
    assert_eq!(foreign.code(), Code::NotFound);
    drop(client);

    let behind = door.stop().await;
    let events = behind.events.lock().unwrap().clone();
    assert!(
        matches!(
            &*events,
            [
                ConnectionEvent::Opened { certificate_of: None, .. },
                ConnectionEvent::Identified { merchant_id, .. },
                ConnectionEvent::Closed { .. },
            ] if merchant_id.as_str() == "demo-shop"
        ),
        "{events:?}"
    );
}

#[tokio::test]
async fn nobody_gets_in_without_credentials_or_over_an_old_tls() {
    let door = open(ROOMY).await;
    assert!(door.shake_hands(None, &TLS12).await.is_err());
    let mut client = door.client().await;
    let missing = client
        .authorize_payment(authorize("order-1"))
        .await
        .unwrap_err();
    assert_eq!(
        (missing.code(), reason(&missing)),
        (Code::Unauthenticated, "CREDENTIALS_MISSING".into())
    );
    let wrong = with_key("pk_0000000000000000.AAAA", authorize("order-1"));
    let wrong = client.authorize_payment(wrong).await.unwrap_err();
    assert_eq!(
        (wrong.code(), reason(&wrong)),
        (Code::Unauthenticated, "API_KEY_REFUSED".into())
    );
    // A client certificate alone is enough.
    let channel = door.connect(Some(&door.pki.client)).await;
    let mut by_certificate = PaymentServiceClient::new(channel);
    assert!(
        by_certificate
            .authorize_payment(authorize("order-2"))
            .await
            .is_ok()
    );
    let disagree = with_key(&door.other_key, authorize("order-3"));
    let disagree = by_certificate
        .authorize_payment(disagree)
        .await
        .unwrap_err();
    assert_eq!(reason(&disagree), "CREDENTIALS_DISAGREE");
    // One from another root is not.
    let stranger = pki();
    // In TLS 1.3 the client hears of it only after its own handshake is over.
    if let Ok(mut refused) = door.shake_hands(Some(&stranger.client), &TLS13).await {
        assert!(refused.read_u8().await.is_err());
    }
    assert_eq!(door.behind.payments.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn lists_go_page_by_page() {
    let door = open(ROOMY).await;
    let mut client = door.client().await;
    for number in 0..5 {
        let request = with_key(&door.shop_key, authorize(&format!("order-{number}")));
        client.authorize_payment(request).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut page_token = String::new();
    for expected in [2, 2, 1] {
        let page = pb::ListPaymentsRequest {
            page_size: 2,
            page_token,
            ..Default::default()
        };
        let page = client.list_payments(with_key(&door.shop_key, page)).await;
        let page = page.unwrap().into_inner();
        assert_eq!(page.payments.len(), expected);
        seen.extend(
            page.payments
                .into_iter()
                .map(|payment| payment.merchant_reference),
        );
        page_token = page.next_page_token;
    }
    assert_eq!(page_token, "");
    assert_eq!(
        seen,
        ["order-4", "order-3", "order-2", "order-1", "order-0"]
    );
}

#[tokio::test]
async fn more_calls_than_there_is_room_for_are_shed() {
    let door = open(Limits {
        connections: 10,
        concurrent_calls: 1,
    })
    .await;
    let held = door.behind.hold.lock().await;
    let mut first = door.client().await;
    let request = with_key(&door.shop_key, authorize("order-1"));
    let first = tokio::spawn(async move { first.authorize_payment(request).await });
    let mut client = door.client().await;
    door.behind.begun.notified().await;
    let request = with_key(&door.shop_key, pb::ListPaymentsRequest::default());
    let shed = client.list_payments(request).await.unwrap_err();
    assert_eq!(
        (shed.code(), reason(&shed)),
        (Code::ResourceExhausted, "OVERLOADED".into())
    );
    assert!(shed.get_details_retry_info().is_some());
    drop(held);
    assert!(first.await.unwrap().is_ok());
}

#[tokio::test]
async fn large_requests_and_calls_that_are_not_built_are_refused() {
    let door = open(ROOMY).await;
    let mut client = door.client().await;
    let mut large = authorize("order-1");
    large.payment_method = Some(PaymentMethod::SealedCard("x".repeat(MAX_REQUEST_BYTES)));
    let large = client
        .authorize_payment(with_key(&door.shop_key, large))
        .await;
    assert_eq!(large.unwrap_err().code(), Code::OutOfRange);
    let capture = with_key(&door.shop_key, pb::CapturePaymentRequest::default());
    let capture = client.capture_payment(capture).await.unwrap_err();
    assert_eq!(capture.code(), Code::Unimplemented);
    assert!(
        capture.message().contains("CapturePayment"),
        "{}",
        capture.message()
    );
    let invalid = with_key(&door.shop_key, pb::AuthorizePaymentRequest::default());
    let invalid = client.authorize_payment(invalid).await.unwrap_err();
    assert_eq!(
        invalid
            .get_details_bad_request()
            .unwrap()
            .field_violations
            .len(),
        4
    );
}

#[tokio::test]
async fn health_follows_readiness_and_stopping_lets_calls_finish() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    let door = open(ROOMY).await;
    let mut health = HealthClient::new(door.connect(None).await);
    let service = PAYMENT_SERVICE.to_owned();
    let mut watched = health
        .watch(HealthCheckRequest { service })
        .await
        .unwrap()
        .into_inner();
    let serving = watched.message().await.unwrap().unwrap();
    assert_eq!(serving.status, ServingStatus::Serving as i32);
    door.ready.send(false).unwrap();
    let stopped = watched.message().await.unwrap().unwrap();
    assert_eq!(stopped.status, ServingStatus::NotServing as i32);
    drop((watched, health));

    let behind = Arc::clone(&door.behind);
    let held = behind.hold.lock().await;
    let mut client = door.client().await;
    let request = with_key(&door.shop_key, authorize("order-1"));
    let call = tokio::spawn(async move { client.authorize_payment(request).await });
    behind.begun.notified().await;
    let address = door.address;
    door.stop.send(()).unwrap();
    drop(held);
    assert!(
        call.await.unwrap().is_ok(),
        "a call that had begun was not answered"
    );
    door.served.await.unwrap().unwrap();
    assert!(
        TcpStream::connect(address).await.is_err(),
        "it still listens"
    );
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let door = open(ROOMY).await;
    let (chain, key) = &door.pki.server;
    let tls = server_config(chain.as_bytes(), key.as_bytes(), None).unwrap();
    let Err(taken) = MerchantApi::bind(door.address, tls, ROOMY).await else {
        panic!("two listeners on one port");
    };
    assert!(
        taken.to_string().contains(&door.address.to_string()),
        "{taken}"
    );
}
