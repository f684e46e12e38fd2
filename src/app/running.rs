//! A gateway that runs: whether it is ready, and how it stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::grpc::server::ServeError;
use crate::hosts::Hosts;
use crate::ledger_seals::sealer::LedgerSealer;
use crate::operations::conclude::LONGEST;
use crate::operations::machine::Operations;
use crate::reloading::Reloading;
use crate::risk::exchange::CountExchange;
use crate::store::Store;

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
    pub(super) operations: Arc<Operations>,
    pub(super) counts: Arc<CountExchange>,
    pub(super) sealer: Arc<LedgerSealer>,
    pub(super) reloading: Arc<Reloading>,
    pub(super) ready: watch::Sender<bool>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) serving: Option<JoinHandle<Result<(), ServeError>>>,
    pub(super) serving_operators: Option<JoinHandle<Result<(), ServeError>>>,
    pub(super) keeping_notices: JoinHandle<()>,
    pub(super) following_readiness: JoinHandle<()>,
}

/// The gateway is ready while every required host has a line that is signed on and the database
/// answers.
pub(super) async fn follow_readiness(hosts: Arc<Hosts>, store: Store, ready: watch::Sender<bool>) {
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
