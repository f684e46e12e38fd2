//! The counts in memory. There are so many and no more: where a new one finds no place, those go that were not used for
//! the longest time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use iso8583::hex;

use super::window::{Counted, Untold};
use crate::payment::ids::MerchantId;
use crate::payment::moment::UnixMillis;
use crate::random::HashMap;

/// Parts of the table, each with a lock of its own, which is held for a moment.
const SHARDS: usize = 16;
/// The most counts of half a part: all together 131,072, some 20 MB.
const MOST_OF_HALF: usize = 4_096;

/// A keyed hash of a card, or an address.
pub(super) type Hash = [u8; 16];

/// What is counted: a limit, and the subject that it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The place of the limit among all.
    pub(super) limit: usize,
    /// The merchant, where it is counted for each apart, or is the subject itself.
    pub(super) merchant_id: Option<MerchantId>,
    /// A keyed hash of the card, or the address; nothing of a merchant.
    pub(super) hash: Hash,
}

impl Key {
    /// The subject as text: the merchant, a bar, and the hash in hexadecimal digits.
    pub(super) fn subject(&self) -> String {
        let merchant = self.merchant_id.as_ref().map_or("", MerchantId::as_str);
        format!("{merchant}|{}", hex::encode_lower(&self.hash))
    }

    /// The key of a subject that was written so.
    pub(super) fn of_subject(limit: usize, subject: &str) -> Option<Self> {
        let (merchant, hash) = subject.split_once('|')?;
        let merchant_id = match merchant {
            "" => None,
            merchant => Some(merchant.parse().ok()?),
        };
        Some(Self {
            limit,
            merchant_id,
            hash: hex::decode_lower(hash)?,
        })
    }
}

/// The counts.
#[derive(Debug)]
pub(super) struct Table {
    shards: [Mutex<Shard>; SHARDS],
}

/// Half of it was used lately, the other half before. A full half becomes the older one, whose counts go.
#[derive(Debug, Default)]
struct Shard {
    lately: HashMap<Key, Counted>,
    before: HashMap<Key, Counted>,
    /// What other nodes are to be told of.
    queue: Vec<Key>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl Table {
    /// How much counts of a subject. It takes no place for one that is not known.
    pub(super) fn count(&self, key: &Key, at: UnixMillis, window_ms: i64) -> i64 {
        let shard = self.shard(key);
        let known = shard.lately.get(key).or_else(|| shard.before.get(key));
        known.map_or(0, |counted| counted.at(at, window_ms))
    }

    /// How much counts of a subject, and until when there are `most`, where there are.
    pub(super) fn blocked(
        &self,
        key: &Key,
        at: UnixMillis,
        window_ms: i64,
        most: u32,
    ) -> (i64, Option<UnixMillis>) {
        let shard = self.shard(key);
        let known = shard.lately.get(key).or_else(|| shard.before.get(key));
        known.map_or((0, None), |counted| {
            let until = counted.at_most_until(at, i64::from(most), window_ms);
            (counted.at(at, window_ms), until)
        })
    }

    /// Forgets what was counted of a subject.
    pub(super) fn forget(&self, key: &Key) {
        if let Some(counted) = self.shard(key).known(key) {
            counted.forget();
        }
    }

    /// Counts one more, unless `most` count already. Whether it did.
    pub(super) fn take(
        &self,
        key: &Key,
        at: UnixMillis,
        (window_ms, told_from): (i64, i64),
        most: u32,
    ) -> bool {
        let mut shard = self.shard(key);
        let counted = shard.used(key, at, window_ms);
        let free = counted.at(at, window_ms) < i64::from(most);
        if free {
            counted.add(at, 1, window_ms);
            shard.queue(key, told_from);
        }
        free
    }

    /// Counts.
    pub(super) fn add(
        &self,
        key: &Key,
        at: UnixMillis,
        (window_ms, told_from): (i64, i64),
        count: i64,
    ) {
        let mut shard = self.shard(key);
        shard.used(key, at, window_ms).add(at, count, window_ms);
        shard.queue(key, told_from);
    }

    /// Takes back one that was counted at that moment, unless its count is forgotten.
    pub(super) fn take_back(&self, key: &Key, at: UnixMillis, (window_ms, told_from): (i64, i64)) {
        let mut shard = self.shard(key);
        if let Some(counted) = shard.known(key) {
            counted.add(at, -1, window_ms);
            shard.queue(key, told_from);
        }
    }

    /// Takes in what all nodes have counted of a subject in one window.
    pub(super) fn store(&self, key: &Key, begins_ms: i64, count: i64, window_ms: i64) {
        let mut shard = self.shard(key);
        let at = UnixMillis::new(begins_ms);
        shard
            .used(key, at, window_ms)
            .store(begins_ms, count, window_ms);
    }

    /// What other nodes are to be told, at most `most` counts. `window_ms` is that of a limit.
    pub(super) fn take_untold(
        &self,
        most: usize,
        window_ms: impl Fn(usize) -> i64,
    ) -> Vec<(Key, Untold)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            // Each has two windows at most.
            while all.len() + 1 < most
                && let Some(key) = shard.queue.pop()
            {
                if let Some(counted) = shard.known(&key) {
                    counted.is_queued = false;
                    let untold = counted.take_untold(window_ms(key.limit));
                    all.extend(untold.into_iter().flatten().map(|it| (key, it)));
                }
            }
        }
        all
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        // The hash of a card is as good as random; that of a merchant is its name.
        let name = key.merchant_id.as_ref().map_or("", MerchantId::as_str);
        let bytes = key.hash.iter().copied().chain(name.bytes());
        let index = bytes.fold(key.limit, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(usize::from(byte))
        });
        let [first, ..] = &self.shards;
        lock(self.shards.get(index % SHARDS).unwrap_or(first))
    }
}

impl Shard {
    fn known(&mut self, key: &Key) -> Option<&mut Counted> {
        match self.lately.get_mut(key) {
            Some(counted) => Some(counted),
            None => self.before.get_mut(key),
        }
    }

    /// The count of a subject, which is used now.
    fn used(&mut self, key: &Key, at: UnixMillis, window_ms: i64) -> &mut Counted {
        if !self.lately.contains_key(key) {
            let counted = self.before.remove(key);
            if self.lately.len() >= MOST_OF_HALF {
                self.before = std::mem::take(&mut self.lately);
                let before = &self.before;
                self.queue.retain(|it| it == key || before.contains_key(it));
            }
            let counted = counted.unwrap_or_else(|| Counted::none(at, window_ms));
            self.lately.insert(*key, counted);
        }
        let none = || Counted::none(at, window_ms);
        self.lately.entry(*key).or_insert_with(none)
    }

    fn queue(&mut self, key: &Key, told_from: i64) {
        let Some(counted) = self.known(key) else {
            return;
        };
        if !counted.is_queued && counted.is_to_be_told(told_from) {
            counted.is_queued = true;
            self.queue.push(*key);
        }
    }
}

/// Nothing panics while a lock is held, so that a poisoned one still holds what it should.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::new(5_000);
    /// One window, of which others are told from the first count on.
    const WINDOW: (i64, i64) = (10_000, 1);

    fn key(number: u32) -> Key {
        let mut hash = [0; 16];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        Key {
            limit: 0,
            merchant_id: None,
            hash,
        }
    }

    fn places(table: &Table) -> usize {
        let of = |shard: &Mutex<Shard>| {
            let shard = lock(shard);
            assert!(shard.queue.len() <= shard.lately.len() + shard.before.len());
            shard.lately.len() + shard.before.len()
        };
        table.shards.iter().map(of).sum()
    }

    #[test]
    fn a_subject_reads_back() {
        for merchant_id in [None, Some("shop-1".parse().unwrap())] {
            let key = Key {
                merchant_id,
                ..key(0xabcd)
            };
            assert_eq!(Key::of_subject(0, &key.subject()), Some(key));
        }
        for text in ["", "00", "|00", "sh op|00000000000000000000000000000000"] {
            assert_eq!(Key::of_subject(0, text), None, "{text}");
        }
    }

    #[test]
    fn the_most_pass_and_no_more() {
        let table = Table::default();
        let taken = (0..10).filter(|_| table.take(&key(1), NOW, WINDOW, 3));
        assert_eq!(taken.count(), 3);
        assert!(table.take(&key(2), NOW, WINDOW, 3));
        table.add(&key(1), NOW, WINDOW, -1);
        assert!(table.take(&key(1), NOW, WINDOW, 3));
        assert_eq!(table.count(&key(1), NOW, WINDOW.0), 3);
    }

    #[test]
    fn the_table_is_bounded_and_keeps_what_is_used() {
        let table = Table::default();
        for number in 1..400_000 {
            assert!(table.take(&key(number), NOW, WINDOW, 1));
            // One subject is looked at again and again.
            if number % 1_000 == 1 {
                table.take(&key(1), NOW, WINDOW, 1);
            }
        }
        assert!(
            places(&table) <= 2 * SHARDS * MOST_OF_HALF,
            "{}",
            places(&table)
        );
        assert!(
            places(&table) >= SHARDS * MOST_OF_HALF,
            "{}",
            places(&table)
        );
        assert_eq!(table.count(&key(1), NOW, WINDOW.0), 1);
        assert_eq!(table.count(&key(2), NOW, WINDOW.0), 0);
        // To ask takes no place.
        let before = places(&table);
        assert_eq!(table.count(&key(500_000), NOW, WINDOW.0), 0);
        assert_eq!(places(&table), before);
    }

    #[test]
    fn what_is_untold_comes_in_batches() {
        let table = Table::default();
        for number in 0..100 {
            table.add(&key(number), NOW, WINDOW, 2);
        }
        let mut told = Vec::new();
        loop {
            let batch = table.take_untold(64, |_| WINDOW.0);
            assert!(batch.len() <= 64);
            if batch.is_empty() {
                break;
            }
            assert!(
                batch
                    .iter()
                    .all(|(_, it)| it.count == 2 && it.begins_ms == 0)
            );
            told.extend(batch.into_iter().map(|(key, _)| key.hash));
        }
        told.sort_unstable();
        told.dedup();
        assert_eq!(told.len(), 100);
        assert_eq!(table.count(&key(7), NOW, WINDOW.0), 2);
        table.store(&key(7), 0, 9, WINDOW.0);
        assert_eq!(table.count(&key(7), NOW, WINDOW.0), 9);
        assert!(table.take_untold(64, |_| WINDOW.0).is_empty());
    }
}
