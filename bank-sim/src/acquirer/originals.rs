//! STAN and DE 7 of each forwarded message, so that a duplicate is recognised and DE 90 of a reversal
//! names the original as the issuer knows it.

use crate::{issuer::ExchangeKey, random::HashMap};

/// STAN and DE 7 of a message on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OnLink {
    /// DE 11.
    pub(crate) stan: [u8; 6],
    /// DE 7.
    pub(crate) transmitted: [u8; 10],
}

/// The record of one message of the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remembered {
    /// It was forwarded.
    Forwarded(OnLink),
    /// Its reversal came before it did.
    ReversedFirst,
}

/// The switch's messages by key. None is ever forgotten: its reversal would reach the issuer in the switch's
/// terms, which the issuer doesn't know.
#[derive(Debug)]
pub(crate) struct Originals {
    capacity: usize,
    known: HashMap<ExchangeKey, Remembered>,
}

impl Originals {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            known: HashMap::default(),
        }
    }

    /// Whether there is no room for another message.
    pub(crate) fn is_full(&self) -> bool {
        self.known.len() >= self.capacity
    }

    pub(crate) fn get(&self, key: &ExchangeKey) -> Option<Remembered> {
        self.known.get(key).copied()
    }

    /// Remembers a message while there is room.
    pub(crate) fn remember(&mut self, key: ExchangeKey, what: Remembered) {
        if !self.is_full() || self.known.contains_key(&key) {
            self.known.insert(key, what);
        }
    }

    /// Forgets a message that could not be forwarded.
    pub(crate) fn forget(&mut self, key: &ExchangeKey) {
        self.known.remove(key);
    }
}
