//! STAN and DE 7 of each forwarded message, so that a duplicate is recognised and DE 90 of a reversal
//! names the original as the issuer knows it.

use std::collections::VecDeque;

use crate::{issuer::ExchangeKey, random::HashMap};

/// The most forwarded messages that the acquirer remembers; beyond it the oldest is forgotten. The
/// reversal of a forgotten one reaches the issuer in the switch's terms and is answered with 25.
pub const MAX_REMEMBERED_ORIGINALS: usize = 200_000;

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

/// The switch's messages by key, oldest first out.
#[derive(Debug)]
pub(crate) struct Originals {
    capacity: usize,
    known: HashMap<ExchangeKey, Remembered>,
    order: VecDeque<ExchangeKey>,
}

impl Originals {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            known: HashMap::default(),
            order: VecDeque::new(),
        }
    }

    pub(crate) fn get(&self, key: &ExchangeKey) -> Option<Remembered> {
        self.known.get(key).copied()
    }

    pub(crate) fn remember(&mut self, key: ExchangeKey, what: Remembered) {
        if self.known.insert(key, what).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Forgets a message that was remembered last and then could not be forwarded.
    pub(crate) fn forget(&mut self, key: &ExchangeKey) {
        if self.known.remove(key).is_some() && self.order.back() == Some(key) {
            self.order.pop_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::MessageKind;

    fn key(number: u8) -> ExchangeKey {
        ExchangeKey {
            kind: MessageKind::Authorization,
            stan: [number; 6],
            transmitted: [0; 10],
            rrn: [0; 12],
            terminal: [0; 8],
        }
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut originals = Originals::new(2);
        for number in 1..=3 {
            originals.remember(key(number), Remembered::ReversedFirst);
        }
        assert_eq!(originals.get(&key(1)), None);
        assert_eq!(originals.get(&key(2)), Some(Remembered::ReversedFirst));
        originals.forget(&key(3));
        originals.remember(key(4), Remembered::ReversedFirst);
        assert_eq!(originals.get(&key(2)), Some(Remembered::ReversedFirst));
        assert_eq!(originals.get(&key(3)), None);
    }
}
