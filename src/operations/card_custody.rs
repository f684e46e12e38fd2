//! Custody of cards: seals the card of a new payment, opens it for a later message, and looks after the data keys.
//!
//! A data key seals for a day (UTC), for all nodes. Every node reads the keys every few seconds, and the first that
//! finds the newest one of an earlier day makes the next. So nothing is read for a payment.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use crate::card::custody::{CustodyError, DataKeys, KeptCard};
use crate::card::fingerprint::Fingerprints;
use crate::card::master_key::MasterKey;
use crate::card::masters::MasterKeyError;
use crate::card::pan::Card;
use crate::clock::Clock;
use crate::payment::custody::{CustodyEntry, CustodyTimes};
use crate::payment::ids::{MerchantId, PaymentId};
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::random::Random;
use crate::stack;
use crate::store::Store;
use crate::store::change::NewCard;
use crate::store::error::StoreError;
use crate::store::records::CustodyKey;
use crate::store::records::lists::MAX_PAGE_SIZE;

/// Between two looks at the keys.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Keys that were read longer ago are read again before a card is sealed: a node that was paused does not seal under
/// a key that others have replaced since. In milliseconds.
const FRESH_MS: i64 = 40_000;
/// After this, counted from when a key was replaced, no card is sealed under it any more: keys are fresh, and
/// an intent is recorded, far sooner. In milliseconds.
const SETTLED_MS: i64 = 300_000;
/// Cards of a key are counted at most once in this time, in milliseconds.
const COUNT_EVERY_MS: i64 = 86_400_000;
/// A payment is named, by some node's clock, at most this long before or after its card was sealed, in milliseconds.
const NAMED_WITHIN_MS: i64 = 3_600_000;
/// The most keys that operators may make: the keys of all days for which a card can be kept find room beside them.
pub const MAX_KEYS: usize = MAX_PAGE_SIZE - 100;

/// Why custody could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CardCustodyError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key or a card.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// The master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
}

/// The custody of cards.
#[derive(Debug)]
pub struct CardCustody {
    store: Store,
    keys: DataKeys,
    fingerprints: Fingerprints,
    clock: Arc<dyn Clock>,
    times: CustodyTimes,
    hold_days: u16,
    /// When the keys were read last.
    read_at_ms: AtomicI64,
    /// Held while they are read.
    reading: Mutex<()>,
}

impl CardCustody {
    /// Reads the data keys, and makes the first of the day. `hold_days` is the longest that a host holds an amount.
    ///
    /// # Errors
    /// When the store can't be used, or a data key does not open under this master key.
    pub async fn open(
        store: Store,
        master_key: &MasterKey,
        clock: Arc<dyn Clock>,
        random: &Random,
        times: CustodyTimes,
        hold_days: u16,
    ) -> Result<Self, CardCustodyError> {
        let custody = Self {
            store,
            keys: DataKeys::new(master_key, random),
            fingerprints: Fingerprints::new(master_key)?,
            clock,
            times,
            hold_days,
            read_at_ms: AtomicI64::new(i64::MIN),
            reading: Mutex::default(),
        };
        custody.read_keys().await?;
        Ok(custody)
    }

    /// How long cards are kept.
    #[must_use]
    pub fn times(&self) -> CustodyTimes {
        self.times
    }

    /// What is kept of the card of a new payment, and the fingerprint by which the merchant knows it again.
    ///
    /// # Errors
    /// When the keys have to be read and can't be, or a card can't be sealed.
    pub async fn seal(
        &self,
        card: &Card,
        merchant_id: &MerchantId,
        payment_id: PaymentId,
    ) -> Result<(NewCard, String), CardCustodyError> {
        if !self.is_fresh() {
            let _reading = self.reading.lock().await;
            if !self.is_fresh() {
                // Boxed, because it is rare, and every payment would have room for it.
                Box::pin(self.read_keys()).await?;
            }
        }
        stack::wiped_after_shallow(|| {
            let new_card = NewCard {
                entry: Some(self.keys.seal(card, merchant_id, payment_id)?),
                velocity: self.fingerprints.velocity(&card.pan),
            };
            let fingerprint = self.fingerprints.fingerprint(&card.pan, merchant_id);
            Ok((new_card, fingerprint))
        })
    }

    /// The card of a payment, for a message that may still have to be sent. `known` is what was read of it before.
    /// `None` when its custody has ended, or the payment is older than custody.
    ///
    /// # Errors
    /// When the store can't be read; [`CustodyError::KeyGone`] when the data key is destroyed.
    pub async fn card_of(
        &self,
        merchant_id: &MerchantId,
        payment_id: PaymentId,
        known: Option<CustodyEntry>,
    ) -> Result<Option<KeptCard>, CardCustodyError> {
        let entry = match known {
            Some(entry) => Some(entry),
            None => self.store.custody_entry(payment_id).await?,
        };
        let Some(entry) = entry else {
            return Ok(None);
        };
        if !self.keys.has(entry.key_version) {
            self.read_keys().await?;
        }
        let card = stack::wiped_after_shallow(|| self.keys.open(&entry, merchant_id, payment_id))?;
        Ok(Some(card))
    }

    /// Reads the keys again and again, makes the key of each day, and removes cards whose custody has ended, until
    /// `stop`.
    pub async fn look_after_keys_until(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if let Err(error) = self.look_after_keys().await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(
                    error,
                    "The data keys of cards in custody could not be looked after"
                );
            }
        }
    }

    /// Looks after the keys once.
    pub(crate) async fn look_after_keys(&self) -> Result<(), CardCustodyError> {
        let now = self.clock.now();
        let keys = {
            let _reading = self.reading.lock().await;
            self.read_keys().await?
        };
        for (key, replaced_at) in replaced(&keys) {
            let settled = replaced_at.plus_ms(SETTLED_MS) <= now;
            if settled && key.next_count <= now {
                self.count(key, replaced_at, now).await?;
            }
        }
        Ok(())
    }

    /// The data keys, newest first, at most `limit`, from the one before `before` on.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn keys(
        &self,
        limit: usize,
        before: Option<i64>,
    ) -> Result<Vec<CustodyKey>, StoreError> {
        self.store.custody_keys(limit, before).await
    }

    /// Makes a new data key, which seals from now on; on other nodes within seconds. `None` when there are
    /// [`MAX_KEYS`] already.
    ///
    /// # Errors
    /// When the store can't be used.
    pub async fn rotate(&self) -> Result<Option<CustodyKey>, CardCustodyError> {
        let _reading = self.reading.lock().await;
        let keys = self.read_keys().await?;
        if keys.len() >= MAX_KEYS {
            return Ok(None);
        }
        let key = self.make(keys.first()).await?;
        let keys = self.read_keys().await?;
        // Where another node has made a key of this version at this moment, that one is as new.
        let made = keys
            .into_iter()
            .find(|it| it.key_version == key.key_version);
        Ok(Some(made.unwrap_or(key)))
    }

    /// Destroys the data keys that seal no card any more, as their cards were counted last, and those whose time
    /// is over with all that they seal. Returns their versions.
    ///
    /// # Errors
    /// When the store can't be used; a later call destroys what is left.
    pub async fn destroy_expired(&self) -> Result<Vec<i64>, CardCustodyError> {
        let now = self.clock.now();
        let _reading = self.reading.lock().await;
        let keys = self.read_keys().await?;
        let mut expired = Vec::new();
        for (key, replaced_at) in replaced(&keys) {
            if replaced_at.plus_ms(SETTLED_MS) > now {
                continue;
            }
            if key.expires_at <= now {
                // What it seals ends with it, whenever it would have ended.
                let end = UnixMillis::new(i64::MAX);
                let range = payments_of(key, replaced_at);
                self.store.end_custody(key.key_version, range, end).await?;
                expired.push(key.key_version);
            } else if key.entries == Some(0) {
                expired.push(key.key_version);
            }
        }
        // Also where there is none: an earlier call may have been cut short.
        self.store.destroy_custody_keys(&expired).await?;
        self.read_keys().await?;
        Ok(expired)
    }

    fn is_fresh(&self) -> bool {
        let read_at_ms = self.read_at_ms.load(Ordering::Relaxed);
        self.clock.now().as_i64().saturating_sub(read_at_ms) < FRESH_MS
    }

    /// Reads the keys, newest first, and makes the first of the day.
    async fn read_keys(&self) -> Result<Vec<CustodyKey>, CardCustodyError> {
        let mut keys = self.load().await?;
        let today = NumberDate::of(self.clock.now());
        if keys
            .first()
            .is_none_or(|newest| NumberDate::of(newest.created_at) < today)
        {
            self.make(keys.first()).await?;
            keys = self.load().await?;
        }
        Ok(keys)
    }

    async fn load(&self) -> Result<Vec<CustodyKey>, CardCustodyError> {
        let read_at = self.clock.now();
        let keys = self.store.custody_keys(MAX_PAGE_SIZE, None).await?;
        let wrapped = keys
            .iter()
            .map(|key| (key.key_version, key.wrapped.as_str()));
        self.keys.load(wrapped)?;
        self.read_at_ms.store(read_at.as_i64(), Ordering::Relaxed);
        Ok(keys)
    }

    /// Makes the key after `newest`, unless another node has made one of its version.
    async fn make(&self, newest: Option<&CustodyKey>) -> Result<CustodyKey, CardCustodyError> {
        let now = self.clock.now();
        let key_version = newest.map_or(1, |newest| newest.key_version.saturating_add(1));
        let key = CustodyKey {
            key_version,
            wrapped: self.keys.make(key_version)?,
            created_at: now,
            expires_at: self.times.key_expires_at(now, self.hold_days),
            entries: None,
            next_count: now,
        };
        self.store.insert_custody_key(&key).await?;
        Ok(key)
    }

    /// Removes what has ended of the cards that a replaced key seals, and counts the rest. Of several nodes one does.
    async fn count(
        &self,
        key: &CustodyKey,
        replaced_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let later = now.plus_ms(COUNT_EVERY_MS);
        if !self
            .store
            .set_custody_count(key, key.entries, later)
            .await?
        {
            return Ok(());
        }
        let counting = CustodyKey {
            next_count: later,
            ..key.clone()
        };
        let range = payments_of(key, replaced_at);
        let counted = self.store.end_custody(key.key_version, range, now).await?;
        let next = counted.next_end.max(later);
        let kept = Some(counted.kept);
        self.store.set_custody_count(&counting, kept, next).await?;
        tracing::info!(
            key_version = key.key_version,
            kept = counted.kept,
            "The cards of a data key were counted"
        );
        Ok(())
    }
}

/// The keys that seal no more, each with when the next one was made. `keys` begins with the newest.
fn replaced(keys: &[CustodyKey]) -> impl Iterator<Item = (&CustodyKey, UnixMillis)> {
    let next = keys.iter().map(|key| key.created_at);
    keys.iter().skip(1).zip(next)
}

/// The payments whose cards this key may seal lie between these.
fn payments_of(key: &CustodyKey, replaced_at: UnixMillis) -> (PaymentId, PaymentId) {
    let first = key.created_at.plus_ms(-NAMED_WITHIN_MS);
    let last = replaced_at.plus_ms(NAMED_WITHIN_MS);
    (
        PaymentId::from_parts(first, [0; 10]),
        PaymentId::from_parts(last, [0xff; 10]),
    )
}

#[cfg(test)]
pub(crate) mod tests;
