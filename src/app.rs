//! Config -> App -> run -> drain: the only place where the parts are put together.
//!
//! - [`parts`]: keys, certificates and profiles from their files. [`issue`]: the first rows of an installation.
//! - [`flow_table`]: the flows. [`reload`]: what is read again while the gateway runs. [`rewrapping`]: what is wrapped under
//!   the master key. [`descriptors`]: how many file descriptors a gateway needs.

pub mod descriptors;
mod flow_table;
pub mod issue;
pub mod parts;
mod reload;
pub mod rewrapping;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use self::flow_table::flow_table;
use self::issue::{pepper, sealer};
use self::parts::{Parts, StartError, host_files, paying_account, statement_accounts};
use crate::admin_api;
use crate::card::envelope::Opener;
use crate::card::fingerprint::Fingerprints;
use crate::card::key_folder::KeyFolder;
use crate::card::test_methods::TestPaymentMethods;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::config::environment::Environment;
use crate::event_feed::EventFeed;
use crate::grpc::server::{Bound, ServeError};
use crate::hosts::Hosts;
use crate::ledger_seals::sealer::LedgerSealer;
use crate::merchant_api;
use crate::merchant_api::read::cursor::Cursors;
use crate::merchant_api::server::Dependencies;
use crate::metrics::Metrics;
use crate::net::Net;
use crate::operations::card_custody::CardCustody;
use crate::operations::conclude::LONGEST;
use crate::operations::machine::{Operations, OperationsParts};
use crate::operations::new_card::NewCards;
use crate::payment::custody::CustodyTimes;
use crate::random::Random;
use crate::reconciliation::discrepancies::Discrepancies;
use crate::reconciliation::report_imports::{ReportImports, ReportParts};
use crate::reconciliation::statement_imports::StatementImports;
use crate::reconciliation::statement_matching::Matching;
use crate::reloading::Reloading;
use crate::risk::exchange::CountExchange;
use crate::risk::limits::Limits;
use crate::settlement::agreement::Agreement;
use crate::settlement::charging::Charging;
use crate::settlement::clearing_answers::ClearingAnswers;
use crate::settlement::clearing_files::ClearingFiles;
use crate::settlement::days::BusinessDays;
use crate::settlement::funding::Funding;
use crate::settlement::merchant_terms::MerchantTerms;
use crate::settlement::payouts::{PayoutParts, Payouts};
use crate::store::Store;
use crate::store::numbers::Numbers;

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
/// How long it tells other nodes, and its next run, what it has counted last.
const COUNTS_WITHIN: Duration = Duration::from_secs(3);
/// How long it seals what came last.
const SEAL_WITHIN: Duration = Duration::from_secs(3);
/// Between two looks at whether the database answers.
const STORE_LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long it waits for the merchant API to close its connections after that.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);
/// How long the demo waits for the banks to be signed on.
const HOSTS_WITHIN: Duration = Duration::from_secs(10);

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
    counts: Arc<CountExchange>,
    sealer: Arc<LedgerSealer>,
    reloading: Arc<Reloading>,
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
    let methods = merchant_api::server::methods().map_err(StartError::MerchantApi)?;
    let metrics = Arc::new(Metrics::new(methods));
    let files = Arc::new(host_files(&parts.profiles)?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let debtor = paying_account(config)?;
    let accounts = statement_accounts(config, &parts.profiles)?;
    // The port is taken before anything else is opened, so that a taken one leaves nothing behind.
    let listen = config.merchant_api.listen;
    let door = Bound::bind(&net, listen, parts.merchant_api_tls.clone()).await;
    let door = door.map_err(StartError::MerchantApi)?;
    let merchant_api = door.local_addr();
    let operators_door = match (&config.admin_api, &parts.admin_api_tls) {
        (Some(config), Some(tls)) => {
            let door = Bound::bind(&net, config.listen, tls.clone()).await;
            Some(door.map_err(StartError::AdminApi)?)
        }
        _ => None,
    };
    let admin_api = operators_door.as_ref().map(Bound::local_addr);
    let store = Store::open(&config.store, Arc::clone(&clock), &random).await?;
    let sealer = Arc::new(sealer(config, &store, &parts.master_key, &clock)?);
    let refused = match sealer.older().await {
        Ok(older) => older.map(StartError::Older),
        Err(error) => Some(error.into()),
    };
    if let Some(error) = refused {
        store.close().await;
        return Err(error);
    }
    parts.sealing_keys.write_jwks(&config.card.jwks_path)?;
    let opener = Opener::watching(
        parts.sealing_keys,
        KeyFolder::new(
            config.card.sealing_keys.clone(),
            config.card.jwks_path.clone(),
            Arc::clone(&parts.master_key),
        ),
        &parts.master_key,
        &random,
    )?;
    let pepper = pepper(&parts.master_key)?;
    let identity = store.identity().await?;
    let opener = Arc::new(opener.restored_at(identity.restored_at));
    let cursors = Cursors::new(&parts.master_key, &identity)?;
    let events = Arc::new(EventFeed::new(store.clone()));
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
    let sources = Arc::new(reload::Sources {
        master_key: Arc::clone(&parts.master_key),
        merchant_api: parts.merchant_api_tls,
        admin_api: parts.admin_api_tls,
        hosts: Arc::clone(&hosts),
        opener: Arc::clone(&opener),
        clock: Arc::clone(&clock),
    });
    let reloading = Arc::new(Reloading::new(match parts.from_files {
        true => reload::parts(config, &sources),
        false => Vec::new(),
    }));
    reload::warn_of_ends(&reload::ends(&sources), clock.now());
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
    let cards = Arc::new(NewCards {
        opener: Arc::clone(&opener),
        test_payment_methods: TestPaymentMethods::new(config.environment == Environment::Test),
        hosts: Arc::clone(&hosts),
    });
    let fingerprints = Fingerprints::new(&parts.master_key)?;
    let limits = Arc::new(Limits::new(&config.risk, config.environment, fingerprints)?);
    let counts = CountExchange::new(Arc::clone(&limits), store.clone(), Arc::clone(&clock));
    let counts = Arc::new(counts);
    counts.catch_up().await?;
    let numbers = Numbers::new(store.clone(), NUMBERS_AT_ONCE);
    let operations = Arc::new(Operations::new(OperationsParts {
        store: store.clone(),
        numbers: numbers.clone(),
        hosts: Arc::clone(&hosts),
        custody: Arc::clone(&custody),
        flows: flow_table(),
        limits: Some(Arc::clone(&limits)),
        clock: Arc::clone(&clock),
        random: random.clone(),
        limit: config.merchant_api.concurrent_calls,
        metrics: Arc::clone(&metrics),
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
    let folder = config.settlement.folder(&config.store);
    let discrepancies = Arc::new(Discrepancies::new(
        store.clone(),
        Arc::clone(&clock),
        i64::from(config.reconciliation.alone_minor),
    ));
    let imports = Arc::new(ReportImports::new(ReportParts {
        store: store.clone(),
        hosts: Arc::clone(&hosts),
        files: Arc::clone(&files),
        clock: Arc::clone(&clock),
        random: random.clone(),
        folder: folder.clone(),
        operations: Arc::clone(&operations),
        discrepancies: Arc::clone(&discrepancies),
        corrections: config.reconciliation.corrections.clone(),
    }));
    let matching = Arc::new(Matching::new(store.clone(), Arc::clone(&clock)));
    let statements = Arc::new(StatementImports::new(
        store.clone(),
        accounts,
        Arc::clone(&matching),
        Arc::clone(&clock),
        random.clone(),
        folder.clone(),
    ));
    let answers = Arc::new(ClearingAnswers::new(
        store.clone(),
        Arc::clone(&hosts),
        Arc::clone(&files),
        Arc::clone(&clock),
    ));
    let clearing = ClearingFiles::new(
        store.clone(),
        Arc::clone(&files),
        Arc::clone(&clock),
        folder,
    );
    let days = Arc::new(BusinessDays::new(
        store.clone(),
        Arc::clone(&hosts),
        Arc::clone(&clock),
    ));
    let reporting = hosts.ids().filter(|host| files.report(*host).is_some());
    let charging = Charging::new(store.clone(), Arc::clone(&clock), reporting.collect());
    let charging = Arc::new(charging);
    let agreement = Arc::new(Agreement::new(
        store.clone(),
        Arc::clone(&hosts),
        numbers,
        Arc::clone(&clock),
    ));
    let funding = Funding::new(
        store.clone(),
        Arc::clone(&hosts),
        files,
        clearing,
        Arc::clone(&clock),
    );
    let account_hours = u64::from(config.settlement.account_change_hours);
    let terms = Arc::new(MerchantTerms::new(
        store.clone(),
        Arc::clone(&clock),
        random.clone(),
        Duration::from_hours(account_hours),
    ));
    let payouts = Arc::new(Payouts::new(PayoutParts {
        store: store.clone(),
        hosts: Arc::clone(&hosts),
        clock: Arc::clone(&clock),
        random: random.clone(),
        folder: config.settlement.folder(&config.store),
        debtor,
    }));
    let (stop, stopping) = watch::channel(false);
    let (ready, is_ready) = watch::channel(false);
    let dependencies = Dependencies {
        environment: config.environment,
        store: store.clone(),
        pepper,
        clock,
        random: random.clone(),
        operations: Arc::clone(&operations),
        cards,
        events: Arc::clone(&events),
        cursors: Arc::new(cursors),
        hosts: Arc::clone(&hosts),
        opener: Arc::clone(&opener),
        connections: config.merchant_api.connections,
        concurrent_calls: config.merchant_api.concurrent_calls,
        metrics: Arc::clone(&metrics),
    };
    let serving_operators = operators_door.map(|door| {
        let dependencies = admin_api::server::Dependencies {
            store: store.clone(),
            lines: Arc::new(Arc::clone(&hosts)),
            hosts: Arc::clone(&hosts),
            custody: Arc::clone(&custody),
            operations: Arc::clone(&operations),
            sealer: Arc::clone(&sealer),
            days: Arc::clone(&days),
            agreement: Arc::clone(&agreement),
            imports: Arc::clone(&imports),
            answers,
            discrepancies,
            statements,
            matching,
            terms,
            payouts: Arc::clone(&payouts),
            metrics,
            ends: Arc::new(move || reload::ends(&sources)),
            reloading: Arc::clone(&reloading),
            limits,
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
    tokio::spawn(opener.watch_keys_until(stopping.clone()));
    tokio::spawn(Arc::clone(&counts).exchange_until(stopping.clone()));
    tokio::spawn(Arc::clone(&sealer).seal_until(stopping.clone()));
    tokio::spawn(events.hand_on_until(stopping.clone()));
    tokio::spawn(days.look_until(stopping.clone()));
    tokio::spawn(charging.look_until(stopping.clone()));
    tokio::spawn(agreement.look_until(stopping.clone()));
    tokio::spawn(funding.look_until(stopping.clone()));
    tokio::spawn(imports.go_on());
    tokio::spawn(payouts.look_until(stopping.clone()));
    tokio::spawn(Arc::clone(&reloading).look_until(stopping.clone()));
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
        counts,
        sealer,
        reloading,
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

    /// What is read again while it runs.
    #[must_use]
    pub fn reloading(&self) -> Arc<Reloading> {
        Arc::clone(&self.reloading)
    }

    /// Whether the gateway is ready: every required bank is signed on, and the database answers and takes records.
    #[must_use]
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
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

    /// Drains: not ready, refuse new payments, finish those in progress, sign off, close, seal the ledger. Whether all
    /// of that was done within its time.
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
        let counted = within(COUNTS_WITHIN, self.counts.exchange()).await;
        if !matches!(counted, Some(Ok(()))) {
            tracing::warn!(?counted, "The counts of limits could not be written");
        }
        // What is not sealed is not missed when a backup is restored.
        let sealing = within(SEAL_WITHIN, Box::pin(self.sealer.seal())).await;
        let sealed = matches!(sealing, Some(Ok(())));
        if !sealed {
            tracing::error!(?sealing, "The ledger could not be sealed to its end");
        }
        self.store.close().await;
        tracing::info!(
            drained,
            signed_off,
            closed,
            kept,
            recorded,
            sealed,
            "The gateway has stopped"
        );
        drained && signed_off && closed && kept && recorded && sealed
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}

#[cfg(test)]
mod tests;
