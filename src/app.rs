//! Config -> App -> run -> drain: the only place where the parts are put together.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::admin_api;
use crate::admin_api::records::{AuditOutcome, COMMAND_LINE};
use crate::card::envelope::Opener;
use crate::card::key_folder::KeyFolder;
use crate::card::keys::{SealingKeys, SealingKeysError};
use crate::card::master_key::{self, MasterKey, MasterKeyError, Purpose};
use crate::card::test_methods::TestPaymentMethods;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::config::admin_api::AdminApiConfig;
use crate::config::environment::Environment;
use crate::config::merchant_api::MerchantApiConfig;
use crate::flows::authorization::Authorization;
use crate::flows::reversal::Reversal;
use crate::grpc::server::{Bound, ServeError};
use crate::grpc::tls::{self, ClientCertificates, TlsError};
use crate::hosts::line::tls::KeyLoader;
use crate::hosts::profile::HostProfile;
use crate::hosts::profile::reading::ProfileError;
use crate::hosts::{Hosts, HostsError};
use crate::merchant_api;
use crate::merchant_api::rpc::perform::Performer;
use crate::merchant_api::server::Dependencies;
use crate::merchant_api::transport::api_key::{NewApiKey, Pepper};
use crate::net::Net;
use crate::operations::card_custody::{CardCustody, CardCustodyError};
use crate::operations::conclude::LONGEST;
use crate::operations::flow::FlowTable;
use crate::operations::machine::{Operations, OperationsParts};
use crate::payment::custody::CustodyTimes;
use crate::payment::ids::{AuditId, MerchantId, OperatorName};
use crate::payment::operation::OperationKind;
use crate::random::{NoEntropy, Random};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::numbers::Numbers;
use crate::store::records::{AuditRecord, OperatorRecord, OperatorRole};

/// Reports of the lines that wait to be recorded; more are logged and lost.
const NOTICES: usize = 4096;
/// STANs and RRNs that are reserved in one go.
const NUMBERS_AT_ONCE: u64 = 2_000;
/// How long a stopping gateway waits for the operations in progress: longer than any of them can take.
const DRAIN_WITHIN: Duration = LONGEST.saturating_add(Duration::from_secs(1));
/// How long it waits for the lines to sign off after that.
const SIGN_OFF_WITHIN: Duration = Duration::from_secs(5);
/// How long it tries to record what it remembers of payments whose outcome the store did not take.
const REMEMBERED_WITHIN: Duration = Duration::from_secs(5);
/// How long it waits until the last reports of the lines are recorded after that.
const NOTICES_WITHIN: Duration = Duration::from_secs(3);
/// Between two looks at whether the database answers.
const STORE_LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long it waits for the merchant API to close its connections after that.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);
/// How long the demo waits for the banks to be signed on.
const HOSTS_WITHIN: Duration = Duration::from_secs(10);

/// The gateway could not be started; nothing of it runs.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A key or certificate file.
    #[error("failed to read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The master key, or a key that it wraps.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The keys that cards are sealed to.
    #[error(transparent)]
    SealingKeys(#[from] SealingKeysError),
    /// The data keys of cards in custody.
    #[error(transparent)]
    CardCustody(#[from] CardCustodyError),
    /// A host profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The lines to the banks.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The merchant API's certificate or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The merchant API's listener.
    #[error("the merchant API can't be opened")]
    MerchantApi(#[source] ServeError),
    /// The operators' API's listener.
    #[error("the operators' API can't be opened")]
    AdminApi(#[source] ServeError),
    /// The operating system gave no randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

/// What is read from files, or made in memory by the demo and the tests.
pub struct Parts {
    /// What wraps everything secret at rest.
    pub master_key: Arc<MasterKey>,
    /// The keys that cards are sealed to.
    pub sealing_keys: SealingKeys,
    /// The bank hosts.
    pub profiles: Vec<HostProfile>,
    /// How the private keys to the bank hosts are read; without it they are plain files.
    pub host_key_loader: Option<Arc<KeyLoader>>,
    /// The merchant API's TLS.
    pub merchant_api_tls: rustls::ServerConfig,
    /// The operators' API's TLS, where there is such a door.
    pub admin_api_tls: Option<rustls::ServerConfig>,
}

impl Parts {
    /// Reads everything that the configuration names.
    ///
    /// # Errors
    /// When a file can't be read or holds something else; each says which file.
    pub fn from_config(config: &Config) -> Result<Self, StartError> {
        let master_key = Arc::new(MasterKey::load(
            config.card.master_key_file.as_deref(),
            &Random::SYSTEM,
        )?);
        tracing::info!(tier = %master_key.tier(), "The master key is loaded");
        let sealing_keys = SealingKeys::load_or_generate(
            &config.card.sealing_keys,
            config.card.rsa_sealing_key,
            &master_key,
        )?;
        let profiles = Hosts::load_profiles(&config.hosts.profiles, Path::new("."))?;
        let merchant_api_tls = merchant_api_tls(&config.merchant_api, &master_key)?;
        let admin_api = config.admin_api.as_ref();
        let admin_api_tls = admin_api
            .map(|admin_api| admin_api_tls(admin_api, &master_key))
            .transpose()?;
        let loader_key = Arc::clone(&master_key);
        let host_key_loader = Arc::new(move |path: &Path| {
            master_key::read_private_key_pem(path, &loader_key).map_err(io::Error::other)
        });
        Ok(Self {
            master_key,
            sealing_keys,
            profiles,
            host_key_loader: Some(host_key_loader),
            merchant_api_tls,
            admin_api_tls,
        })
    }
}

fn merchant_api_tls(
    config: &MerchantApiConfig,
    master_key: &MasterKey,
) -> Result<rustls::ServerConfig, StartError> {
    let certificate = read(&config.certificate)?;
    let private_key = master_key::read_private_key_pem(&config.private_key, master_key)?;
    let client_ca = config.client_ca.as_deref().map(read).transpose()?;
    let clients = client_ca
        .as_deref()
        .map_or(ClientCertificates::None, ClientCertificates::Optional);
    Ok(tls::server_config(&certificate, &private_key, clients)?)
}

fn admin_api_tls(
    config: &AdminApiConfig,
    master_key: &MasterKey,
) -> Result<rustls::ServerConfig, StartError> {
    let certificate = read(&config.certificate)?;
    let private_key = master_key::read_private_key_pem(&config.private_key, master_key)?;
    let client_ca = read(&config.client_ca)?;
    let clients = ClientCertificates::Mandatory(&client_ca);
    Ok(tls::server_config(&certificate, &private_key, clients)?)
}

fn read(path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|source| StartError::Unreadable {
        path: path.to_path_buf(),
        source,
    })
}

/// A gateway that runs.
pub struct Running {
    /// Where the merchant API listens.
    pub merchant_api: SocketAddr,
    /// Where the operators' API listens, where there is such a door.
    pub admin_api: Option<SocketAddr>,
    /// What it records in.
    pub store: Store,
    /// Its lines to the banks.
    pub hosts: Arc<Hosts>,
    operations: Arc<Operations>,
    ready: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    serving: Option<JoinHandle<Result<(), ServeError>>>,
    serving_operators: Option<JoinHandle<Result<(), ServeError>>>,
    keeping_notices: JoinHandle<()>,
    following_readiness: JoinHandle<()>,
}

/// Starts everything, in the order in which the parts need each other. The database must be migrated.
///
/// # Errors
/// When a part can't be started; what was started before it is stopped.
pub async fn start(config: &Config, parts: Parts) -> Result<Running, StartError> {
    let (net, random) = (Net::SYSTEM, Random::SYSTEM);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    // The port is taken before anything else is opened, so that a taken one leaves nothing behind.
    let listen = config.merchant_api.listen;
    let door = Bound::bind(&net, listen, parts.merchant_api_tls).await;
    let door = door.map_err(StartError::MerchantApi)?;
    let merchant_api = door.local_addr();
    let operators_door = match (&config.admin_api, parts.admin_api_tls) {
        (Some(config), Some(tls)) => {
            let door = Bound::bind(&net, config.listen, tls).await;
            Some(door.map_err(StartError::AdminApi)?)
        }
        _ => None,
    };
    let admin_api = operators_door.as_ref().map(Bound::local_addr);
    let store = Store::open(&config.store, Arc::clone(&clock), &random).await?;
    parts.sealing_keys.write_jwks(&config.card.jwks_path)?;
    let opener = Arc::new(Opener::watching(
        parts.sealing_keys,
        KeyFolder::new(
            config.card.sealing_keys.clone(),
            Arc::clone(&parts.master_key),
        ),
        &parts.master_key,
        &random,
    )?);
    let pepper = pepper(&parts.master_key)?;
    let (notices, noticed) = mpsc::channel(NOTICES);
    let hosts = Hosts::start(
        parts.profiles,
        parts.host_key_loader,
        net,
        Arc::clone(&clock),
        random.clone(),
        notices,
    )?;
    let hosts = Arc::new(hosts);
    let custody = CardCustody::open(
        store.clone(),
        &parts.master_key,
        Arc::clone(&clock),
        &random,
        CustodyTimes {
            late_days: config.card.late_days,
            refund_days: config.card.refund_days,
        },
        hosts.longest_hold_days(),
    );
    let custody = Arc::new(custody.await?);
    let authorization = Arc::new(Authorization {
        opener: Arc::clone(&opener),
        test_payment_methods: TestPaymentMethods::new(config.environment == Environment::Test),
        hosts: Arc::clone(&hosts),
    });
    let operations = Arc::new(Operations::new(OperationsParts {
        store: store.clone(),
        numbers: Numbers::new(store.clone(), NUMBERS_AT_ONCE),
        hosts: Arc::clone(&hosts),
        custody: Arc::clone(&custody),
        flows: FlowTable::default()
            .with(&authorization)
            .with_owed(OperationKind::Reversal, Arc::new(Reversal)),
        clock: Arc::clone(&clock),
        random: random.clone(),
        limit: config.merchant_api.concurrent_calls,
    }));
    if store.exclusive() {
        // Nobody else can have this database open, so whatever is unfinished was left by the dead.
        let resolved = operations.recover_all().await?;
        if resolved > 0 {
            tracing::warn!(
                resolved,
                "Payments that an earlier run left now owe a reversal"
            );
        }
    }
    let (stop, stopping) = watch::channel(false);
    let (ready, is_ready) = watch::channel(false);
    let dependencies = Dependencies {
        environment: config.environment,
        store: store.clone(),
        pepper,
        clock,
        random: random.clone(),
        authorizations: Performer {
            operations: Arc::clone(&operations),
            flow: authorization,
        },
        opener,
        connections: config.merchant_api.connections,
        concurrent_calls: config.merchant_api.concurrent_calls,
    };
    let serving_operators = operators_door.map(|door| {
        let dependencies = admin_api::server::Dependencies {
            store: store.clone(),
            lines: Arc::new(Arc::clone(&hosts)),
            custody: Arc::clone(&custody),
            operations: Arc::clone(&operations),
            clock: Arc::clone(&dependencies.clock),
            random: dependencies.random.clone(),
        };
        let stopped = wait_until(stopping.clone());
        tokio::spawn(admin_api::server::serve(
            door,
            dependencies,
            is_ready.clone(),
            stopped,
        ))
    });
    let stopped = wait_until(stopping.clone());
    let serving = tokio::spawn(merchant_api::server::serve(
        door,
        dependencies,
        is_ready,
        stopped,
    ));
    tokio::spawn(custody.look_after_keys_until(stopping.clone()));
    operations.send_owed();
    tokio::spawn(Arc::clone(&operations).recover_until(stopping));
    let keeping_notices = tokio::spawn(Arc::clone(&operations).keep_notices(noticed));
    let following_readiness = tokio::spawn(follow_readiness(
        Arc::clone(&hosts),
        store.clone(),
        ready.clone(),
    ));
    Ok(Running {
        merchant_api,
        admin_api,
        store,
        hosts,
        operations,
        ready,
        stop,
        serving: Some(serving),
        serving_operators,
        keeping_notices,
        following_readiness,
    })
}

async fn wait_until(mut set: watch::Receiver<bool>) {
    let _closed = set.wait_for(|set| *set).await;
}

/// The gateway is ready while every required host has a line that is signed on and the database
/// answers.
async fn follow_readiness(hosts: Arc<Hosts>, store: Store, ready: watch::Sender<bool>) {
    let mut status = hosts.watch();
    loop {
        let signed_on = status
            .borrow_and_update()
            .iter()
            .all(|host| !host.required || host.signed_on());
        let all = signed_on && store.healthy().await;
        ready.send_if_modified(|was| std::mem::replace(was, all) != all);
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(STORE_LOOK_EVERY) => {}
        }
    }
}

impl Running {
    /// Waits until the banks are signed on, or for a bounded time: payments to a bank that is not
    /// fail at once then, and the health service says so.
    pub async fn wait_for_hosts(&self) -> bool {
        let ready = self.hosts.ready(HOSTS_WITHIN).await;
        if !ready {
            tracing::warn!("A required bank is not signed on yet; the gateway is not ready");
        }
        ready
    }

    /// Waits until the merchant API ends by itself, which it does only when it is broken.
    pub async fn door_failed(&mut self) {
        let Some(serving) = &mut self.serving else {
            return std::future::pending().await;
        };
        let ended = serving.await;
        self.serving = None;
        tracing::error!(?ended, "The merchant API has ended by itself");
    }

    /// Drains: not ready, refuse new payments, finish those in progress, sign off, close. Whether all of
    /// that was done within its time.
    pub async fn stop(self) -> bool {
        // It must have ended before "not ready" is said, or it could take that back.
        self.following_readiness.abort();
        let _aborted = self.following_readiness.await;
        self.ready.send_replace(false);
        let drained = within(DRAIN_WITHIN, self.operations.drain())
            .await
            .is_some();
        let signed_off = self.hosts.drain(SIGN_OFF_WITHIN).await;
        self.stop.send_replace(true);
        let closed = match self.serving {
            Some(serving) => {
                matches!(within(CLOSE_WITHIN, serving).await, Some(Ok(Ok(()))))
            }
            None => false,
        };
        if let Some(serving) = self.serving_operators
            && !matches!(within(CLOSE_WITHIN, serving).await, Some(Ok(Ok(()))))
        {
            tracing::warn!("The operators' API did not close in time");
        }
        // The last late responses; the lines are the only ones that report, and they have ended.
        let mut keeping_notices = self.keeping_notices;
        let kept = within(NOTICES_WITHIN, &mut keeping_notices).await.is_some();
        keeping_notices.abort();
        // What is only remembered goes with this process.
        let recorded =
            within(REMEMBERED_WITHIN, self.operations.record_remembered()).await == Some(0);
        if !recorded {
            tracing::error!("Outcomes could not be recorded; their payments will owe a reversal");
        }
        self.store.close().await;
        tracing::info!(
            drained,
            signed_off,
            closed,
            kept,
            recorded,
            "The gateway has stopped"
        );
        drained && signed_off && closed && kept && recorded
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}

/// What API keys are hashed under.
fn pepper(master_key: &MasterKey) -> Result<Pepper, MasterKeyError> {
    Ok(Pepper::new(
        master_key.derive(Purpose::ApiKeyPepper)?.as_bytes(),
    ))
}

/// Why an API key could not be issued, or the first operator not be added.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system gave no randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

/// Makes an API key for a merchant. Its text is returned and kept nowhere.
///
/// # Errors
/// When the merchant is unknown, or the store or the master key can't be used.
pub async fn issue_api_key(
    store: &Store,
    master_key: &MasterKey,
    environment: Environment,
    merchant_id: &MerchantId,
    label: &str,
) -> Result<Zeroizing<String>, IssueError> {
    let key = NewApiKey::generate(&pepper(master_key)?, environment, &Random::SYSTEM)?;
    let record = key.record(*merchant_id, label, SystemClock.now());
    store.insert_api_key(&record).await?;
    Ok(key.text)
}

/// Adds the first operator, an approver, with its audit row.
///
/// # Errors
/// When there is an operator already, or the store can't be used.
pub async fn add_first_operator(
    store: &Store,
    name: &OperatorName,
    reason: &str,
) -> Result<(), IssueError> {
    let now = SystemClock.now();
    let operator = OperatorRecord {
        name: name.to_string(),
        role: OperatorRole::Approver,
        active: true,
        created_at: now,
        created_by: COMMAND_LINE.to_owned(),
    };
    let row = AuditRecord {
        id: AuditId::from_parts(now, Random::SYSTEM.bytes()?),
        at: now,
        operator: COMMAND_LINE.to_owned(),
        action: "first operator".to_owned(),
        target: format!("{name} as {}", operator.role.name()),
        reason: reason.to_owned(),
        // Two at once can't both have it.
        request_id: "first-operator".to_owned(),
        body_hash: [0; 32],
        outcome: Some(AuditOutcome::Done.to_string()),
        answer: Vec::new(),
    };
    Ok(store.insert_first_operator(&operator, &row).await?)
}
