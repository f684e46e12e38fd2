//! Places for the client connections of one door.
//!
//! A client that nobody knows yet costs a place before anything can be asked of it, so those places are few, and they
//! are not first come, first served: when they are all taken, the oldest connection of the address that holds most of
//! them ends, and the newcomer gets its place. Who fills them from one address only ends connections of its own. Behind a
//! load balancer all have the same address; then the oldest goes, and who makes a call with its key in time is known.
//!
//! A client that is known keeps its place. All of them together leave the others theirs, and a party has half at most; what is
//! opened beyond that stays among the unidentified ones.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::tls::Party;
use crate::metrics::BoundCounter;

/// One in so many places is for clients that are not identified.
const UNIDENTIFIED: usize = 4;
/// One in so many places is the most that one party holds.
const OF_ONE_PARTY: usize = 2;

/// The part of an IPv6 address that names a network: who has one address of it has them all (RFC 4291, section 2.5.4).
const NETWORK_BITS: u32 = 64;

/// Whose share the clients of an address take.
pub(crate) fn share_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::MAX << NETWORK_BITS);
            Ipv6Addr::from_bits(network).into()
        }
    }
}

/// The bounds of a door's connections, and how often each was reached.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionBounds {
    /// Connections at once.
    pub(crate) limit: usize,
    /// Connections that were turned away.
    pub(crate) refused: BoundCounter,
    /// Connections of unidentified clients that were ended for a newcomer.
    pub(crate) ended: BoundCounter,
    /// Connections of parties that hold their share.
    pub(crate) beyond_share: BoundCounter,
}

/// The places of one door. Clones share them.
pub(crate) struct ConnectionPlaces<P>(Arc<Inner<P>>);

struct Inner<P> {
    bounds: ConnectionBounds,
    most_unidentified: usize,
    most_of_one: usize,
    most_identified: usize,
    held: Mutex<Held<P>>,
}

struct Held<P> {
    /// The number of the next connection.
    next: u64,
    identified: usize,
    /// Who holds places; nobody else stands here.
    parties: BTreeMap<P, usize>,
    /// The others, oldest first.
    unidentified: BTreeMap<u64, Unidentified>,
    /// The same ones, by where they come from.
    addresses: BTreeMap<IpAddr, BTreeSet<u64>>,
}

struct Unidentified {
    address: IpAddr,
    ended: CancellationToken,
}

/// The place of a connection, held until it is dropped.
pub(crate) struct ConnectionPlace<P: Party> {
    places: Arc<Inner<P>>,
    number: u64,
    ended: CancellationToken,
    /// Whose share it is of.
    party: Mutex<Option<P>>,
}

impl<P> Clone for ConnectionPlaces<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Party> ConnectionPlaces<P> {
    /// Places within these bounds.
    pub(crate) fn new(bounds: ConnectionBounds) -> Self {
        let one_in = |parts: usize| (bounds.limit / parts).max(1);
        Self(Arc::new(Inner {
            most_unidentified: one_in(UNIDENTIFIED),
            most_of_one: one_in(OF_ONE_PARTY),
            // Who is known leaves the others their places, where there are any to leave.
            most_identified: bounds.limit - one_in(UNIDENTIFIED).min(bounds.limit / 2),
            bounds,
            held: Mutex::new(Held {
                next: 0,
                identified: 0,
                parties: BTreeMap::new(),
                unidentified: BTreeMap::new(),
                addresses: BTreeMap::new(),
            }),
        }))
    }

    /// A place for a client that nobody knows yet; none where all are held by clients that are known.
    pub(crate) fn take(&self, address: IpAddr) -> Option<ConnectionPlace<P>> {
        let (inner, address) = (&self.0, share_of(address));
        let mut held = inner.lock();
        let is_full = held.identified + held.unidentified.len() >= inner.bounds.limit;
        if is_full || held.unidentified.len() >= inner.most_unidentified {
            if !held.end_one() {
                inner.bounds.refused.reached();
                return None;
            }
            inner.bounds.ended.reached();
        }
        let number = held.next;
        held.next += 1;
        let ended = CancellationToken::new();
        held.addresses.entry(address).or_default().insert(number);
        held.unidentified.insert(
            number,
            Unidentified {
                address,
                ended: ended.clone(),
            },
        );
        Some(ConnectionPlace {
            places: Arc::clone(inner),
            number,
            ended,
            party: Mutex::new(None),
        })
    }

    /// Ends the connection that would make room for a newcomer, as when the machine has no room for one. Says whether
    /// there was any.
    pub(crate) fn make_room(&self) -> bool {
        let made = self.0.lock().end_one();
        if made {
            self.0.bounds.ended.reached();
        }
        made
    }
}

impl<P> Inner<P> {
    fn lock(&self) -> MutexGuard<'_, Held<P>> {
        // Nothing panics while it is held.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P> Held<P> {
    /// Ends the oldest connection of the address that has most of them.
    fn end_one(&mut self) -> bool {
        let oldest = self
            .addresses
            .values()
            .filter_map(|numbers| Some((numbers.len(), Reverse(*numbers.first()?))))
            .max();
        let Some((_, Reverse(number))) = oldest else {
            return false;
        };
        if let Some(connection) = self.forget(number) {
            connection.ended.cancel();
        }
        true
    }

    fn forget(&mut self, number: u64) -> Option<Unidentified> {
        let connection = self.unidentified.remove(&number)?;
        if let Some(numbers) = self.addresses.get_mut(&connection.address) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.addresses.remove(&connection.address);
            }
        }
        Some(connection)
    }
}

impl<P: Party> ConnectionPlace<P> {
    /// Cancelled when the connection has to end because another needs its place.
    pub(crate) fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Moves the place into the share of the client's party, where there is room in it; says whether it is there.
    pub(crate) fn identify(&self, party: &P) -> bool {
        let mut own = self.party.lock().unwrap_or_else(PoisonError::into_inner);
        if own.is_some() {
            return true;
        }
        let mut held = self.places.lock();
        let of_party = held.parties.get(party).copied().unwrap_or(0);
        let is_full = held.identified >= self.places.most_identified;
        if is_full || of_party >= self.places.most_of_one {
            self.places.bounds.beyond_share.reached();
            return false;
        }
        // One that was ended for another has no place any more that it could keep.
        if held.forget(self.number).is_none() {
            return false;
        }
        held.identified += 1;
        held.parties.insert(party.clone(), of_party + 1);
        *own = Some(party.clone());
        true
    }
}

impl<P: Party> Drop for ConnectionPlace<P> {
    fn drop(&mut self) {
        let own = self.party.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut held = self.places.lock();
        let Some(party) = own else {
            held.forget(self.number);
            return;
        };
        held.identified -= 1;
        if let Some(of_party) = held.parties.get_mut(party) {
            *of_party -= 1;
            if *of_party == 0 {
                held.parties.remove(party);
            }
        }
    }
}

#[cfg(test)]
impl<P: Party> ConnectionPlace<P> {
    /// The only one of its door.
    pub(crate) fn alone() -> Self {
        let places = ConnectionPlaces::new(ConnectionBounds {
            limit: 1,
            refused: BoundCounter::default(),
            ended: BoundCounter::default(),
            beyond_share: BoundCounter::default(),
        });
        places.take(std::net::Ipv4Addr::LOCALHOST.into()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::payment::ids::MerchantId;

    fn places(limit: usize) -> ConnectionPlaces<MerchantId> {
        ConnectionPlaces::new(ConnectionBounds {
            limit,
            refused: BoundCounter::default(),
            ended: BoundCounter::default(),
            beyond_share: BoundCounter::default(),
        })
    }

    fn counts(places: &ConnectionPlaces<MerchantId>) -> [u64; 3] {
        let ConnectionBounds {
            refused,
            ended,
            beyond_share,
            ..
        } = &places.0.bounds;
        [refused.count(), ended.count(), beyond_share.count()]
    }

    /// Each row: what happens in order (`a` comes from address a, `=x` says that the last one is of merchant x), and the
    /// numbers of those that have a place then, from 0. There are 16 places, 4 of them for the unidentified.
    #[test]
    fn who_is_not_known_makes_room() {
        let merchant = |name: &str| format!("shop-{name}").parse::<MerchantId>().unwrap();
        for (steps, expected, counted) in [
            ("a a a a", "0 1 2 3", [0, 0, 0]),
            // From one address alone, the oldest goes.
            ("a a a a a", "1 2 3 4", [0, 1, 0]),
            // Others keep theirs, and the newcomer gets one, from whichever address it comes.
            ("b a a a a", "0 2 3 4", [0, 1, 0]),
            ("a a a b c", "1 2 3 4", [0, 1, 0]),
            ("a b c d e", "1 2 3 4", [0, 1, 0]),
            // Who is known is none of them.
            ("a =x a =x a a a a", "0 1 2 3 4 5", [0, 0, 0]),
            // A merchant has half of all places, and what it opens beyond that is for others to take.
            (
                "a =x a =x a =x a =x a =x a =x a =x a =x a =x a a a a",
                "0 1 2 3 4 5 6 7 9 10 11 12",
                [0, 1, 1],
            ),
            // Those that are known leave the others their places.
            (
                "a =x a =x a =x a =x a =x a =x a =x a =x a =y a =y a =y a =y a =y a =y a =y a =y b",
                "0 1 2 3 4 5 6 7 8 9 10 11 13 14 15 16",
                [0, 1, 4],
            ),
        ] {
            let places = places(16);
            let mut held = Vec::new();
            for step in steps.split(' ') {
                match step.strip_prefix('=') {
                    Some(name) => {
                        let place: &ConnectionPlace<MerchantId> = held.last().unwrap();
                        place.identify(&merchant(name));
                    }
                    None => {
                        let last = step.as_bytes()[0];
                        let address = Ipv4Addr::new(192, 0, 2, last).into();
                        held.extend(places.take(address));
                    }
                }
            }
            let kept = held.iter().filter(|place| !place.ended().is_cancelled());
            let kept: Vec<_> = kept.map(|place| place.number.to_string()).collect();
            assert_eq!(kept.join(" "), expected, "{steps}");
            assert_eq!(counts(&places), counted, "{steps}");
            drop(held);
            let held = places.0.lock();
            assert!(held.parties.is_empty() && held.unidentified.is_empty());
            assert!(held.addresses.is_empty() && held.identified == 0);
        }
    }

    #[test]
    fn a_network_has_one_share() {
        for (address, share) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(share_of(address).to_string(), share);
        }
    }

    #[test]
    fn an_ended_connection_keeps_nothing() {
        let places = places(1);
        let address = Ipv4Addr::LOCALHOST.into();
        let first = places.take(address).unwrap();
        let second = places.take(address).unwrap();
        assert!(first.ended().is_cancelled());
        let shop = "demo-shop".parse().unwrap();
        assert!(!first.identify(&shop));
        assert!(second.identify(&shop) && second.identify(&shop));
        assert!(places.take(address).is_none());
        assert!(!places.make_room());
        drop(second);
        assert!(places.take(address).is_some());
    }
}
