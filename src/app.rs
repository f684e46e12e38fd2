//! Config -> App -> run -> drain: the only place where the parts are put together.
//!
//! - [`parts`]: keys, certificates and profiles from their files. [`issue`]: the first rows of an installation.
//! - [`flow_table`]: the flows. [`reload`]: what is read again while the gateway runs. [`rewrapping`]: what is wrapped under
//!   the master key. [`descriptors`]: how many file descriptors a gateway needs.
//! - [`running`]: a gateway that runs: whether it is ready, and how it stops.

pub mod descriptors;
mod flow_table;
pub mod issue;
pub mod parts;
mod reload;
pub mod rewrapping;
pub mod running;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use self::flow_table::flow_table;
use self::issue::{pepper, sealer};
use self::parts::{
    Parts, StartError, host_files, master_key_file, paying_account, statement_accounts,
};
use self::running::{Running, follow_readiness};
use crate::admin_api;
use crate::admin_api::sealing_keys::{SealingKeyBook, SealingKeyParts};
use crate::card::envelope::Opener;
use crate::card::fingerprint::Fingerprints;
use crate::card::key_folder::KeyFolder;
use crate::card::test_methods::TestPaymentMethods;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::config::environment::Environment;
use crate::event_feed::EventFeed;
use crate::grpc::server::Bound;
use crate::hosts::Hosts;
use crate::merchant_api;
use crate::merchant_api::read::cursor::Cursors;
use crate::merchant_api::server::Dependencies;
use crate::metrics::Metrics;
use crate::net::Net;
use crate::operations::card_custody::CardCustody;
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
use crate::settlement::settled_events::SettledEvents;
use crate::store::Store;
use crate::store::database::read_kinds::ReadKind;
use crate::store::numbers::Numbers;

/// Reports of the lines that wait to be recorded; more are logged and lost.
const NOTICES: usize = 4096;
/// STANs and RRNs that are reserved in one go.
const NUMBERS_AT_ONCE: u64 = 2_000;
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
    let sealing_keys = Arc::new(SealingKeyBook::new(SealingKeyParts {
        folder: config.card.sealing_keys.clone(),
        keeps_rsa: config.card.rsa_sealing_key,
        master_key: Arc::clone(&parts.master_key),
        master_key_file: master_key_file(config, &parts.master_key),
        opener: Arc::clone(&opener),
        store: store.clone(),
        clock: Arc::clone(&clock),
        random: random.clone(),
    }));
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
    // The work on settlement reads much, and waits for no payment.
    let lists = store.reading(ReadKind::Lists);
    let folder = config.settlement.folder(&config.store);
    let discrepancies = Arc::new(Discrepancies::new(
        lists.clone(),
        Arc::clone(&clock),
        i64::from(config.reconciliation.alone_minor),
    ));
    let imports = Arc::new(ReportImports::new(ReportParts {
        store: lists.clone(),
        hosts: Arc::clone(&hosts),
        files: Arc::clone(&files),
        clock: Arc::clone(&clock),
        random: random.clone(),
        folder: folder.clone(),
        operations: Arc::clone(&operations),
        discrepancies: Arc::clone(&discrepancies),
        corrections: config.reconciliation.corrections.clone(),
    }));
    let matching = Arc::new(Matching::new(lists.clone(), Arc::clone(&clock)));
    let statements = Arc::new(StatementImports::new(
        lists.clone(),
        accounts,
        Arc::clone(&matching),
        Arc::clone(&clock),
        random.clone(),
        folder.clone(),
    ));
    let answers = Arc::new(ClearingAnswers::new(
        lists.clone(),
        Arc::clone(&hosts),
        Arc::clone(&files),
        Arc::clone(&clock),
    ));
    let clearing = ClearingFiles::new(
        lists.clone(),
        Arc::clone(&files),
        Arc::clone(&clock),
        folder,
    );
    let days = Arc::new(BusinessDays::new(
        lists.clone(),
        Arc::clone(&hosts),
        Arc::clone(&clock),
    ));
    let reporting = hosts.ids().filter(|host| files.report(*host).is_some());
    let charging = Charging::new(lists.clone(), Arc::clone(&clock), reporting.collect());
    let charging = Arc::new(charging);
    let agreement = Arc::new(Agreement::new(
        lists.clone(),
        Arc::clone(&hosts),
        numbers,
        Arc::clone(&clock),
    ));
    let funding = Funding::new(
        lists.clone(),
        Arc::clone(&hosts),
        files,
        clearing,
        Arc::clone(&clock),
    );
    let notes = SettledEvents::new(store.clone(), Arc::clone(&clock));
    let account_hours = u64::from(config.settlement.account_change_hours);
    let terms = Arc::new(MerchantTerms::new(
        lists.clone(),
        Arc::clone(&clock),
        random.clone(),
        Duration::from_hours(account_hours),
    ));
    let payouts = Arc::new(Payouts::new(PayoutParts {
        store: lists.clone(),
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
            store: lists.clone(),
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
            counts: Arc::clone(&counts),
            sealing_keys: Arc::clone(&sealing_keys),
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
    tokio::spawn(sealing_keys.look_until(stopping.clone()));
    tokio::spawn(Arc::clone(&counts).exchange_until(stopping.clone()));
    tokio::spawn(Arc::clone(&sealer).seal_until(stopping.clone()));
    tokio::spawn(events.hand_on_until(stopping.clone()));
    tokio::spawn(days.look_until(stopping.clone()));
    tokio::spawn(charging.look_until(stopping.clone()));
    tokio::spawn(agreement.look_until(stopping.clone()));
    tokio::spawn(funding.look_until(stopping.clone()));
    tokio::spawn(notes.look_until(stopping.clone()));
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

#[cfg(test)]
mod tests;
