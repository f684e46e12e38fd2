//! Requests that an issuer has not answered yet.

use std::{collections::VecDeque, time::Duration};

use iso8583::{Mti, mti::Class};
use tokio::{sync::mpsc, time::Instant};

use crate::{message::BankMessage, random::HashMap};

/// The most requests in flight on one link; further ones are answered with 91.
pub(crate) const MAX_IN_FLIGHT: usize = 65_536;

/// The key that an answer is matched on: the MTI it must have, and DE 11. DE 37 and DE 41 are compared
/// after that.
pub(crate) type MatchKey = (Mti, [u8; 6]);

/// A request that the issuer has not answered.
#[derive(Debug)]
pub(crate) struct Pending {
    /// The request as the switch sent it.
    pub(crate) request: BankMessage,
    /// The connection it came on.
    pub(crate) replies: mpsc::Sender<BankMessage>,
    ticket: u64,
}

/// The requests in flight on one link. All have the same time-out, so they expire in order.
#[derive(Debug)]
pub(crate) struct InFlight {
    timeout: Duration,
    pending: HashMap<MatchKey, Pending>,
    deadlines: VecDeque<(Instant, MatchKey, u64)>,
    tickets: u64,
}

/// Why an answer matches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoMatch {
    /// No request with its MTI and STAN is in flight: it is late, a duplicate, or unmatched.
    NotInFlight,
    /// One is in flight with another RRN or terminal, and stays so.
    OtherRrnOrTerminal,
    /// It has no STAN.
    NoStan,
}

impl InFlight {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            pending: HashMap::default(),
            deadlines: VecDeque::new(),
            tickets: 0,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.deadlines.len() >= MAX_IN_FLIGHT
    }

    /// Notes a request, by the message that goes out on the link for it; a repeat takes the
    /// place of the one before. `false` for a message that has no answer.
    pub(crate) fn insert(
        &mut self,
        message: &BankMessage,
        request: BankMessage,
        replies: mpsc::Sender<BankMessage>,
        now: Instant,
    ) -> bool {
        let Some(key) = key_of_request(message) else {
            return false;
        };
        self.tickets += 1;
        let ticket = self.tickets;
        self.pending.insert(
            key,
            Pending {
                request,
                replies,
                ticket,
            },
        );
        self.deadlines.push_back((now + self.timeout, key, ticket));
        self.drop_answered();
        true
    }

    /// Takes back a request whose message could not be sent after all.
    pub(crate) fn take_unsent(&mut self, message: &BankMessage) -> Option<Pending> {
        self.pending.remove(&key_of_request(message)?)
    }

    /// The request that an issuer's answer belongs to.
    pub(crate) fn take(&mut self, answer: &BankMessage) -> Result<Pending, NoMatch> {
        let stan = answer
            .get(11)
            .and_then(|stan| stan.try_into().ok())
            .ok_or(NoMatch::NoStan)?;
        let key = (answer.mti(), stan);
        let pending = self.pending.get(&key).ok_or(NoMatch::NotInFlight)?;
        if [37, 41]
            .iter()
            .any(|de| pending.request.get(*de) != answer.get(*de))
        {
            return Err(NoMatch::OtherRrnOrTerminal);
        }
        let taken = self.pending.remove(&key).ok_or(NoMatch::NotInFlight);
        self.drop_answered();
        taken
    }

    /// Takes the requests whose time is over.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Vec<Pending> {
        let mut expired = Vec::new();
        while let Some((deadline, key, ticket)) = self.deadlines.front().copied()
            && deadline <= now
        {
            self.deadlines.pop_front();
            if self.is_pending(&key, ticket) {
                expired.extend(self.pending.remove(&key));
            }
        }
        expired
    }

    /// Forgets everything, as when the host is stopped.
    pub(crate) fn clear(&mut self) {
        self.pending.clear();
        self.deadlines.clear();
    }

    fn is_pending(&self, key: &MatchKey, ticket: u64) -> bool {
        self.pending
            .get(key)
            .is_some_and(|pending| pending.ticket == ticket)
    }

    /// Drops the deadlines of answered requests from the front of the queue.
    fn drop_answered(&mut self) {
        while let Some((_, key, ticket)) = self.deadlines.front().copied()
            && !self.is_pending(&key, ticket)
        {
            self.deadlines.pop_front();
        }
    }
}

fn key_of_request(message: &BankMessage) -> Option<MatchKey> {
    Some((message.mti().response()?, message.get(11)?.try_into().ok()?))
}

/// The MTI class that an issuer's answer can have, to tell echoes of the link from payments.
pub(crate) fn is_network(mti: Mti) -> bool {
    mti.class() == Class::NetworkManagement
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn message(mti: Mti, stan: &str, rrn: &str, terminal: &str) -> BankMessage {
        let mut message = BankMessage::new(mti);
        message.set(11, stan);
        message.set(37, rrn);
        message.set(41, terminal);
        message
    }

    fn waiting(stans: &[&str], now: Instant) -> InFlight {
        let (replies, _) = mpsc::channel(1);
        let mut in_flight = InFlight::new(LIMIT);
        for stan in stans {
            let request = message(Mti::AUTHORIZATION_REQUEST, stan, "000000000001", "TERM0001");
            assert!(in_flight.insert(&request, request.clone(), replies.clone(), now));
        }
        in_flight
    }

    #[tokio::test]
    async fn an_answer_is_matched_on_mti_stan_rrn_and_terminal_and_only_once() {
        let mut in_flight = waiting(&["000001", "000002"], Instant::now());
        let answer = Mti::AUTHORIZATION_RESPONSE;
        for (mti, stan, rrn, terminal, expected) in [
            (
                answer,
                "000003",
                "000000000001",
                "TERM0001",
                Err(NoMatch::NotInFlight),
            ),
            (
                Mti::NETWORK_RESPONSE,
                "000001",
                "000000000001",
                "TERM0001",
                Err(NoMatch::NotInFlight),
            ),
            (
                answer,
                "000001",
                "000000000002",
                "TERM0001",
                Err(NoMatch::OtherRrnOrTerminal),
            ),
            (
                answer,
                "000001",
                "000000000001",
                "TERM0002",
                Err(NoMatch::OtherRrnOrTerminal),
            ),
            (
                answer,
                "00001",
                "000000000001",
                "TERM0001",
                Err(NoMatch::NoStan),
            ),
            (answer, "000001", "000000000001", "TERM0001", Ok(())),
            (
                answer,
                "000001",
                "000000000001",
                "TERM0001",
                Err(NoMatch::NotInFlight),
            ),
            (answer, "000002", "000000000001", "TERM0001", Ok(())),
        ] {
            let taken = in_flight
                .take(&message(mti, stan, rrn, terminal))
                .map(|_| ());
            assert_eq!(taken, expected, "{mti} {stan} {rrn} {terminal}");
        }
        assert!(in_flight.deadlines.is_empty());
    }

    #[tokio::test]
    async fn what_is_answered_does_not_expire_and_a_repeat_waits_anew() {
        let began = Instant::now();
        let mut in_flight = waiting(&["000001", "000002", "000003"], began);
        let answered = message(
            Mti::AUTHORIZATION_RESPONSE,
            "000002",
            "000000000001",
            "TERM0001",
        );
        assert!(in_flight.take(&answered).is_ok());
        let (replies, _) = mpsc::channel(1);
        let repeat = message(
            Mti::AUTHORIZATION_REQUEST,
            "000001",
            "000000000001",
            "TERM0001",
        );
        in_flight.insert(&repeat, repeat.clone(), replies, began + LIMIT / 2);
        assert!(in_flight.take_expired(began + LIMIT / 2).is_empty());
        let stans = |expired: Vec<Pending>| -> Vec<String> {
            expired
                .iter()
                .filter_map(|pending| pending.request.text(11).map(str::to_owned))
                .collect()
        };
        assert_eq!(stans(in_flight.take_expired(began + LIMIT)), ["000003"]);
        assert_eq!(stans(in_flight.take_expired(began + LIMIT * 2)), ["000001"]);
        assert!(in_flight.take_expired(began + LIMIT * 3).is_empty());
    }
}
