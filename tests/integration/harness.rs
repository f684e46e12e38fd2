//! A gateway before simulated banks, in this process, with a folder and a database of its own.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use payswitch::app;
use payswitch::app::issue;
use payswitch::card::header::Algorithm;
use payswitch::card::keys::SealingKeys;
use payswitch::card::master_key::MasterKey;
use payswitch::card::seal::Recipient;
use payswitch::certs::{DevelopmentPki, Identity};
use payswitch::clock::{Clock as _, SystemClock};
use payswitch::commands::demo::banks::Banks;
use payswitch::commands::demo::folder::master_key_path;
use payswitch::commands::demo::stand::{Stand, StandOptions, start_gateway};
use payswitch::config::environment::Environment;
use payswitch::config::risk::LimitConfig;
use payswitch::grpc::client::{self, ClientCertificate};
use payswitch::merchant_api::client::ApiKey;
use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::authorize_payment_request::PaymentMethod;
use payswitch::merchant_api::pb::lookup_payment_request::Key;
use payswitch::merchant_api::pb::payment_service_client::PaymentServiceClient;
use payswitch::payment::ids::MerchantId;
use payswitch::payment::merchant::Merchant;
use payswitch::payment::moment::UnixMillis;
use payswitch::random::Random;
use payswitch::store::Store;
use tokio::time::Instant;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::database::{Database, Engine};
use crate::postgres::fresh_name;
pub(crate) use crate::postgres::unique;

/// No test takes longer, however busy the machine.
const TEST_WITHIN: Duration = Duration::from_secs(180);
/// What a test waits for happens sooner.
const EVENT_WITHIN: Duration = Duration::from_secs(40);
/// Between two looks at what is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The promise: every AuthorizePayment ends within this.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The payments of a merchant, by API key.
pub(crate) type Payments = PaymentServiceClient<InterceptedService<Channel, ApiKey>>;

/// Makes a test of each function, on SQLite and on PostgreSQL.
macro_rules! on_both_engines {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                crate::harness::run(super::$test(crate::database::Engine::Sqlite));
            })+
        }
        mod postgres {
            $(#[test]
            fn $test() {
                crate::harness::run(super::$test(crate::database::Engine::Postgres));
            })+
        }
    };
}
pub(crate) use on_both_engines;

/// Runs a test on a runtime of its own, for a bounded time. A measurement may take longer: its script says how long.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let limit = std::env::var("TEST_WITHIN_S").map_or(TEST_WITHIN, |seconds| {
        Duration::from_secs(seconds.parse().expect("a number of seconds"))
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let ended = runtime.block_on(async { tokio::time::timeout(limit, Box::pin(test)).await });
    runtime.shutdown_background();
    ended.unwrap_or_else(|_| panic!("the test did not end within {limit:?}"));
}

/// Looks until there is something to see, for a bounded time.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(EVENT_WITHIN, what, look).await
}

/// The same, for what is known to take its time.
pub(crate) async fn within<T>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let give_up_at = Instant::now() + limit;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(
            Instant::now() < give_up_at,
            "within {limit:?} there was never {what}"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The same for a condition.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    eventually(what, async || holds().await.then_some(())).await;
}

/// The time on the gateway's clock, which is the machine's.
pub(crate) fn now() -> UnixMillis {
    SystemClock.now()
}

/// A folder that goes with the test.
#[derive(Debug)]
pub(crate) struct TempFolder(PathBuf);

impl TempFolder {
    pub(crate) fn new(what: &str) -> Self {
        let path = std::env::temp_dir().join(fresh_name(what));
        std::fs::create_dir(&path).expect("a folder for the test");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        // What can't be removed is in the temporary folder, where it does no harm.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The master key and the sealing keys of every stand, by their paths in its folder: an RSA key takes seconds to make.
static KEYS: LazyLock<Vec<(PathBuf, Vec<u8>)>> = LazyLock::new(|| {
    let folder = TempFolder::new("keys");
    let data = folder.path().join("data");
    let keys = data.join("keys");
    std::fs::create_dir_all(&keys).expect("a folder for keys");
    let master_key_path = master_key_path(&data);
    let master_key = MasterKey::create_file(&master_key_path, &Random::SYSTEM);
    let master_key = master_key.expect("a master key");
    SealingKeys::load_or_generate(&keys, true, &master_key).expect("sealing keys");
    let made = std::fs::read_dir(keys).expect("the keys");
    let paths = made.map(|entry| entry.expect("a file").path());
    let paths = paths.chain([master_key_path]);
    let files = paths.map(|path| {
        let bytes = std::fs::read(&path).expect("a key");
        let path = path.strip_prefix(folder.path()).expect("a path in it");
        (path.to_owned(), bytes)
    });
    files.collect()
});

/// Puts the keys where a stand looks for its own.
fn put_keys(folder: &Path) {
    std::fs::create_dir_all(folder.join("data/keys")).expect("a folder for keys");
    for (path, bytes) in &*KEYS {
        write_private(&folder.join(path), bytes);
    }
}

/// Writes a new file that nobody else may read.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600);
    let mut file = file.open(path).expect("a new file");
    file.write_all(bytes).expect("a file is written");
}

/// The gateway, its banks, its merchant.
pub(crate) struct Switch {
    pub(crate) banks: Banks,
    pub(crate) pki: DevelopmentPki,
    pub(crate) merchant_id: MerchantId,
    pub(crate) api_key: String,
    pub(crate) jwks: String,
    gateway: Option<app::running::Running>,
    options: StandOptions,
    pub(crate) database: Database,
    _folder: TempFolder,
}

impl Switch {
    /// Starts everything, with an empty database.
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::start_with(engine, None).await
    }

    /// The same, where the gateway has another profile of the acquirer.
    pub(crate) async fn start_with(engine: Engine, acquirer_profile: Option<String>) -> Self {
        Self::start_limited(engine, acquirer_profile, Vec::new()).await
    }

    /// The same, with limits on how often something is tried.
    pub(crate) async fn start_limited(
        engine: Engine,
        acquirer_profile: Option<String>,
        limits: Vec<LimitConfig>,
    ) -> Self {
        Self::start_as(engine, |options| {
            options.acquirer_profile = acquirer_profile;
            options.limits = limits;
        })
        .await
    }

    /// The same, where the gateway has another host, `file-acquirer`, with lines of its own to the same bank.
    pub(crate) async fn start_with_two_hosts(engine: Engine) -> Self {
        Self::start_as(engine, |options| options.with_file_host = true).await
    }

    /// The same, with whatever `change` makes of its options.
    pub(crate) async fn start_as(engine: Engine, change: impl FnOnce(&mut StandOptions)) -> Self {
        let folder = TempFolder::new("switch");
        let database = Database::migrated(engine, folder.path()).await;
        put_keys(folder.path());
        let mut options = StandOptions {
            data: folder.path().join("data"),
            port: 0,
            admin_port: 0,
            database_url: Some(database.url()),
            codec_program: Some(env!("CARGO_BIN_EXE_payswitch").into()),
            acquirer_profile: None,
            with_file_host: false,
            corrections: Vec::new(),
            limits: Vec::new(),
        };
        change(&mut options);
        let stand = Stand::start(&options).await.expect("a stand starts");
        Self {
            jwks: std::fs::read_to_string(&stand.jwks_path).expect("the keys to seal to"),
            banks: stand.banks,
            pki: stand.pki,
            merchant_id: stand.merchant_id,
            api_key: stand.api_key.to_string(),
            gateway: Some(stand.gateway),
            options,
            database,
            _folder: folder,
        }
    }

    pub(crate) fn gateway(&self) -> &app::running::Running {
        self.gateway.as_ref().expect("the gateway runs")
    }

    /// Where keys and certificates are.
    pub(crate) fn data(&self) -> &Path {
        &self.options.data
    }

    pub(crate) fn store(&self) -> &Store {
        &self.gateway().store
    }

    /// Stops the gateway in order and starts it again; the banks go on, and so does the database.
    pub(crate) async fn restart_gateway(&mut self) {
        self.stop_gateway().await;
        self.start_gateway().await;
    }

    /// Starts the gateway that was stopped.
    pub(crate) async fn start_gateway(&mut self) {
        let gateway = self.another_gateway().await;
        self.gateway = Some(gateway);
    }

    pub(crate) async fn stop_gateway(&mut self) {
        let gateway = self.gateway.take().expect("the gateway runs");
        assert!(gateway.stop().await, "the gateway drains in time");
    }

    /// One more gateway on the same keys, banks and database.
    pub(crate) async fn another_gateway(&self) -> app::running::Running {
        start_gateway(&self.options, &self.banks, &self.pki)
            .await
            .expect("a gateway starts")
    }

    /// A connection to the gateway.
    pub(crate) async fn connect(&self, certificate: Option<&Identity>) -> Channel {
        self.connect_to(self.gateway(), certificate).await
    }

    pub(crate) async fn connect_to(
        &self,
        gateway: &app::running::Running,
        certificate: Option<&Identity>,
    ) -> Channel {
        let key = certificate.map(Identity::key_pem);
        let certificate =
            certificate
                .zip(key.as_ref())
                .map(|(certificate, key)| ClientCertificate {
                    chain: certificate.certificate_pem().as_bytes(),
                    key,
                });
        let ca = self.pki.gateway_root.certificate_pem().as_bytes();
        client::connect(gateway.merchant_api, "localhost", ca, certificate.as_ref())
            .await
            .expect("a connection to the merchant API")
    }

    /// The merchant's own client.
    pub(crate) async fn payments(&self) -> Payments {
        self.payments_of(&self.api_key).await
    }

    /// The client of whoever has this key.
    pub(crate) async fn payments_of(&self, api_key: &str) -> Payments {
        with_key(self.connect(None).await, api_key)
    }

    /// A further merchant and its key. `change` may make it unlike the others.
    pub(crate) async fn add_merchant(
        &self,
        id: &str,
        change: impl FnOnce(&mut Merchant),
    ) -> (MerchantId, String) {
        let mut merchant = self
            .store()
            .merchant(&self.merchant_id)
            .await
            .expect("the store can be read")
            .expect("the demo's merchant");
        merchant.id = id.parse().expect("a merchant id");
        change(&mut merchant);
        self.store()
            .insert_merchant(&merchant)
            .await
            .expect("a further merchant");
        let key = self.issue_key(&merchant.id).await;
        (merchant.id, key)
    }

    /// A further API key.
    pub(crate) async fn issue_key(&self, merchant_id: &MerchantId) -> String {
        let mut path = self.options.data.clone().into_os_string();
        path.push(".key");
        let master_key =
            MasterKey::read_file(Path::new(&path), &Random::SYSTEM).expect("the master key");
        issue::issue_api_key(
            self.store(),
            &master_key,
            Environment::Test,
            merchant_id,
            "test",
        )
        .await
        .expect("an API key")
        .to_string()
    }

    /// The gateway's key for an algorithm.
    pub(crate) fn recipient(&self, algorithm: Algorithm) -> Recipient {
        Recipient::from_jwks(&self.jwks, algorithm, &Random::SYSTEM).expect("a key to seal to")
    }

    /// How many requests to authorize the acquirer has received.
    pub(crate) fn at_acquirer(&self) -> u64 {
        let counters = self.banks.counters("acquirer").expect("the acquirer");
        counters.received("0100") + counters.received("0101") + counters.received("0200")
    }

    /// How many requests to authorize an issuer has received.
    pub(crate) fn at_issuer(&self, issuer: &str) -> u64 {
        let counters = self.banks.counters(issuer).expect("an issuer");
        counters.received("0100") + counters.received("0101") + counters.received("0200")
    }
}

/// A client with an API key.
pub(crate) fn with_key(channel: Channel, api_key: &str) -> Payments {
    let key = ApiKey::new(api_key).expect("an API key for a header");
    PaymentServiceClient::new(key.on(channel))
}

/// A request that pays with a token; its request id and its order are new.
pub(crate) fn pay_with(
    token: &str,
    amount_minor: i64,
    currency: &str,
) -> pb::AuthorizePaymentRequest {
    let number = unique();
    pb::AuthorizePaymentRequest {
        request_id: format!("request-{number}"),
        amount: Some(pb::Money {
            amount_minor,
            currency: currency.to_owned(),
        }),
        merchant_reference: format!("order-{number}"),
        payment_method: Some(PaymentMethod::PaymentMethodToken(token.to_owned())),
        ..Default::default()
    }
}

/// What a payment became, and how long the caller waited.
pub(crate) async fn timed(
    payments: &mut Payments,
    request: pb::AuthorizePaymentRequest,
) -> (pb::Payment, Duration) {
    let started = Instant::now();
    let payment = paid(payments.authorize_payment(request).await);
    (payment, started.elapsed())
}

/// Authorizes, and is answered with a payment.
pub(crate) async fn authorize(
    payments: &mut Payments,
    request: pb::AuthorizePaymentRequest,
) -> pb::Payment {
    paid(payments.authorize_payment(request).await)
}

/// The payment in an answer that is no error.
pub(crate) fn paid(answer: Result<Response<pb::AuthorizePaymentResponse>, Status>) -> pb::Payment {
    *answer
        .unwrap_or_else(|status| panic!("a payment, not {status:?}"))
        .into_inner()
        .payment
        .expect("an answer with a payment")
}

/// What was told stands. A payment that was pending may have gone on to its reversal since.
pub(crate) fn assert_stands(found: &pb::Payment, told: &pb::Payment) {
    if told.pending.is_none() {
        assert_eq!(found, told);
        return;
    }
    assert_eq!(found.payment_id, told.payment_id);
    assert_eq!(found.authorization, told.authorization);
    let reversal = [
        pb::PaymentState::Authorizing,
        pb::PaymentState::Reversing,
        pb::PaymentState::Reversed,
    ];
    assert!(reversal.contains(&found.state()), "{found:?}");
}

/// DE 39 as the payment has it; empty when no answer came.
pub(crate) fn response_code(payment: &pb::Payment) -> &str {
    let authorization = payment.authorization.as_ref().expect("it is routed");
    if let Some(decline) = &payment.decline {
        assert_eq!(decline.response_code, authorization.response_code);
        assert_eq!(authorization.approval_code, "");
    }
    &authorization.response_code
}

/// The payment of this order, if there is one.
pub(crate) async fn look_up(payments: &mut Payments, order: &str) -> Option<pb::Payment> {
    let request = pb::LookupPaymentRequest {
        key: Some(Key::MerchantReference(order.to_owned())),
        ..Default::default()
    };
    match payments.lookup_payment(request).await {
        Ok(found) => {
            let mut found = found.into_inner().payments;
            assert_eq!(found.len(), 1, "{found:?}");
            found.pop()
        }
        Err(status) => {
            assert_eq!(status.code(), Code::NotFound, "{status:?}");
            None
        }
    }
}
