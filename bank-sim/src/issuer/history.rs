//! The exchanges that an issuer remembers: enough to know a duplicate and to undo an original,
//! in bounded memory.

use std::collections::VecDeque;

use super::request::ExchangeKey;
use crate::{
    random::{HashMap, HashSet},
    response_code::ResponseCode,
};

/// The most exchanges that an issuer remembers. Beyond it the one that was settled (declined, reversed
/// or posted) longest ago is forgotten, and the oldest of all when few are settled. A forgotten exchange
/// can no longer be reversed (25) or recognised as a duplicate; its effect on the account stays.
pub const MAX_REMEMBERED_EXCHANGES: usize = 100_000;

/// The most reversals of unknown originals that an issuer remembers, in order to decline an original
/// that comes after its reversal.
pub const MAX_REVERSALS_WITHOUT_ORIGINAL: usize = 10_000;

/// Of so many exchanges one may be settled before settled ones are the first to be forgotten: those that
/// were settled just now are the ones that are repeated or reversed.
const ONE_SETTLED_OF: usize = 16;

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
    /// The amount debited in all; negative for a refund.
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

/// Exchanges by key, those settled longest ago first out.
#[derive(Debug)]
pub(crate) struct History {
    capacity: usize,
    exchanges: HashMap<ExchangeKey, Remembered>,
    /// All in order of arrival, and among them some that are forgotten.
    arrivals: VecDeque<Place>,
    /// Those that are settled in the order in which they were, and among them some that are
    /// forgotten.
    settled: VecDeque<Place>,
    next_number: u64,
    reversed_first: HashSet<ExchangeKey>,
    reversed_first_order: VecDeque<ExchangeKey>,
}

#[derive(Debug)]
struct Remembered {
    exchange: Exchange,
    /// Tells it from an exchange of the same key that was forgotten.
    number: u64,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    key: ExchangeKey,
    number: u64,
}

impl History {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            exchanges: HashMap::default(),
            arrivals: VecDeque::new(),
            settled: VecDeque::new(),
            next_number: 0,
            reversed_first: HashSet::default(),
            reversed_first_order: VecDeque::new(),
        }
    }

    pub(crate) fn get(&self, key: &ExchangeKey) -> Option<&Exchange> {
        self.exchanges.get(key).map(|known| &known.exchange)
    }

    /// Changes an exchange; nothing when it is not known.
    pub(crate) fn change(&mut self, key: &ExchangeKey, change: impl FnOnce(&mut Exchange)) {
        let Some(known) = self.exchanges.get_mut(key) else {
            return;
        };
        let was_settled = known.exchange.is_settled();
        change(&mut known.exchange);
        if !was_settled && known.exchange.is_settled() {
            let number = known.number;
            self.settled.push_back(Place { key: *key, number });
        }
    }

    /// Remembers an exchange, and forgets one when there are too many.
    pub(crate) fn remember(&mut self, key: ExchangeKey, exchange: Exchange) {
        if self.exchanges.len() >= self.capacity && !self.exchanges.contains_key(&key) {
            self.forget_one();
        }
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1);
        let place = Place { key, number };
        if exchange.is_settled() {
            self.settled.push_back(place);
        }
        self.arrivals.push_back(place);
        self.exchanges.insert(key, Remembered { exchange, number });
        // Places of what is forgotten never outnumber the others for long.
        for queue in [&mut self.settled, &mut self.arrivals] {
            if queue.len() > self.capacity.saturating_mul(2) {
                queue.retain(|place| is_known(&self.exchanges, place));
            }
        }
    }

    fn forget_one(&mut self) {
        let few_settled = self.settled.len() <= self.capacity / ONE_SETTLED_OF;
        let settled = (!few_settled).then_some(&mut self.settled);
        for queue in settled.into_iter().chain([&mut self.arrivals]) {
            while let Some(place) = queue.pop_front() {
                if is_known(&self.exchanges, &place) {
                    self.exchanges.remove(&place.key);
                    return;
                }
            }
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
            .filter(|place| is_known(&self.exchanges, place))
            .filter_map(|place| Some((&place.key, self.get(&place.key)?)))
    }
}

fn is_known(exchanges: &HashMap<ExchangeKey, Remembered>, place: &Place) -> bool {
    exchanges
        .get(&place.key)
        .is_some_and(|known| known.number == place.number)
}
