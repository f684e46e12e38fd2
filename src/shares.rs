//! Places that parties share, so that no party takes another's service away.
//!
//! A party is whoever competes: a merchant, a bank, those who are not identified. Up to the common limit whoever
//! asks gets a place. Beyond it, a party still gets one while it holds less than its share, which is the limit
//! divided by the parties that hold places. So a party that has taken every place can't keep another from its
//! share, and a party that is alone can use them all. What that costs is bounded: see [`Shares::new`].
//!
//! Merchants share the calls of the API and the operations in progress, addresses the look-ups of callers that are
//! not known yet, and each merchant reads in places of its own. Operations in progress take a place of their bank's
//! share as well, so that a bank that does not answer holds up its own merchants alone, however many they are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::metrics::BoundCounter;

/// Places for parties of one kind. Clones share the same places.
pub struct Shares<P: Ord + Clone>(Arc<Inner<P>>);

struct Inner<P> {
    /// Places that are given to whoever asks.
    limit: usize,
    /// The most places of one party.
    most_per_party: usize,
    /// How often a party got none, or not at once.
    refused: BoundCounter,
    holders: Mutex<Holders<P>>,
}

struct Holders<P> {
    /// Places that are held.
    held: usize,
    /// Parties that hold any.
    holding: usize,
    /// Who holds places or waits for one; nobody else stands here.
    parties: BTreeMap<P, Party>,
}

#[derive(Default)]
struct Party {
    held: usize,
    waiting: usize,
    /// Told when one of its places is given back.
    given_back: Arc<Notify>,
}

/// A place, held until it is dropped.
pub struct Place<P: Ord + Clone> {
    shares: Arc<Inner<P>>,
    party: P,
}

impl<P: Ord + Clone> Clone for Shares<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Ord + Clone> std::fmt::Debug for Shares<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shares")
            .field("limit", &self.0.limit)
            .finish_non_exhaustive()
    }
}

impl<P: Ord + Clone> std::fmt::Debug for Place<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

impl<P: Ord + Clone> Shares<P> {
    /// `limit` places that parties share. `n` parties together hold at most `limit` times (1 + 1/2 + ... + 1/n): a
    /// party goes beyond the limit only up to its share, which is smaller the more parties there are.
    ///
    /// `refused` counts who asks for a place and gets none, or has to wait for one.
    #[must_use]
    pub fn new(limit: usize, refused: BoundCounter) -> Self {
        Self::with(limit, limit, refused)
    }

    /// Places of which each party has `each` of its own, however many parties there are.
    #[must_use]
    pub fn of_their_own(each: usize, refused: BoundCounter) -> Self {
        Self::with(usize::MAX, each, refused)
    }

    fn with(limit: usize, most_per_party: usize, refused: BoundCounter) -> Self {
        Self(Arc::new(Inner {
            limit,
            most_per_party,
            refused,
            holders: Mutex::new(Holders {
                held: 0,
                holding: 0,
                parties: BTreeMap::new(),
            }),
        }))
    }

    /// A place for this party; `None` when none is left and it holds its share.
    #[must_use]
    pub fn take(&self, party: &P) -> Option<Place<P>> {
        let place = self.take_locked(&mut self.0.lock(), party);
        if place.is_none() {
            self.0.refused.reached();
        }
        place
    }

    /// A place for this party, now or when one of its own is given back. How long to wait is the caller's to
    /// bound. For places of their own: a place that another party gives back wakes nobody.
    pub async fn wait(&self, party: &P) -> Place<P> {
        let mut waiting = None;
        loop {
            let given_back = {
                let mut holders = self.0.lock();
                if let Some(place) = self.take_locked(&mut holders, party) {
                    return place;
                }
                let party_state = holders.parties.entry(party.clone()).or_default();
                let given_back = Arc::clone(&party_state.given_back);
                if waiting.is_none() {
                    self.0.refused.reached();
                    party_state.waiting += 1;
                    waiting = Some(Waiting {
                        shares: &self.0,
                        party,
                    });
                }
                given_back
            };
            // A place that is given back between the look and this line leaves a permit behind.
            given_back.notified().await;
        }
    }

    fn take_locked(&self, holders: &mut Holders<P>, party: &P) -> Option<Place<P>> {
        let own = holders.parties.get(party).map_or(0, |party| party.held);
        let others = holders.holding - usize::from(own > 0);
        let is_left = holders.held < self.0.limit || own < self.0.limit / (others + 1);
        if own >= self.0.most_per_party || !is_left {
            return None;
        }
        holders.held += 1;
        holders.holding += usize::from(own == 0);
        holders.parties.entry(party.clone()).or_default().held += 1;
        Some(Place {
            shares: Arc::clone(&self.0),
            party: party.clone(),
        })
    }

    /// Places that are held, by all parties together.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.lock().held
    }
}

impl<P: Ord> Inner<P> {
    fn lock(&self) -> MutexGuard<'_, Holders<P>> {
        // Nothing panics while it is held; and numbers are whole at every moment.
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a party that holds nothing and waits for nothing, so that parties don't add up for ever.
    fn forget_idle(holders: &mut Holders<P>, party: &P) {
        let is_idle = |party: &Party| party.held == 0 && party.waiting == 0;
        if holders.parties.get(party).is_some_and(is_idle) {
            holders.parties.remove(party);
        }
    }
}

impl<P: Ord + Clone> Drop for Place<P> {
    fn drop(&mut self) {
        let mut holders = self.shares.lock();
        holders.held -= 1;
        if let Some(party) = holders.parties.get_mut(&self.party) {
            party.held -= 1;
            if party.waiting > 0 {
                party.given_back.notify_one();
            }
            holders.holding -= usize::from(party.held == 0);
        }
        Inner::forget_idle(&mut holders, &self.party);
    }
}

/// A party's wish for a place; it may be given up at any moment.
struct Waiting<'a, P: Ord> {
    shares: &'a Inner<P>,
    party: &'a P,
}

impl<P: Ord> Drop for Waiting<'_, P> {
    fn drop(&mut self) {
        let mut holders = self.shares.lock();
        if let Some(party) = holders.parties.get_mut(self.party) {
            party.waiting = party.waiting.saturating_sub(1);
            // It may have been woken for a place that it no longer wants.
            if party.waiting > 0 {
                party.given_back.notify_one();
            }
        }
        Inner::forget_idle(&mut holders, self.party);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::timeout;

    use super::*;

    /// Each row: the limit, what happens in order (`+a` takes, `-a` gives back), and what came of each `+`.
    #[test]
    fn places_are_shared() {
        for (limit, steps, expected) in [
            // Alone it may have them all.
            (4, "+a +a +a +a +a", "yes yes yes yes no"),
            // Another still gets its half, and no more.
            (4, "+a +a +a +a +b +b +b", "yes yes yes yes yes yes no"),
            // A third still gets its third, of which the remainder is nobody's.
            (
                6,
                "+a +a +a +a +a +a +b +b +b +c +c +c",
                "yes yes yes yes yes yes yes yes yes yes yes no",
            ),
            // A party beyond its share waits until the places are below the limit again.
            (
                4,
                "+a +a +a +a +b +a -a +a -a -a +a",
                "yes yes yes yes yes no no yes",
            ),
            // One that has left counts no longer.
            (2, "+a +b -b +a +a", "yes yes yes no"),
            // More parties than places: a share is nothing, and the limit holds.
            (1, "+a +b", "yes no"),
        ] {
            let shares = Shares::new(limit, BoundCounter::default());
            let mut places = Vec::new();
            let mut said = Vec::new();
            for step in steps.split(' ') {
                let (sign, party) = step.split_at(1);
                if sign == "+" {
                    let place = shares.take(&party);
                    said.push(if place.is_some() { "yes" } else { "no" });
                    places.extend(place.map(|place| (party, place)));
                } else {
                    let at = places.iter().position(|(holder, _)| *holder == party);
                    drop(places.swap_remove(at.unwrap()));
                }
            }
            assert_eq!(said.join(" "), expected, "{limit}: {steps}");
            assert_eq!(shares.held(), places.len(), "{limit}: {steps}");
            drop(places);
            assert_eq!(shares.held(), 0);
            assert!(shares.0.lock().parties.is_empty());
        }
    }

    proptest! {
        /// Whatever the others do, a party that holds less than its share gets a place; and all together stay
        /// within the bound that `new` names.
        #[test]
        fn no_party_keeps_another_from_its_share(
            limit in 1_usize..40,
            steps in prop::collection::vec((0_u8..6, prop::bool::weighted(0.7)), 0..300),
        ) {
            let shares = Shares::new(limit, BoundCounter::default());
            let mut places: Vec<(u8, Place<u8>)> = Vec::new();
            for (party, takes) in steps {
                let held_by = |party: u8| places.iter().filter(|(holder, _)| *holder == party).count();
                let own = held_by(party);
                let others = (0..6).filter(|other| *other != party && held_by(*other) > 0).count();
                if takes {
                    let place = shares.take(&party);
                    if own < limit / (others + 1) {
                        prop_assert!(place.is_some(), "{own} of {limit} beside {others} others");
                    }
                    if places.len() >= limit && own >= limit / (others + 1) {
                        prop_assert!(place.is_none(), "more than its share");
                    }
                    places.extend(place.map(|place| (party, place)));
                } else if let Some(at) = places.iter().position(|(holder, _)| *holder == party) {
                    drop(places.swap_remove(at));
                }
                prop_assert_eq!(shares.held(), places.len());
                let bound: usize = (1..=6).map(|parties| limit.div_ceil(parties)).sum();
                prop_assert!(places.len() <= bound, "{} of {bound}", places.len());
            }
        }
    }

    #[tokio::test]
    async fn a_party_waits_for_its_own_places_alone() {
        let shares = Shares::of_their_own(1, BoundCounter::default());
        let soon = Duration::from_millis(20);
        let first = shares.take(&"a").unwrap();
        assert!(timeout(soon, shares.wait(&"a")).await.is_err());
        // Another's wait is no hindrance.
        let other = timeout(soon, shares.wait(&"b")).await.unwrap();
        let waits = tokio::spawn({
            let shares = shares.clone();
            async move { shares.wait(&"a").await }
        });
        tokio::task::yield_now().await;
        drop(other);
        assert!(!waits.is_finished());
        drop(first);
        let second = timeout(soon, waits).await.unwrap().unwrap();
        assert_eq!(shares.held(), 1);
        drop(second);
        assert!(shares.0.lock().parties.is_empty());
    }
}
