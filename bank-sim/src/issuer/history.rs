//! What an issuer remembers of past exchanges: enough to know a duplicate and to undo an original,
//! in bounded memory.

use std::collections::{HashMap, HashSet, VecDeque};

use super::request::ExchangeKey;
use crate::response_code::ResponseCode;

/// The most exchanges that an issuer remembers. Beyond it the oldest settled one (declined, reversed
/// or posted) is forgotten, and the oldest of all only when none is settled. A forgotten exchange
/// can no longer be reversed (25) or recognised as a duplicate; its effect on the account stays.
pub const MAX_REMEMBERED_EXCHANGES: usize = 100_000;

/// The most reversals of unknown originals that an issuer remembers, in order to decline an original
/// that comes after its reversal.
pub const MAX_REVERSALS_WITHOUT_ORIGINAL: usize = 10_000;

/// What has become of the money of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Declined: nothing was held.
    Declined,
    /// Funds are held.
    Held {
        /// What is still held, in minor units.
        remaining_minor: i64,
    },
    /// The account was debited, or credited by a refund; nothing is held any more.
    Posted,
    /// Everything was undone.
    Reversed,
}

/// One exchange as it is remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange {
    /// The index of the account; `None` when it was declined before one was found.
    pub(crate) account: Option<u32>,
    /// The card, by index; `None` when no such card exists.
    pub(crate) card: Option<u32>,
    pub(crate) amount_minor: i64,
    pub(crate) currency_numeric: u16,
    /// What was debited in all; negative for a refund.
    pub(crate) posted_minor: i64,
    pub(crate) standing: Standing,
    pub(crate) response_code: ResponseCode,
    pub(crate) approval_code: Option<[u8; 6]>,
}

impl Exchange {
    fn is_settled(&self) -> bool {
        !matches!(self.standing, Standing::Held { .. })
    }
}

/// Exchanges by key, oldest settled first out.
#[derive(Debug)]
pub(crate) struct History {
    capacity: usize,
    exchanges: HashMap<ExchangeKey, Exchange>,
    /// Keys in order of arrival; each key once, until it is forgotten.
    arrivals: VecDeque<ExchangeKey>,
    reversed_first: HashSet<ExchangeKey>,
    reversed_first_order: VecDeque<ExchangeKey>,
}

/// How many of the oldest arrivals are looked through for a settled one before the oldest of all is
/// forgotten. They are moved to the back as they are passed, so that the search costs the same
/// however many holds stand open.
const EVICTION_SEARCH: usize = 64;

impl History {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            exchanges: HashMap::new(),
            arrivals: VecDeque::new(),
            reversed_first: HashSet::new(),
            reversed_first_order: VecDeque::new(),
        }
    }

    pub(crate) fn get(&self, key: &ExchangeKey) -> Option<&Exchange> {
        self.exchanges.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &ExchangeKey) -> Option<&mut Exchange> {
        self.exchanges.get_mut(key)
    }

    /// Remembers an exchange, and forgets one when there are too many.
    pub(crate) fn remember(&mut self, key: ExchangeKey, exchange: Exchange) {
        if self.exchanges.insert(key, exchange).is_none() {
            self.arrivals.push_back(key);
        }
        if self.arrivals.len() > self.capacity {
            self.forget_one();
        }
    }

    fn forget_one(&mut self) {
        for _ in 0..EVICTION_SEARCH.min(self.arrivals.len()) {
            let Some(key) = self.arrivals.pop_front() else {
                return;
            };
            if self.exchanges.get(&key).is_none_or(Exchange::is_settled) {
                self.exchanges.remove(&key);
                return;
            }
            self.arrivals.push_back(key);
        }
        if let Some(key) = self.arrivals.pop_front() {
            self.exchanges.remove(&key);
        }
    }

    /// Remembers that a reversal came for an original that is not known.
    pub(crate) fn remember_reversal_first(&mut self, original: ExchangeKey) {
        if self.reversed_first.insert(original) {
            self.reversed_first_order.push_back(original);
        }
        if self.reversed_first_order.len() > MAX_REVERSALS_WITHOUT_ORIGINAL
            && let Some(oldest) = self.reversed_first_order.pop_front()
        {
            self.reversed_first.remove(&oldest);
        }
    }

    pub(crate) fn was_reversed_first(&self, key: &ExchangeKey) -> bool {
        self.reversed_first.contains(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ExchangeKey, &Exchange)> {
        self.arrivals
            .iter()
            .filter_map(|key| self.exchanges.get(key).map(|exchange| (key, exchange)))
    }
}
