//! Requests that an issuer has not answered yet.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use iso8583::{Mti, mti::Class};
use tokio::{sync::mpsc, time::Instant};

use crate::message::BankMessage;

/// The most requests that may wait on one link; further ones are answered with 91.
pub(crate) const MAX_IN_FLIGHT: usize = 65_536;

/// What an answer is matched on: the MTI it must have, and DE 11. DE 37 and DE 41 are compared then.
pub(crate) type MatchKey = (Mti, [u8; 6]);

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// The request as the switch sent it.
    pub(crate) request: BankMessage,
    /// The connection it came on.
    pub(crate) replies: mpsc::Sender<BankMessage>,
    ticket: u64,
}

/// The requests that wait on one link. All have the same time-out, so they expire in order.
#[derive(Debug)]
pub(crate) struct InFlight {
    timeout: Duration,
    waiting: HashMap<MatchKey, Waiting>,
    deadlines: VecDeque<(Instant, MatchKey, u64)>,
    tickets: u64,
}

/// Why an answer matches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoMatch {
    /// No request with its MTI and STAN waits: it is late, a duplicate, or a stranger.
    NobodyWaits,
    /// One waits, with another RRN or terminal; it goes on waiting.
    OtherPayment,
    /// It has no STAN.
    NoStan,
}

impl InFlight {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            waiting: HashMap::new(),
            deadlines: VecDeque::new(),
            tickets: 0,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.deadlines.len() >= MAX_IN_FLIGHT
    }

    /// Notes a request; a repeat of one that waits takes its place.
    pub(crate) fn insert(
        &mut self,
        key: MatchKey,
        request: BankMessage,
        replies: mpsc::Sender<BankMessage>,
        now: Instant,
    ) {
        self.tickets += 1;
        let ticket = self.tickets;
        self.waiting.insert(
            key,
            Waiting {
                request,
                replies,
                ticket,
            },
        );
        self.deadlines.push_back((now + self.timeout, key, ticket));
        self.drop_answered();
    }

    /// The request that an issuer's answer belongs to.
    pub(crate) fn take(&mut self, answer: &BankMessage) -> Result<Waiting, NoMatch> {
        let stan = answer
            .get(11)
            .and_then(|stan| stan.try_into().ok())
            .ok_or(NoMatch::NoStan)?;
        let key = (answer.mti(), stan);
        let waiting = self.waiting.get(&key).ok_or(NoMatch::NobodyWaits)?;
        if [37, 41]
            .iter()
            .any(|de| waiting.request.get(*de) != answer.get(*de))
        {
            return Err(NoMatch::OtherPayment);
        }
        let taken = self.waiting.remove(&key).ok_or(NoMatch::NobodyWaits);
        self.drop_answered();
        taken
    }

    /// Takes the requests whose time is over.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Vec<Waiting> {
        let mut expired = Vec::new();
        while let Some((deadline, key, ticket)) = self.deadlines.front().copied()
            && deadline <= now
        {
            self.deadlines.pop_front();
            if self.is_waiting(&key, ticket) {
                expired.extend(self.waiting.remove(&key));
            }
        }
        expired
    }

    /// Forgets everything, as when the host is stopped.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.deadlines.clear();
    }

    fn is_waiting(&self, key: &MatchKey, ticket: u64) -> bool {
        self.waiting
            .get(key)
            .is_some_and(|waiting| waiting.ticket == ticket)
    }

    /// Drops deadlines that no longer matter from the front, so that the queue is as long as what
    /// waits between the oldest and the newest.
    fn drop_answered(&mut self) {
        while let Some((_, key, ticket)) = self.deadlines.front().copied()
            && !self.is_waiting(&key, ticket)
        {
            self.deadlines.pop_front();
        }
    }
}

/// The MTI class that an issuer's answer can have, to tell echoes of the link from payments.
pub(crate) fn is_network(mti: Mti) -> bool {
    mti.class() == Class::NetworkManagement
}
