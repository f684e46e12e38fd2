//! The circuit of a host: while it is open, payments to the host fail at once, unsent. A bank that takes messages and
//! answers none would otherwise leave each of them unknown, with a reversal owed.
//!
//! It opens when a number of requests in a row were not answered in time, and no other was while they waited: a host that
//! answers some requests, however late, is not dead, and whose requests it does not answer must not cost the others theirs.
//! While it is open, echoes find out whether the host answers again ([`probation`](super::probation)). One that is answered
//! lets a few payments through, each of another merchant, so that none of them can keep the circuit open for all: the
//! first that is answered closes it, and it opens again where none of them is.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::payment::ids::{HostId, MerchantId};
use crate::payment::moment::UnixMillis;

/// When a circuit opens, and when it is closed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitRule {
    /// It opens when so many requests in a row were not answered, 1 to 10,000.
    pub unanswered: usize,
    /// How many payments are let through once an echo is answered, each of another merchant, 1 to 10,000.
    pub probation: usize,
}

/// Where a circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CircuitState {
    /// Payments are sent.
    Closed,
    /// Payments fail, unsent.
    Open,
    /// The host has answered an echo: a few payments are sent, the others fail, unsent.
    Probation,
}

/// The circuit of a host, as operators see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitView {
    /// Where it stands.
    pub state: CircuitState,
    /// Since when.
    pub since: UnixMillis,
}

/// The circuit of one host.
pub(super) struct Circuit {
    host_id: HostId,
    rule: CircuitRule,
    clock: Arc<dyn Clock>,
    count: Mutex<Count>,
    view: watch::Sender<CircuitView>,
}

#[derive(Debug, Default)]
struct Count {
    state: Counted,
    /// Grows with each change of the state: what was sent before one says nothing about the host after it.
    generation: u64,
    /// How often it was tried in vain since it opened: the next try waits the longer.
    failures: u32,
}

/// A state, and what is counted in it.
#[derive(Debug)]
enum Counted {
    /// How many requests in a row were not answered, and when one was.
    Closed {
        unanswered: usize,
        answered_at: Option<Instant>,
    },
    Open,
    /// Whose payments were sent, and how many of them have no end yet.
    Probation {
        of: BTreeSet<MerchantId>,
        under_way: usize,
    },
}

impl Counted {
    const fn answered(at: Instant) -> Self {
        Self::Closed {
            unanswered: 0,
            answered_at: Some(at),
        }
    }
}

impl Default for Counted {
    fn default() -> Self {
        Self::Closed {
            unanswered: 0,
            answered_at: None,
        }
    }
}

/// A request that may be sent. Dropped without an end, it counts as not sent.
pub(super) struct Admitted<'a> {
    circuit: &'a Circuit,
    generation: u64,
    merchant_id: MerchantId,
    at: Instant,
    is_sent: bool,
}

impl Circuit {
    /// A closed one.
    pub(super) fn new(host_id: HostId, rule: CircuitRule, clock: Arc<dyn Clock>) -> Self {
        let view = CircuitView {
            state: CircuitState::Closed,
            since: clock.now(),
        };
        Self {
            host_id,
            rule,
            clock,
            count: Mutex::default(),
            view: watch::Sender::new(view),
        }
    }

    /// Lets a request of a merchant through that would be sent at `now`; none when it must not be sent.
    pub(super) fn admit(&self, merchant_id: MerchantId, now: Instant) -> Option<Admitted<'_>> {
        let mut count = self.count();
        match &mut count.state {
            Counted::Closed { .. } => {}
            Counted::Probation { of, under_way } => {
                if of.len() >= self.rule.probation || !of.insert(merchant_id) {
                    return None;
                }
                *under_way += 1;
            }
            Counted::Open => return None,
        }
        Some(Admitted {
            circuit: self,
            generation: count.generation,
            merchant_id,
            at: now,
            is_sent: false,
        })
    }

    /// Where it stands.
    pub(super) fn view(&self) -> CircuitView {
        *self.view.borrow()
    }

    /// Waits until it stands so. Gives how often it was tried in vain since it opened.
    pub(super) async fn stands(&self, state: CircuitState) -> u32 {
        let mut view = self.view.subscribe();
        // The sender lives as long as this.
        let _ = view.wait_for(|view| view.state == state).await;
        self.count().failures
    }

    /// An echo was answered, or not: what that changes of a circuit that is open.
    pub(super) fn echoed(&self, is_answered: bool) {
        let mut count = self.count();
        let Counted::Open = count.state else {
            return;
        };
        if is_answered {
            let payments = self.rule.probation;
            tracing::info!(host.id = %self.host_id, payments, "The host has answered an echo: a few payments try it");
            let next = Counted::Probation {
                of: BTreeSet::new(),
                under_way: 0,
            };
            self.enter(&mut count, next);
        } else {
            count.failures = count.failures.saturating_add(1);
        }
    }

    /// A request was answered that nobody waited for any more.
    pub(super) fn answered_late(&self, now: Instant) {
        let mut count = self.count();
        if let Counted::Closed { .. } = count.state {
            count.state = Counted::answered(now);
        }
    }

    fn ended(&self, admitted: &Admitted<'_>, is_answered: bool, now: Instant) {
        let mut count = self.count();
        if count.generation != admitted.generation {
            return;
        }
        match (&mut count.state, is_answered) {
            (Counted::Open, _) => {}
            (Counted::Closed { .. }, true) => count.state = Counted::answered(now),
            (Counted::Closed { answered_at, .. }, false)
                if answered_at.is_some_and(|at| at >= admitted.at) => {}
            (Counted::Closed { unanswered, .. }, false) => {
                *unanswered += 1;
                if *unanswered >= self.rule.unanswered {
                    count.failures = 0;
                    self.open(&mut count);
                }
            }
            (Counted::Probation { under_way, .. }, false) if *under_way > 1 => *under_way -= 1,
            (Counted::Probation { .. }, false) => {
                count.failures = count.failures.saturating_add(1);
                self.open(&mut count);
            }
            (Counted::Probation { .. }, true) => {
                tracing::info!(host.id = %self.host_id, "The host answers again: its circuit is closed");
                self.enter(&mut count, Counted::default());
            }
        }
    }

    fn open(&self, count: &mut Count) {
        tracing::warn!(
            host.id = %self.host_id,
            "The host does not answer: its circuit is open, and payments to it fail at once, unsent"
        );
        self.enter(count, Counted::Open);
    }

    fn enter(&self, count: &mut Count, next: Counted) {
        self.view.send_replace(CircuitView {
            state: match &next {
                Counted::Closed { .. } => CircuitState::Closed,
                Counted::Open => CircuitState::Open,
                Counted::Probation { .. } => CircuitState::Probation,
            },
            since: self.clock.now(),
        });
        count.state = next;
        count.generation += 1;
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        // Nothing panics while it is held.
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admitted<'_> {
    /// The request was sent, and answered in time or not.
    pub(super) fn ended(mut self, is_answered: bool, now: Instant) {
        self.is_sent = true;
        self.circuit.ended(&self, is_answered, now);
    }
}

/// A request that was not sent makes room for another.
impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        let mut count = self.circuit.count();
        if self.is_sent || count.generation != self.generation {
            return;
        }
        if let Counted::Probation { of, under_way } = &mut count.state {
            of.remove(&self.merchant_id);
            *under_way -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
