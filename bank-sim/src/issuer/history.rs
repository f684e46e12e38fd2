//! The exchanges that an issuer remembers: enough to know a duplicate and to undo an original, in bounded
//! memory. One that holds or moved money is never forgotten.

use std::collections::VecDeque;

use super::request::ExchangeKey;
use crate::{random::HashMap, recent::Recent, response_code::ResponseCode};

/// The most declined exchanges that an issuer remembers; beyond it the oldest is forgotten, and can no longer
/// be recognised as a duplicate.
pub const MAX_REMEMBERED_DECLINES: usize = 100_000;

/// The most reversals of unknown originals that an issuer remembers, in order to decline an original
/// that comes after its reversal. Also the most reversals that it knows again as repeats.
pub const MAX_REMEMBERED_REVERSALS: usize = 100_000;

/// The state of the money of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Declined: nothing was held.
    Declined,
    /// Funds are held.
    Held {
        /// The amount still held, in minor units.
        remaining_minor: i64,
    },
    /// The account was debited, or credited by a refund; nothing is held any more.
    Posted,
    /// What was held was released, what was posted was given back. What others captured of a hold stays.
    Reversed,
}

/// One exchange as it is remembered.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// The index of the account; `None` when it was declined before one was found.
    pub(crate) account: Option<u32>,
    /// The card, by index; `None` when no such card exists.
    pub(crate) card: Option<u32>,
    /// The amount that was asked for.
    pub(crate) amount_minor: i64,
    /// The amount that was approved, where it was.
    pub(crate) approved_minor: i64,
    pub(crate) currency_numeric: u16,
    /// The amount debited in all; negative for a refund. For an authorization, what its captures debited.
    pub(crate) posted_minor: i64,
    pub(crate) standing: Standing,
    pub(crate) response_code: ResponseCode,
    pub(crate) approval_code: Option<[u8; 6]>,
    /// The hold that a capture was taken from.
    pub(crate) hold: Option<Box<ExchangeKey>>,
    /// What was added to this hold: each is a hold of its own, to be undone by itself, and is captured with this one.
    pub(crate) increments: Vec<ExchangeKey>,
}

/// Exchanges by key.
#[derive(Debug)]
pub(crate) struct History {
    /// The most exchanges that hold or moved money.
    capacity: usize,
    exchanges: HashMap<ExchangeKey, Remembered>,
    declined: VecDeque<ExchangeKey>,
    next_number: u64,
    reversed_first: Recent<ExchangeKey>,
    reversals: Recent<ExchangeKey>,
}

#[derive(Debug)]
struct Remembered {
    exchange: Exchange,
    /// The order of arrival.
    number: u64,
}

impl History {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            exchanges: HashMap::default(),
            declined: VecDeque::new(),
            next_number: 0,
            reversed_first: Recent::new(MAX_REMEMBERED_REVERSALS),
            reversals: Recent::new(MAX_REMEMBERED_REVERSALS),
        }
    }

    /// Whether there is no room for another exchange.
    pub(crate) fn is_full(&self) -> bool {
        self.exchanges.len().saturating_sub(self.declined.len()) >= self.capacity
    }

    pub(crate) fn get(&self, key: &ExchangeKey) -> Option<&Exchange> {
        self.exchanges.get(key).map(|known| &known.exchange)
    }

    /// Changes an exchange that is not declined; nothing when it is not known.
    pub(crate) fn change(&mut self, key: &ExchangeKey, change: impl FnOnce(&mut Exchange)) {
        if let Some(known) = self.exchanges.get_mut(key) {
            change(&mut known.exchange);
        }
    }

    /// Remembers an exchange that is not known yet.
    pub(crate) fn remember(&mut self, key: ExchangeKey, exchange: Exchange) {
        if exchange.standing == Standing::Declined {
            self.declined.push_back(key);
            if self.declined.len() > MAX_REMEMBERED_DECLINES
                && let Some(oldest) = self.declined.pop_front()
            {
                self.exchanges.remove(&oldest);
            }
        }
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1);
        self.exchanges.insert(key, Remembered { exchange, number });
    }

    /// Remembers that a reversal came for an original that is not known.
    pub(crate) fn remember_reversal_first(&mut self, original: ExchangeKey) {
        self.reversed_first.is_new(original);
    }

    pub(crate) fn was_reversed_first(&self, original: &ExchangeKey) -> bool {
        self.reversed_first.contains(original)
    }

    /// Remembers a reversal; whether it has not come before.
    pub(crate) fn is_new_reversal(&mut self, key: ExchangeKey) -> bool {
        self.reversals.is_new(key)
    }

    /// The exchanges in the order in which they came.
    pub(crate) fn in_order(&self) -> Vec<(&ExchangeKey, &Exchange)> {
        let mut known: Vec<_> = self.exchanges.iter().collect();
        known.sort_unstable_by_key(|(_, known)| known.number);
        known
            .into_iter()
            .map(|(key, known)| (key, &known.exchange))
            .collect()
    }
}
