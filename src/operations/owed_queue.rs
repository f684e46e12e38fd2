//! What is owed to one host of one kind, as this process works on it: how fast messages leave, and which entries are in
//! hand.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use crate::hosts::Hosts;
use crate::hosts::message::definition::Repeats;
use crate::payment::ids::{HostId, OperationId};
use crate::payment::operation_kind::OperationKind;
use crate::random::{HashMap, HashSet};

use super::flow::FlowTable;

/// The most entries of a host that are worked on at once, those that wait for the store and for the window included.
pub(super) const IN_HAND: usize = 512;
/// After a pause messages may leave at once that would have left in this time.
const BURST: Duration = Duration::from_millis(100);

/// The operations of one kind that are owed to one host, as their sender sees them.
pub(super) struct OwedQueue {
    pub(super) host_id: HostId,
    pub(super) kind: OperationKind,
    pub(super) repeats: Repeats,
    pace: Mutex<Pace>,
    in_hand: Mutex<HashSet<OperationId>>,
    /// Told when an entry leaves the hand.
    pub(super) left: Notify,
    /// The messages that wait for the host's answer.
    pub(super) window: Semaphore,
}

impl OwedQueue {
    pub(super) fn new((host_id, kind): (HostId, OperationKind), repeats: Repeats) -> Self {
        Self {
            host_id,
            kind,
            repeats,
            pace: Mutex::new(Pace::new(repeats.per_second)),
            in_hand: Mutex::default(),
            left: Notify::new(),
            window: Semaphore::new(repeats.window),
        }
    }

    pub(super) fn in_hand(&self) -> MutexGuard<'_, HashSet<OperationId>> {
        // A panic elsewhere leaves a set that is still a set.
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_hand().len() <= IN_HAND / 2
    }

    /// Takes an entry in hand, unless it is, or too many are.
    pub(super) fn take(self: &Arc<Self>, operation_id: OperationId) -> Option<InHand> {
        let mut in_hand = self.in_hand();
        let is_taken = in_hand.len() < IN_HAND && in_hand.insert(operation_id);
        is_taken.then(|| InHand {
            queue: Arc::clone(self),
            operation_id,
        })
    }

    pub(super) fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is repeated to which host.
pub(super) type OwedQueues = HashMap<(HostId, OperationKind), Arc<OwedQueue>>;

/// The queue of each host and each kind of operation that is repeated to it, empty.
pub(super) fn owed_queues(hosts: &Hosts, flows: &FlowTable) -> OwedQueues {
    let of_host = |host_id| flows.owed_kinds().map(move |kind| (host_id, kind));
    let queue = |key: (HostId, OperationKind)| {
        let message = hosts.message(key.0, key.1)?;
        let queue = || Arc::new(OwedQueue::new(key, message.repeats));
        message.is_repeated().then(|| (key, queue()))
    };
    hosts.ids().flat_map(of_host).filter_map(queue).collect()
}

/// An entry is in hand for as long as this lives.
pub(super) struct InHand {
    pub(super) queue: Arc<OwedQueue>,
    operation_id: OperationId,
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.queue.in_hand().remove(&self.operation_id);
        self.queue.left.notify_one();
    }
}

/// When the next message may leave.
pub(super) struct Pace {
    every: Duration,
    next: Instant,
}

impl Pace {
    fn new(per_second: u32) -> Self {
        Self {
            every: Duration::from_secs(1) / per_second.max(1),
            next: Instant::now(),
        }
    }

    /// Gives the next turn: when it is.
    pub(super) fn turn(&mut self) -> Instant {
        let now = Instant::now();
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let at = self.next.max(earliest);
        self.next = at + self.every;
        at
    }

    /// Gives the next turn where it is now.
    pub(super) fn turn_now(&mut self) -> bool {
        let is_now = self.next <= Instant::now();
        if is_now {
            self.turn();
        }
        is_now
    }
}
