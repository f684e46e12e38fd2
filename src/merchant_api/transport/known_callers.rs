//! What was looked up a moment ago: callers are known from it, without the store.
//!
//! What the store said is used for [`FRESH_FOR`]. After that it is asked again, and while it does not answer what
//! it said before is used on, for [`USABLE_FOR`] in all: a store that is slow turns nobody away who was good a
//! moment ago. What it does not know is remembered apart, so that made-up keys displace no real ones.

use std::hash::Hash;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::grpc::records::RecordsUnavailable;
use crate::metrics::BoundCounter;
use crate::shares::Shares;

/// How long what the store said is used before it is asked again. A revoked key works this long, and longer only
/// while the store does not answer.
const FRESH_FOR: Duration = Duration::from_secs(10);
/// How long what the store said is used when it does not answer.
const USABLE_FOR: Duration = Duration::from_secs(60);
/// How long one that was good a moment ago waits for the store.
const ASKED_AGAIN_WITHIN: Duration = Duration::from_millis(250);
/// How long the store is not asked again after it did not answer.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Keys or merchants that are remembered at most; unknown ones likewise.
const CAPACITY: u64 = 10_000;
/// Look-ups of what is not known at the store at once.
const LOOK_UPS: usize = 4;

/// What the store said of names of one kind.
pub(crate) struct Known<K: Ord + Hash + Clone, V> {
    found: Cache<K, Found<V>>,
    missing: Cache<K, ()>,
    /// One look-up at a time for each that is known.
    asking_again: Shares<K>,
    /// Look-ups of what is not known.
    asking: Semaphore,
}

#[derive(Clone)]
struct Found<V> {
    value: V,
    said_at: Instant,
    ask_again_at: Instant,
}

/// What is known of a name without asking.
pub(crate) enum InMemory<V> {
    /// What the store said a moment ago; `None` when it does not know the name.
    Fresh(Option<V>),
    /// What it said a while ago. It has to be asked again.
    Stale(V),
    /// Nothing.
    Nothing,
}

impl<V> InMemory<V> {
    /// What the store said; the inner `None` where it does not know the name. Notes whether it has to be asked again.
    pub(crate) fn known(self, is_stale: &mut bool) -> Option<Option<V>> {
        match self {
            Self::Fresh(known) => Some(known),
            Self::Stale(known) => {
                *is_stale = true;
                Some(Some(known))
            }
            Self::Nothing => None,
        }
    }
}

impl<K, V> Known<K, V>
where
    K: Ord + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self {
            found: Cache::builder()
                .max_capacity(CAPACITY)
                .time_to_live(USABLE_FOR)
                .build(),
            missing: Cache::builder()
                .max_capacity(CAPACITY)
                .time_to_live(FRESH_FOR)
                .build(),
            asking_again: Shares::of_their_own(1, BoundCounter::default()),
            asking: Semaphore::new(LOOK_UPS),
        }
    }

    pub(crate) fn get(&self, name: &K, now: Instant) -> InMemory<V> {
        match self.found.get(name) {
            Some(found) if now < found.ask_again_at => InMemory::Fresh(Some(found.value)),
            Some(found) if now < found.said_at + USABLE_FOR => InMemory::Stale(found.value),
            _ if self.missing.contains_key(name) => InMemory::Fresh(None),
            _ => InMemory::Nothing,
        }
    }

    /// What is known of a name, and otherwise what the store says. How long to wait is the caller's to bound.
    pub(crate) async fn find(
        &self,
        name: &K,
        ask: impl Future<Output = Result<Option<V>, RecordsUnavailable>>,
    ) -> Result<Option<V>, RecordsUnavailable> {
        match self.get(name, Instant::now()) {
            InMemory::Fresh(value) => Ok(value),
            InMemory::Stale(value) => self.ask_again(name, value, ask).await,
            InMemory::Nothing => {
                // The semaphore is never closed; without a permit the look-up is merely not bounded.
                let _turn = self.asking.acquire().await.ok();
                // Another call may have asked meanwhile.
                if let InMemory::Fresh(value) = self.get(name, Instant::now()) {
                    return Ok(value);
                }
                let value = ask.await?;
                self.remember(name, value.clone());
                Ok(value)
            }
        }
    }

    async fn ask_again(
        &self,
        name: &K,
        value: V,
        ask: impl Future<Output = Result<Option<V>, RecordsUnavailable>>,
    ) -> Result<Option<V>, RecordsUnavailable> {
        let _turn = self.asking_again.wait(name).await;
        if let InMemory::Fresh(value) = self.get(name, Instant::now()) {
            return Ok(value);
        }
        if let Ok(Ok(said)) = timeout(ASKED_AGAIN_WITHIN, ask).await {
            self.remember(name, said.clone());
            return Ok(said);
        }
        if let Some(mut found) = self.found.get(name) {
            found.ask_again_at = Instant::now() + ASKED_AGAIN_AFTER;
            self.found.insert(name.clone(), found);
        }
        Ok(Some(value))
    }

    fn remember(&self, name: &K, value: Option<V>) {
        let said_at = Instant::now();
        match value {
            Some(value) => {
                let found = Found {
                    value,
                    said_at,
                    ask_again_at: said_at + FRESH_FOR,
                };
                self.found.insert(name.clone(), found);
            }
            None => {
                self.found.invalidate(name);
                self.missing.insert(name.clone(), ());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn down() -> Result<Option<u32>, RecordsUnavailable> {
        let reason = "disk on fire".to_owned();
        Err(RecordsUnavailable { reason })
    }

    /// Makes what is known so much older.
    fn age(known: &Known<&'static str, u32>, by: Duration) {
        let mut found = known.found.get("a").unwrap();
        found.said_at -= by;
        found.ask_again_at -= by;
        known.found.insert("a", found);
    }

    #[tokio::test]
    async fn what_was_said_is_used_until_the_store_says_otherwise() {
        let known = Known::new();
        assert!(known.find(&"a", async { down() }).await.is_err());
        let said = known.find(&"a", async { Ok(Some(1)) }).await;
        assert_eq!(said.unwrap(), Some(1));
        // A moment later nobody is asked.
        assert_eq!(known.find(&"a", pending()).await.unwrap(), Some(1));
        // Later it is asked again, and used on when there is no answer: then not again for a moment.
        age(&known, FRESH_FOR);
        assert_eq!(known.find(&"a", async { down() }).await.unwrap(), Some(1));
        assert_eq!(known.find(&"a", pending()).await.unwrap(), Some(1));
        age(&known, ASKED_AGAIN_AFTER);
        let begun = Instant::now();
        assert_eq!(known.find(&"a", pending()).await.unwrap(), Some(1));
        assert!(begun.elapsed() >= ASKED_AGAIN_WITHIN);
        // But not for ever.
        age(&known, USABLE_FOR);
        assert!(known.find(&"a", async { down() }).await.is_err());
        // One that was revoked is not used any more.
        assert_eq!(
            known.find(&"a", async { Ok(Some(1)) }).await.unwrap(),
            Some(1)
        );
        age(&known, FRESH_FOR);
        assert_eq!(known.find(&"a", async { Ok(None) }).await.unwrap(), None);
        assert_eq!(known.find(&"a", pending()).await.unwrap(), None);
    }
}
