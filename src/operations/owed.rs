//! Sends what is owed to each host until the host acknowledges it: paced by kind of message, a bounded number at once,
//! and each entry at its own time, so that one that is stuck holds up no other.
//!
//! The queue is in the store, and is read in pages. An entry belongs to the node that its row names. A node sends its
//! own, and those of dead nodes: the step that records an attempt makes the sender the owner, and a version that has
//! moved on fences whoever had the entry before ([0020](../../docs/decisions/0020-an-owed-message-has-one-owner.md)).

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::payment::custody::CustodyEntry;
use crate::payment::ids::{HostId, MerchantId, NodeId, OperationId};
use crate::payment::merchant::Merchant;
use crate::payment::operation::SuspendReason;
use crate::random::HashSet;
use crate::store::error::StoreError;
use crate::store::reads::owed::{OwedCount, OwedEntry};
use crate::traces;

use super::call::BANK_WITHIN;
use super::machine::Operations;
use super::owed_queue::{IN_HAND, InHand, OwedQueue};

/// Between two looks for entries that are due, where nothing is.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Between two looks for entries of dead nodes.
const LOOK_FOR_DEAD_EVERY: Duration = Duration::from_secs(2);
/// The most dead nodes whose entries are taken in one go.
const DEAD_AT_ONCE: usize = 100;
/// The most merchants that are remembered between pages.
const MERCHANTS: usize = 1_000;
/// Between two lines of the log that say what is owed.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// What the sender of one host remembers between two pages.
struct Sender {
    queue: Arc<OwedQueue>,
    merchants: BTreeMap<MerchantId, Arc<Merchant>>,
    /// The nodes that owed the host something at the last look, and at the one before as well: a node that has just
    /// started may not be known to live yet.
    owing: Vec<NodeId>,
    owing_before: Vec<NodeId>,
    looked_for_dead: Option<Instant>,
}

impl Operations {
    /// Sends what is owed to every host, until the machine drains: each kind of operation of a host has a task of its
    /// own, paced as its message says. Another task says in the log what is owed.
    pub fn send_owed(self: &Arc<Self>) {
        for queue in self.owed_queues.values() {
            let sender = Sender {
                queue: Arc::clone(queue),
                merchants: BTreeMap::new(),
                owing: Vec::new(),
                owing_before: Vec::new(),
                looked_for_dead: None,
            };
            tokio::spawn(Arc::clone(self).send_owed_to_host(sender, self.token()));
        }
        tokio::spawn(Arc::clone(self).report_owed());
    }

    /// Sends what has just become owed without reading it again, where its turn is now. Else its sender finds it in the
    /// store.
    pub(super) fn send_at_once(
        self: &Arc<Self>,
        entry: OwedEntry,
        card: Option<CustodyEntry>,
        merchant: &Arc<Merchant>,
    ) {
        let key = (entry.operation.host_id, entry.operation.kind);
        let Some(queue) = self.owed_queues.get(&key) else {
            return;
        };
        if !queue.has_room() || !self.hosts.is_up(key.0) || !queue.pace().turn_now() {
            return;
        }
        if let Some(hand) = queue.take(entry.operation.id) {
            self.attempt_in_hand(hand, entry, card, Arc::clone(merchant));
        }
    }

    /// Begins to send an entry that is in hand.
    fn attempt_in_hand(
        self: &Arc<Self>,
        hand: InHand,
        entry: OwedEntry,
        card: Option<CustodyEntry>,
        merchant: Arc<Merchant>,
    ) {
        let (machine, until_drained) = (Arc::clone(self), self.token());
        let span = traces::attempt(&entry.operation);
        let attempt = async move {
            let window = &hand.queue.window;
            machine.attempt(entry, card, &merchant, window).await;
            drop((hand, until_drained));
        };
        tokio::spawn(attempt.instrument(span));
    }

    async fn send_owed_to_host<T>(self: Arc<Self>, mut sender: Sender, _until_drained: T) {
        let queue = Arc::clone(&sender.queue);
        while !self.sending.is_cancelled() {
            panics_alone(queue.host_id, self.send_page(&mut sender)).await;
        }
    }

    /// Sends a page of what is due, and waits until there is room for the next one.
    async fn send_page(self: &Arc<Self>, sender: &mut Sender) {
        let queue = Arc::clone(&sender.queue);
        let taken = if queue.has_room() && self.hosts.is_up(queue.host_id) {
            self.take_page(sender).await.unwrap_or_else(|error| {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(host.id = %queue.host_id, error, "What is owed can't be read");
                0
            })
        } else {
            0
        };
        let more = async {
            if taken == 0 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            while !queue.has_room() {
                queue.left.notified().await;
            }
        };
        tokio::select! {
            () = more => {}
            () = self.sending.cancelled() => {}
        }
    }

    /// Begins to send what is due, as many as there is room for. Returns how many entries were taken in hand.
    async fn take_page(self: &Arc<Self>, sender: &mut Sender) -> Result<usize, StoreError> {
        let Sender { queue, .. } = sender;
        let (host_id, kind) = (queue.host_id, queue.kind);
        let farthest = self.farthest(queue);
        let mut taken = 0;
        // An entry of a dead node is due when it would have been due there.
        let nodes = std::iter::once(self.node_id).chain(self.dead_nodes(sender).await?);
        for node_id in nodes {
            if !sender.queue.has_room() {
                break;
            }
            let now = self.clock.now();
            // Entries in hand may still be due in the store, and come first. A page shows them as they were,
            // also once they have left the hand.
            let in_hand = sender.queue.in_hand().clone();
            let due = self
                .store
                .due_owed((host_id, kind), node_id, now, farthest, IN_HAND);
            let due = due.await?;
            taken += self.take_in_hand(sender, due, &in_hand).await?;
        }
        Ok(taken)
    }

    /// No attempt is due later than so long from now, by a clock that is right.
    fn farthest(&self, queue: &OwedQueue) -> Duration {
        let original_gone = queue.repeats.original_gone.saturating_add(BANK_WITHIN);
        let wait = queue.repeats.longest.max(original_gone);
        wait.saturating_add(self.hosts.reply_timeout(queue.host_id))
    }

    /// The dead nodes that owe the host something.
    async fn dead_nodes(&self, sender: &mut Sender) -> Result<Vec<NodeId>, StoreError> {
        let now = Instant::now();
        let looked = sender.looked_for_dead;
        if looked.is_none_or(|at| now.duration_since(at) >= LOOK_FOR_DEAD_EVERY) {
            sender.looked_for_dead = Some(now);
            let queue = (sender.queue.host_id, sender.queue.kind);
            let owing = self.store.nodes_that_owe(queue, DEAD_AT_ONCE).await?;
            sender.owing_before = std::mem::replace(&mut sender.owing, owing);
        }
        // Nobody else can have the database of an exclusive store open.
        let exclusive = self.store.exclusive();
        let is_dead = |node_id: &&NodeId| {
            let has_owed = sender.owing_before.contains(node_id);
            **node_id != self.node_id
                && (exclusive || has_owed && self.node_liveness.is_dead(**node_id, now))
        };
        Ok(sender.owing.iter().filter(is_dead).copied().collect())
    }

    /// Works on entries, each in a task of its own, at the host's pace. `before` is what was in hand when they were
    /// read: it is left out. Returns on how many.
    async fn take_in_hand(
        self: &Arc<Self>,
        sender: &mut Sender,
        entries: Vec<OwedEntry>,
        before: &HashSet<OperationId>,
    ) -> Result<usize, StoreError> {
        let mut taken = 0;
        for entry in entries {
            let queue = &sender.queue;
            let operation_id = entry.operation.id;
            if before.contains(&operation_id) {
                continue;
            }
            let Some(hand) = queue.take(operation_id) else {
                continue;
            };
            let Some(merchant) = self.merchant_of(sender, &entry).await? else {
                self.suspend(entry, SuspendReason::NotBuildable, None).await;
                continue;
            };
            taken += 1;
            let turn = hand.queue.pace().turn();
            tokio::select! {
                () = tokio::time::sleep_until(turn) => {}
                () = self.sending.cancelled() => break,
            }
            if !self.hosts.is_up(sender.queue.host_id) {
                break;
            }
            self.attempt_in_hand(hand, entry, None, merchant);
        }
        Ok(taken)
    }

    async fn merchant_of(
        &self,
        sender: &mut Sender,
        entry: &OwedEntry,
    ) -> Result<Option<Arc<Merchant>>, StoreError> {
        let id = entry.payment.merchant_id;
        if let Some(merchant) = sender.merchants.get(&id) {
            return Ok(Some(Arc::clone(merchant)));
        }
        let Some(merchant) = self.store.merchant(&id).await? else {
            tracing::error!(payment.id = %entry.payment.id, merchant.id = %id, "The merchant of what is owed is not there");
            return Ok(None);
        };
        if sender.merchants.len() >= MERCHANTS {
            sender.merchants.clear();
        }
        let merchant = Arc::new(merchant);
        sender.merchants.insert(id, Arc::clone(&merchant));
        Ok(Some(merchant))
    }

    /// Says in the log what is owed, as long as anything is.
    async fn report_owed(self: Arc<Self>) {
        while !self.sending.is_cancelled() {
            match self.store.count_owed().await {
                Ok(counts) => self.log_owed(&counts),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "What is owed can't be counted");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(REPORT_EVERY) => {}
                () = self.sending.cancelled() => {}
            }
        }
    }

    fn log_owed(&self, counts: &[OwedCount]) {
        let now = self.clock.now().as_i64();
        for count in counts {
            let oldest_s = (now - count.oldest.as_i64()) / 1000;
            let (owed, suspended) = (count.owed, count.suspended);
            let kind = count.kind.name();
            if !self.owed_queues.contains_key(&(count.host_id, count.kind)) {
                tracing::error!(host.id = %count.host_id, kind, owed, suspended, oldest_s, "Messages are owed to a bank, and nobody sends them: the configuration has no such host, or its profile no such message");
            } else if suspended > 0 {
                tracing::warn!(host.id = %count.host_id, kind, owed, suspended, oldest_s, "Messages are owed to a bank, and an operator has to look at some");
            } else {
                tracing::info!(host.id = %count.host_id, kind, owed, suspended, oldest_s, "Messages are owed to a bank");
            }
        }
    }
}

/// A panic ends a page alone.
async fn panics_alone(host_id: HostId, page: impl Future<Output = ()>) {
    if AssertUnwindSafe(page).catch_unwind().await.is_err() {
        tracing::error!(host.id = %host_id, "The sender of what is owed panicked; it goes on");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests;
