//! Which events met which states, in the whole run.

use std::collections::BTreeMap;

use crate::payment::event::PaymentEvent;
use crate::payment::state::PaymentState;

/// What came of an event in a state, in any run.
#[derive(Debug, Clone, Default)]
pub(super) struct Reached {
    /// Whether the state has ever taken the event.
    pub(super) pairs: BTreeMap<(&'static str, &'static str), bool>,
}

impl Reached {
    pub(super) fn event(&mut self, state: &PaymentState, event: &PaymentEvent, taken: bool) {
        let pair = self.pairs.entry((state.name(), event.name()));
        *pair.or_default() |= taken;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (pair, taken) in &other.pairs {
            *self.pairs.entry(*pair).or_default() |= taken;
        }
    }
}
