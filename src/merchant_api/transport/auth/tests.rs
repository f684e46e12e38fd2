use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use http::HeaderValue;
use tokio::sync::Semaphore;
use tonic::async_trait;

use super::*;
use crate::clock::ManualClock;
use crate::grpc::connection::Recorder;
use crate::grpc::places::ConnectionPlace;
use crate::grpc::records::ConnectionLog;
use crate::grpc::testing::error_row;
use crate::merchant_api::testing::merchant;
use crate::merchant_api::transport::api_key::NewApiKey;
use crate::metrics::Metrics;
use crate::payment::ids::ConnectionId;
use crate::payment::moment::UnixMillis;
use crate::random::Random;
use crate::store::records::callers::ClientConnection;

/// Knows two merchants, each with a key, and counts how often it is asked.
struct Directory {
    keys: Vec<(String, KnownApiKey)>,
    asked: AtomicUsize,
    down: Mutex<bool>,
    /// While none is left, it does not answer.
    answers: Semaphore,
}

impl Directory {
    async fn answer<T>(&self, answer: Option<T>) -> Result<Option<T>, RecordsUnavailable> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let _ = self.answers.acquire().await.unwrap();
        if *self.down.lock().unwrap() {
            let reason = "disk on fire".to_owned();
            return Err(RecordsUnavailable { reason });
        }
        Ok(answer)
    }
}

#[async_trait]
impl MerchantDirectory for Directory {
    async fn api_key(&self, id: &str) -> Result<Option<KnownApiKey>, RecordsUnavailable> {
        let known = self.keys.iter().find(|(key, _)| key == id);
        self.answer(known.map(|(_, known)| known.clone())).await
    }

    async fn merchant(&self, id: &MerchantId) -> Result<Option<Arc<Merchant>>, RecordsUnavailable> {
        let known = self.keys.iter().find(|(_, known)| known.merchant.id == *id);
        self.answer(known.map(|(_, known)| Arc::clone(&known.merchant)))
            .await
    }
}

/// Notes whose a connection turned out to be.
#[derive(Default)]
struct Identities(Mutex<Vec<String>>);

impl ConnectionLog for Identities {
    fn opened(&self, _: ClientConnection) -> Result<(), RecordsUnavailable> {
        Ok(())
    }

    fn identified(&self, _: ConnectionId, identity: &str) -> Result<(), RecordsUnavailable> {
        self.0.lock().unwrap().push(identity.to_owned());
        Ok(())
    }

    fn closed(&self, _: ConnectionId, _: UnixMillis) -> Result<(), RecordsUnavailable> {
        Ok(())
    }
}

struct Setting {
    authenticator: Authenticator,
    directory: Arc<Directory>,
    shop: NewApiKey,
    other: NewApiKey,
}

fn new_key(pepper: u8, environment: Environment) -> NewApiKey {
    NewApiKey::generate(&Pepper::new(&[pepper; 32]), environment, &Random::SYSTEM).unwrap()
}

fn setting() -> Setting {
    let pepper = Pepper::new(&[7; 32]);
    let [shop, other] = [(); 2].map(|()| new_key(7, Environment::Test));
    let known = |key: &NewApiKey, id| {
        let digest = key.digest;
        let merchant = merchant(id);
        (key.id.clone(), KnownApiKey { digest, merchant })
    };
    let directory = Arc::new(Directory {
        keys: vec![known(&shop, "demo-shop"), known(&other, "other-shop")],
        asked: AtomicUsize::new(0),
        down: Mutex::new(false),
        answers: Semaphore::new(1),
    });
    Setting {
        authenticator: Authenticator::new(
            Directories {
                known: directory.clone(),
                unknown: directory.clone(),
            },
            pepper,
            Environment::Test,
            &Metrics::new([]),
        ),
        directory,
        shop,
        other,
    }
}

const PEER: &str = "192.0.2.7:50123";

fn connection(certificate: CertificateIdentity<MerchantId>) -> ConnectionHandle<MerchantId> {
    opened(PEER, certificate, Arc::default())
}

fn opened(
    peer: &str,
    certificate: CertificateIdentity<MerchantId>,
    log: Arc<Identities>,
) -> ConnectionHandle<MerchantId> {
    let now = UnixMillis::new(1);
    let recorder = Recorder::new(log, Arc::new(ManualClock::at(now)));
    let peer: SocketAddr = peer.parse().unwrap();
    let id = ConnectionId::from_parts(now, [1; 10]);
    recorder
        .open(id, peer, now, certificate, ConnectionPlace::alone())
        .unwrap()
}

fn bearer(key: &str) -> HeaderMap {
    header(&format!("Bearer {key}"))
}

fn header(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    headers
}

/// Who is let in now, or why not.
async fn let_in(
    setting: &Setting,
    headers: &HeaderMap,
    connection: &ConnectionHandle<MerchantId>,
) -> String {
    let authenticator = &setting.authenticator;
    name(
        authenticator
            .authenticate(headers, connection, Instant::now())
            .await,
    )
}

fn name(outcome: Result<Caller, Refused>) -> String {
    match outcome {
        Ok(caller) => caller.merchant.id.to_string(),
        Err(Refused::Unavailable(_)) => "unavailable".into(),
        Err(refused) => format!("{refused:?}"),
    }
}

#[tokio::test]
async fn a_key_lets_its_own_merchant_in() {
    let setting = setting();
    let Setting { shop, other, .. } = &setting;
    let swapped = format!("{}{}", shop.id, &other.text[other.id.len()..]);
    let mut last_changed = shop.text.clone();
    let last = last_changed.pop().unwrap();
    last_changed.push(if last == 'A' { 'B' } else { 'A' });
    let unknown = new_key(7, Environment::Test);
    let of_other_pepper = new_key(8, Environment::Test);
    let of_live = new_key(7, Environment::Live);
    let mut twice = bearer(&shop.text);
    twice.append(AUTHORIZATION, twice[AUTHORIZATION].clone());
    for (headers, expected) in [
        (bearer(&shop.text), "demo-shop"),
        (header(&format!("bearer {}", *shop.text)), "demo-shop"),
        (bearer(&other.text), "other-shop"),
        (HeaderMap::new(), "NoCredentials"),
        (bearer(&swapped), "BadKey"),
        (bearer(&last_changed), "BadKey"),
        (bearer(&unknown.text), "BadKey"),
        (bearer(&of_other_pepper.text), "BadKey"),
        (bearer(&shop.id), "BadKey"),
        (bearer(&of_live.text), "OtherEnvironment"),
        (bearer(""), "BadKey"),
        (bearer(&shop.text.to_uppercase()), "BadKey"),
        (bearer(&format!("{} ", "x".repeat(4000))), "BadKey"),
        (header(&shop.text), "BadKey"),
        (header(&format!("Basic {}", *shop.text)), "BadKey"),
        (twice, "BadKey"),
    ] {
        let connection = connection(CertificateIdentity::None);
        let found = let_in(&setting, &headers, &connection).await;
        assert_eq!(found, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn a_certificate_lets_its_merchant_in_and_must_agree_with_a_key() {
    let setting = setting();
    let of = |id: &str| CertificateIdentity::Named(id.parse().unwrap());
    let key = bearer(&setting.shop.text);
    for (certificate, headers, expected) in [
        (of("demo-shop"), HeaderMap::new(), "demo-shop"),
        (of("demo-shop"), key.clone(), "demo-shop"),
        (of("other-shop"), key.clone(), "Disagree"),
        (of("demo-shop"), bearer("pk_wrong"), "BadKey"),
        (of("unknown-shop"), HeaderMap::new(), "BadCertificate"),
        (
            CertificateIdentity::Unnamed,
            HeaderMap::new(),
            "BadCertificate",
        ),
        (CertificateIdentity::Unnamed, key.clone(), "BadCertificate"),
    ] {
        let connection = connection(certificate.clone());
        let found = let_in(&setting, &headers, &connection).await;
        assert_eq!(found, expected, "{certificate:?}");
    }
}

#[tokio::test]
async fn only_a_call_that_is_let_in_says_whose_a_connection_is() {
    let setting = setting();
    let key = bearer(&setting.shop.text);
    for (certificate, expected) in [
        (CertificateIdentity::Unnamed, vec![]),
        (
            CertificateIdentity::None,
            vec![format!("demo-shop by {}", setting.shop.id)],
        ),
    ] {
        let log = Arc::new(Identities::default());
        let connection = opened(PEER, certificate.clone(), Arc::clone(&log));
        for headers in [HeaderMap::new(), bearer("pk_wrong"), key.clone()] {
            let_in(&setting, &headers, &connection).await;
        }
        assert_eq!(*log.0.lock().unwrap(), expected, "{certificate:?}");
    }
}

#[tokio::test]
async fn the_directory_is_asked_once_and_what_it_can_t_answer_is_not_remembered() {
    let setting = setting();
    let connection = connection(CertificateIdentity::None);
    let call = async |headers: HeaderMap| let_in(&setting, &headers, &connection).await;
    let unknown = new_key(7, Environment::Test);
    *setting.directory.down.lock().unwrap() = true;
    assert_eq!(call(bearer(&setting.shop.text)).await, "unavailable");
    *setting.directory.down.lock().unwrap() = false;
    for _ in 0..3 {
        assert_eq!(call(bearer(&setting.shop.text)).await, "demo-shop");
        assert_eq!(call(bearer(&unknown.text)).await, "BadKey");
    }
    assert_eq!(setting.directory.asked.load(Ordering::SeqCst), 3);
}

/// Lets so many calls of one merchant, half by key and half by certificate, in at once.
async fn at_once(setting: &Setting, calls: usize, received_at: Instant) -> Vec<String> {
    let of_shop = CertificateIdentity::Named("demo-shop".parse().unwrap());
    let by_key = (
        bearer(&setting.shop.text),
        connection(CertificateIdentity::None),
    );
    let by_certificate = (HeaderMap::new(), connection(of_shop));
    let calls = (0..calls).map(|number| {
        let (headers, connection) = [&by_key, &by_certificate][number % 2];
        let authenticator = &setting.authenticator;
        async move {
            let outcome = authenticator.authenticate(headers, connection, received_at);
            name(outcome.await)
        }
    });
    join_all(calls).await
}

#[tokio::test]
async fn callers_that_are_not_known_keep_nobody_else_out() {
    let setting = setting();
    let anybody = connection(CertificateIdentity::None);
    // The shop is known.
    let shop = bearer(&setting.shop.text);
    assert_eq!(let_in(&setting, &shop, &anybody).await, "demo-shop");
    // More than the pool holds come from one address, while the store does not answer.
    let held = setting.directory.answers.acquire().await.unwrap();
    let made_up = |_| bearer(&new_key(7, Environment::Test).text);
    let keys: Vec<_> = (0..100).map(made_up).collect();
    let flood = keys.iter().map(|key| let_in(&setting, key, &anybody));
    let others = async {
        tokio::task::yield_now().await;
        // One who is known is not kept waiting, and asks nobody.
        let remembered = |headers, at| {
            let remembered = setting
                .authenticator
                .caller_in_memory(headers, &anybody, at);
            match remembered {
                Remembered::Now(judged) => name(judged),
                Remembered::Before => "before".to_owned(),
                Remembered::Nothing => "nothing".to_owned(),
            }
        };
        let now = Instant::now();
        assert_eq!(remembered(&shop, now), "demo-shop");
        // Later the store is asked again; until then a wrong secret is none that was let in.
        let later = now + Duration::from_secs(11);
        let (id, other) = (&setting.shop.id, &setting.other);
        let wrong = bearer(&format!("{id}{}", &other.text[other.id.len()..]));
        assert_eq!(remembered(&shop, later), "before");
        assert_eq!(remembered(&wrong, later), "nothing");
        assert_eq!(remembered(&wrong, now), "BadKey");
        // One from another address has its share.
        let other = bearer(&setting.other.text);
        let elsewhere = opened(
            "198.51.100.9:50123",
            CertificateIdentity::None,
            Arc::default(),
        );
        let release = async {
            tokio::task::yield_now().await;
            drop(held);
        };
        tokio::join!(let_in(&setting, &other, &elsewhere), release).0
    };
    let (flood, other) = tokio::join!(join_all(flood), others);
    let refused = |expected: &str| flood.iter().filter(|name| *name == expected).count();
    assert_eq!(refused("Overloaded"), 100 - UNIDENTIFIED_CALLS);
    assert_eq!(refused("BadKey"), UNIDENTIFIED_CALLS);
    assert_eq!(other, "other-shop");
    assert_eq!(setting.authenticator.unidentified.held(), 0);
}

#[tokio::test]
async fn a_directory_that_does_not_answer_is_waited_for_only_so_long() {
    let setting = setting();
    let held = setting.directory.answers.acquire().await.unwrap();
    // The calls arrived so long ago that no time is left for whom the directory keeps waiting.
    let too_long_ago = Instant::now() - AUTHENTICATE_WITHIN;
    let outcomes = at_once(&setting, 50, too_long_ago).await;
    assert_eq!(outcomes, vec!["unavailable"; 50]);
    drop(held);
    // What is remembered, or answered at once, takes no time.
    let outcomes = at_once(&setting, 50, too_long_ago).await;
    assert_eq!(outcomes, vec!["demo-shop"; 50]);
}

#[test]
fn every_refusal_has_its_status() {
    let reason = "disk on fire".to_owned();
    let unavailable = Refused::Unavailable(RecordsUnavailable { reason });
    for (refused, code, reason) in [
        (
            Refused::NoCredentials,
            "Unauthenticated",
            "CREDENTIALS_MISSING NOT_SENT",
        ),
        (
            Refused::BadKey,
            "Unauthenticated",
            "API_KEY_REFUSED NOT_SENT",
        ),
        (
            Refused::OtherEnvironment,
            "Unauthenticated",
            "API_KEY_REFUSED NOT_SENT",
        ),
        (
            Refused::BadCertificate,
            "Unauthenticated",
            "CLIENT_CERTIFICATE_REFUSED NOT_SENT",
        ),
        (
            Refused::Disagree,
            "Unauthenticated",
            "CREDENTIALS_DISAGREE NOT_SENT",
        ),
        (
            unavailable,
            "Unavailable",
            "STORE_UNAVAILABLE NOT_SENT retry 1000 ms",
        ),
    ] {
        let status = refused.status();
        assert_eq!(error_row(&status), format!("{code} {reason}"));
        assert!(!format!("{status:?}").contains("fire"), "{status:?}");
    }
}
