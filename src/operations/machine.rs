//! What the machine is made of; its limits, and its drain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::clock::Clock;
use crate::hosts::Hosts;
use crate::metrics::Metrics;
use crate::payment::ids::{HostId, MerchantId, NodeId};
use crate::payment::merchant::Merchant;
use crate::random::Random;
use crate::risk::limits::Limits;
use crate::shares::{Place, Shares};
use crate::store::Store;
use crate::store::numbers::Numbers;

use super::card_custody::CardCustody;
use super::flow::FlowTable;
use super::in_progress::InProgress;
use super::node_liveness::NodeLiveness;
use super::owed_queue::{OwedQueues, owed_queues};

/// Everything that operations need, wired once.
pub struct Operations {
    pub(super) store: Store,
    pub(super) numbers: Numbers,
    pub(super) hosts: Arc<Hosts>,
    pub(super) custody: Arc<CardCustody>,
    pub(super) flows: FlowTable,
    pub(super) limits: Option<Arc<Limits>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Random,
    pub(super) node_id: NodeId,
    pub(super) node_liveness: NodeLiveness,
    pub(super) in_progress: InProgress,
    tasks: TaskTracker,
    places: Shares<MerchantId>,
    /// The same places by the bank that a merchant's operations go to.
    places_of_hosts: Shares<HostId>,
    draining: AtomicBool,
    pub(super) owed_queues: OwedQueues,
    /// Ends when the machine drains.
    pub(super) sending: CancellationToken,
}

/// What a machine is made of.
pub struct OperationsParts {
    /// The records.
    pub store: Store,
    /// STANs and RRNs.
    pub numbers: Numbers,
    /// The lines to the banks.
    pub hosts: Arc<Hosts>,
    /// Keeps cards for later messages.
    pub custody: Arc<CardCustody>,
    /// The flows.
    pub flows: FlowTable,
    /// How often a card, a merchant or an address may be tried; none where nothing is limited.
    pub limits: Option<Arc<Limits>>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Names payments and operations.
    pub random: Random,
    /// The most operations at once, of which each merchant and each bank has its share. A caller who gave up makes no
    /// room: its operation goes on.
    pub limit: usize,
    /// Where it is counted how often that was reached.
    pub metrics: Arc<Metrics>,
}

/// Why the machine takes no operation now. Nothing was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// It has as many as it may have.
    Full,
    /// It is stopping.
    Draining,
}

impl Operations {
    /// A machine of these parts.
    #[must_use]
    pub fn new(parts: OperationsParts) -> Self {
        let OperationsParts {
            store,
            numbers,
            hosts,
            custody,
            flows,
            limits,
            clock,
            random,
            limit,
            metrics,
        } = parts;
        let node_id = store.node_id();
        let owed_queues = owed_queues(&hosts, &flows);
        Self {
            store,
            numbers,
            hosts,
            custody,
            flows,
            limits,
            clock,
            random,
            node_id,
            node_liveness: NodeLiveness::new(node_id),
            in_progress: InProgress::default(),
            tasks: TaskTracker::new(),
            places: Shares::new(limit, metrics.bound("operations")),
            places_of_hosts: Shares::new(limit, metrics.bound("operations_of_host")),
            draining: AtomicBool::new(false),
            owed_queues,
            sending: CancellationToken::new(),
        }
    }

    /// Takes no new operations, sends nothing more that is owed, and waits until what is in progress is recorded.
    pub async fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.sending.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// As long as it lives, a drain waits.
    pub(super) fn token(&self) -> TaskTrackerToken {
        self.tasks.token()
    }

    /// The place of one operation of this merchant. Its bank has a share too, so that one that does not answer holds
    /// up the merchants of no other. A drain either refuses the operation or waits until its place
    /// is dropped.
    pub(super) fn place(&self, merchant: &Merchant) -> Result<OperationPlace, Closed> {
        let token = self.tasks.token();
        // The token and the flag may not be seen the other way round: `drain` has the same fence between
        // them.
        fence(Ordering::SeqCst);
        if self.draining.load(Ordering::Relaxed) {
            return Err(Closed::Draining);
        }
        let of_host = self.places_of_hosts.take(&merchant.acquirer);
        match (self.places.take(&merchant.id), of_host) {
            (Some(place), Some(of_host)) => Ok(OperationPlace {
                _share: place,
                _of_host: of_host,
                _token: token,
            }),
            _ => Err(Closed::Full),
        }
    }
}

/// What an operation holds until it has ended.
pub(super) struct OperationPlace {
    _share: Place<MerchantId>,
    _of_host: Place<HostId>,
    _token: TaskTrackerToken,
}
