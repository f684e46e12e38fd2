//! The requests of one line that may still be answered: match key -> waiter. Pure: no clock, no I/O.
//!
//! A request stays in the table after its waiter gave up, so that a late answer is known for what
//! it is, and an answered one stays for a while, so that a second answer is known as a duplicate.
//! Both memories are bounded, by number and, for the unanswered, by time.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::payment::reference::Stan;
use crate::random::HashMap;

use crate::hosts::message::match_key::{KeyFields, ReceivedKey, RequestKey};

/// How long an unanswered request is remembered after it was written.
pub(super) const UNANSWERED_MEMORY: Duration = Duration::from_secs(600);
/// The most unanswered requests that are remembered after their waiters gave up.
pub(super) const UNANSWERED_REMEMBERED: usize = 16_384;
/// The most answered requests that are remembered.
pub(super) const ANSWERED_REMEMBERED: usize = 8_192;

/// The sender that waits for an answer, as far as the table must know.
pub(super) trait Waiting {
    /// Whether it still waits. Once false, it stays false.
    fn is_waiting(&self) -> bool;
}

/// The result of looking up a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Match<W> {
    /// The first answer to a request. Whether it is late, the waiter knows.
    Found(W),
    /// A further answer to a request that was answered.
    Duplicate,
    /// A request is known under its STAN, but these parts of the key differ.
    Mismatch(KeyFields),
    /// No request is known under its STAN, or it has none.
    Unmatched,
}

/// A request whose STAN another one, still waited for, has. Nothing was changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StanInFlight<W>(pub(super) W);

#[derive(Debug)]
struct Entry<W> {
    /// Tells entries apart that have the same STAN, one after another.
    serial: u64,
    key: RequestKey,
    /// The waiter; `None` once answered.
    open: Option<W>,
}

/// The entries under one STAN. Nearly always there is one.
#[derive(Debug)]
struct Chain<W> {
    newest: Entry<W>,
    older: Vec<Entry<W>>,
}

impl<W> Chain<W> {
    fn entries(&mut self) -> impl Iterator<Item = &mut Entry<W>> {
        std::iter::once(&mut self.newest).chain(self.older.iter_mut().rev())
    }
}

/// The table of one line.
#[derive(Debug)]
pub(super) struct InFlight<W> {
    /// The most entries without an answer, waited for or not.
    unanswered_limit: usize,
    chains: HashMap<Stan, Chain<W>>,
    /// Unanswered entries in the order in which they were written. Entries that were answered
    /// since are skipped, and swept out when they are the most.
    unanswered: VecDeque<(Instant, Stan, u64)>,
    unanswered_count: usize,
    answered: VecDeque<(Stan, u64)>,
    next_serial: u64,
}

impl<W: Waiting> InFlight<W> {
    /// An empty table for at most `in_flight_limit` requests that are waited for at once.
    pub(super) fn new(in_flight_limit: usize) -> Self {
        Self {
            unanswered_limit: in_flight_limit.saturating_add(UNANSWERED_REMEMBERED),
            chains: HashMap::default(),
            unanswered: VecDeque::new(),
            unanswered_count: 0,
            answered: VecDeque::new(),
            next_serial: 0,
        }
    }

    /// Whether a request under this STAN is waited for, whose answer could be taken for that of `key`. A
    /// reversal may have the STAN of its original: their answers are of two classes.
    pub(super) fn is_waiting(&mut self, key: &RequestKey) -> bool {
        self.chains.get_mut(&key.stan).is_some_and(|chain| {
            chain.entries().any(|entry| {
                entry.key.response_mti == key.response_mti
                    && entry.open.as_ref().is_some_and(Waiting::is_waiting)
            })
        })
    }

    /// Enters a request that is about to be written.
    ///
    /// # Errors
    /// When another request under the same STAN is waited for: it is never overwritten.
    pub(super) fn insert(
        &mut self,
        key: RequestKey,
        waiter: W,
        now: Instant,
    ) -> Result<(), StanInFlight<W>> {
        if self.is_waiting(&key) {
            return Err(StanInFlight(waiter));
        }
        // A repeat takes the place of the message before it: an answer to either answers both.
        self.withdraw(&key);
        self.make_room();
        let serial = self.next_serial;
        self.next_serial += 1;
        let entry = Entry {
            serial,
            key,
            open: Some(waiter),
        };
        match self.chains.get_mut(&key.stan) {
            Some(chain) => {
                let before = std::mem::replace(&mut chain.newest, entry);
                chain.older.push(before);
            }
            None => {
                let chain = Chain {
                    newest: entry,
                    older: Vec::new(),
                };
                self.chains.insert(key.stan, chain);
            }
        }
        self.unanswered.push_back((now, key.stan, serial));
        self.unanswered_count += 1;
        Ok(())
    }

    /// Finds the request that a response answers. A request that is found is answered from then on.
    pub(super) fn answer(&mut self, received: &ReceivedKey) -> Match<W> {
        let Some(stan) = received.stan else {
            return Match::Unmatched;
        };
        let Some(chain) = self.chains.get_mut(&stan) else {
            return Match::Unmatched;
        };
        let mut nearest = None;
        let mut duplicate = false;
        let mut found = None;
        for entry in chain.entries() {
            let differing = entry.key.rule.differences(&entry.key, received);
            if !differing.is_empty() {
                nearest.get_or_insert(differing);
            } else if let Some(waiter) = entry.open.take() {
                found = Some((waiter, entry.serial));
                break;
            } else {
                duplicate = true;
            }
        }
        match (found, nearest) {
            (Some((waiter, serial)), _) => {
                self.remember_answered(stan, serial);
                Match::Found(waiter)
            }
            (None, _) if duplicate => Match::Duplicate,
            (None, Some(differing)) => Match::Mismatch(differing),
            (None, None) => Match::Unmatched,
        }
    }

    /// Takes back a request that is not to be answered under this key any more: certainly no byte of it was sent,
    /// or it is sent again.
    pub(super) fn withdraw(&mut self, key: &RequestKey) -> Option<W> {
        let entry = self
            .chains
            .get_mut(&key.stan)?
            .entries()
            .find(|entry| entry.key == *key && entry.open.is_some())?;
        let (waiter, serial) = (entry.open.take(), entry.serial);
        self.unanswered_count -= 1;
        self.forget(key.stan, serial);
        waiter
    }

    /// Shows every unanswered waiter, for a connection that was lost.
    pub(super) fn for_each_unanswered(&mut self, mut tell: impl FnMut(&mut W)) {
        for chain in self.chains.values_mut() {
            chain
                .entries()
                .filter_map(|entry| entry.open.as_mut())
                .for_each(&mut tell);
        }
    }

    /// Forgets unanswered requests that are older than [`UNANSWERED_MEMORY`].
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((written_at, stan, serial)) = self.unanswered.front().copied() {
            let expired = now.saturating_duration_since(written_at) >= UNANSWERED_MEMORY;
            let Some(waiting) = self.open_waiter(stan, serial).map(Waiting::is_waiting) else {
                self.unanswered.pop_front();
                continue;
            };
            if !expired || waiting {
                return;
            }
            self.unanswered.pop_front();
            self.forget(stan, serial);
            self.unanswered_count -= 1;
        }
    }

    /// How many entries there are, answered or not.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.chains
            .values()
            .map(|chain| 1 + chain.older.len())
            .sum()
    }

    fn open_waiter(&mut self, stan: Stan, serial: u64) -> Option<&W> {
        self.chains
            .get_mut(&stan)?
            .entries()
            .find(|entry| entry.serial == serial)?
            .open
            .as_ref()
    }

    fn remember_answered(&mut self, stan: Stan, serial: u64) {
        self.unanswered_count -= 1;
        self.answered.push_back((stan, serial));
        if self.answered.len() > ANSWERED_REMEMBERED
            && let Some((stan, serial)) = self.answered.pop_front()
        {
            self.forget(stan, serial);
        }
        // The entry's place in the order is stale now. When most places are, all of them go.
        const STALE_SLACK: usize = 1024;
        if self.unanswered.len() > 2 * self.unanswered_count + STALE_SLACK {
            let order = std::mem::take(&mut self.unanswered);
            self.unanswered = order
                .into_iter()
                .filter(|(_, stan, serial)| self.open_waiter(*stan, *serial).is_some())
                .collect();
        }
    }

    /// Forgets the oldest unanswered request whose sender gave up, when the table is full.
    fn make_room(&mut self) {
        if self.unanswered_count < self.unanswered_limit {
            return;
        }
        for index in 0..self.unanswered.len() {
            let Some((_, stan, serial)) = self.unanswered.get(index).copied() else {
                return;
            };
            if self
                .open_waiter(stan, serial)
                .is_some_and(|waiter| !waiter.is_waiting())
            {
                self.unanswered.remove(index);
                self.forget(stan, serial);
                self.unanswered_count -= 1;
                return;
            }
        }
    }

    fn forget(&mut self, stan: Stan, serial: u64) {
        let Some(chain) = self.chains.get_mut(&stan) else {
            return;
        };
        if chain.newest.serial != serial {
            chain.older.retain(|entry| entry.serial != serial);
        } else if let Some(before) = chain.older.pop() {
            chain.newest = before;
        } else {
            self.chains.remove(&stan);
        }
    }
}

#[cfg(test)]
mod tests;
