//! What an issuer has done, summed up by currency.

use std::collections::BTreeMap;

use super::request::{ExchangeKey, MessageKind};
use crate::{outcome::Effect, random::HashSet};

/// The most RRNs that a tally lists.
const MAX_LISTED_RRNS: usize = 100;

/// What was done in one currency. Amounts are in minor units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// What was held, released holds included.
    pub held_minor: i64,
    /// What was taken.
    pub debited_minor: i64,
    /// What was given.
    pub credited_minor: i64,
    /// What was undone.
    pub reversed_minor: i64,
    /// How many requests were decided.
    pub exchanges: u64,
    /// How many requests had an effect although one with the same RRN, terminal and card had had it before,
    /// under whatever STAN.
    pub effects_more_than_once: u64,
    /// Their RRNs, at most 100.
    pub effects_more_than_once_rrns: Vec<String>,
}

/// The tallies of an issuer, by numeric currency code.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    by_currency: BTreeMap<u16, Tally>,
    /// As many as there are exchanges that had one.
    effects: HashSet<EffectKey>,
}

/// Kind, RRN, terminal and card.
type EffectKey = (MessageKind, [u8; 12], [u8; 8], Option<u32>);

impl Tallies {
    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, &Tally)> {
        self.by_currency
            .iter()
            .map(|(currency, tally)| (*currency, tally))
    }

    pub(super) fn of(&mut self, currency_numeric: u16) -> &mut Tally {
        self.by_currency.entry(currency_numeric).or_default()
    }

    /// Adds the effect of a request or an advice.
    pub(super) fn add(
        &mut self,
        (key, card, names_another): (&ExchangeKey, Option<u32>, bool),
        currency_numeric: u16,
        effect: Effect,
        amount_minor: i64,
    ) {
        // What completes or increments one authorization shares its RRN, each with an effect of its own.
        let is_once = key.kind.may_come_again()
            || names_another
            || effect == Effect::None
            || self.effects.insert((key.kind, key.rrn, key.terminal, card));
        let tally = self.of(currency_numeric);
        let sum = match effect {
            Effect::Held => &mut tally.held_minor,
            Effect::Debited => &mut tally.debited_minor,
            Effect::Credited => &mut tally.credited_minor,
            Effect::Reversed | Effect::Partly => &mut tally.reversed_minor,
            Effect::None => return,
        };
        *sum = sum.saturating_add(amount_minor);
        if !is_once {
            tally.effects_more_than_once += 1;
            if tally.effects_more_than_once_rrns.len() < MAX_LISTED_RRNS {
                let rrn = String::from_utf8_lossy(&key.rrn).into_owned();
                tally.effects_more_than_once_rrns.push(rrn);
            }
        }
    }
}
