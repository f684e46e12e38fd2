//! Blocks of numbers for STANs and RRNs: reserved durably, handed out from memory.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Store;
use super::error::StoreError;
use super::tables::sequences::MAX_BLOCK;
use crate::payment::ids::HostId;
use crate::payment::moment::NumberDate;
use crate::payment::reference::SequenceNumber;
use crate::random::HashMap;

/// The most pairs of host and number date whose blocks are kept: two days of the most hosts, so that no
/// pair in use loses its block. The oldest dates go first; the rest of their blocks is never used.
const MAX_SEQUENCES: usize = 512;
/// The most attempts of a caller while others take the numbers of its block.
const ATTEMPTS: u32 = 16;

/// Hands out numbers. Cloning is cheap: all clones share the blocks.
#[derive(Debug, Clone)]
pub struct Numbers {
    store: Store,
    block: u64,
    sequences: Arc<Mutex<Sequences>>,
}

type Sequences = HashMap<(NumberDate, HostId), Arc<Sequence>>;

/// The numbers of one host and number date.
#[derive(Debug, Default)]
struct Sequence {
    blocks: Mutex<Blocks>,
    /// Held by the one caller that reserves.
    refilling: tokio::sync::Mutex<()>,
    /// Reservations that failed so far.
    failures: AtomicU64,
}

#[derive(Debug, Default)]
struct Blocks {
    /// The writer's connection when they were reserved.
    reconnects: u64,
    /// Taken, and not used.
    given_back: Vec<u64>,
    current: Range<u64>,
    ahead: Range<u64>,
}

/// A number that was taken. Unless it is [`used`](Self::used) it is given back, and the next caller gets it.
#[derive(Debug)]
pub struct TakenNumber {
    number: SequenceNumber,
    reconnects: u64,
    sequence: Arc<Sequence>,
    is_used: bool,
}

impl TakenNumber {
    /// The number.
    #[must_use]
    pub fn number(&self) -> SequenceNumber {
        self.number
    }

    /// Something may be recorded with it: nobody else may get it.
    pub fn used(mut self) -> SequenceNumber {
        self.may_be_used();
        self.number
    }

    /// Something may be being recorded with it: it is not given back, unless that turns out to be refused.
    pub fn may_be_used(&mut self) {
        self.is_used = true;
    }

    /// Nothing was recorded with it, and nothing will be.
    pub fn give_back(mut self) {
        self.is_used = false;
    }
}

impl Drop for TakenNumber {
    fn drop(&mut self) {
        if !self.is_used {
            lock(&self.sequence.blocks).give_back(self.reconnects, self.number);
        }
    }
}

impl Blocks {
    /// Drops what was reserved over an earlier connection: after a failover that lost commits, others may be given
    /// the same numbers.
    fn keep_of(&mut self, reconnects: u64) {
        if self.reconnects != reconnects {
            *self = Self {
                reconnects,
                ..Self::default()
            };
        }
    }

    fn take(&mut self) -> Option<u64> {
        if let Some(number) = self.given_back.pop() {
            return Some(number);
        }
        if self.current.is_empty() {
            self.current = std::mem::take(&mut self.ahead);
        }
        self.current.next()
    }

    /// One of an earlier connection is not given out again.
    fn give_back(&mut self, reconnects: u64, number: SequenceNumber) {
        if self.reconnects == reconnects {
            self.given_back.push(number.get());
        }
    }

    fn left(&self) -> u64 {
        let length = |range: &Range<u64>| range.end.saturating_sub(range.start);
        length(&self.current).saturating_add(length(&self.ahead))
    }

    fn add(&mut self, block: Range<u64>) {
        if self.current.is_empty() {
            self.current = std::mem::take(&mut self.ahead);
        }
        if self.current.is_empty() {
            self.current = block;
        } else {
            self.ahead = block;
        }
    }
}

impl Numbers {
    /// Takes blocks of `block` numbers (1 to [`MAX_BLOCK`]) from `store`. What is left of a block
    /// when the process ends is never used; a day has 100,000,000.
    #[must_use]
    pub fn new(store: Store, block: u64) -> Self {
        Self {
            store,
            block: block.clamp(1, MAX_BLOCK),
            sequences: Arc::default(),
        }
    }

    /// The next number of a host on a number date, which is used: [`take`](Self::take).
    ///
    /// # Errors
    /// As [`Store::reserve_sequence`].
    pub async fn next(
        &self,
        host: &HostId,
        date: NumberDate,
    ) -> Result<SequenceNumber, StoreError> {
        self.take(host, date).await.map(TakenNumber::used)
    }

    /// Takes the next number of a host on a number date: from memory, except for the first and when the
    /// database can't keep up.
    ///
    /// # Errors
    /// As [`Store::reserve_sequence`].
    pub async fn take(&self, host: &HostId, date: NumberDate) -> Result<TakenNumber, StoreError> {
        let sequence = self.sequence(host, date);
        for _ in 0..ATTEMPTS {
            let (number, reconnects, low) = {
                let mut blocks = lock(&sequence.blocks);
                blocks.keep_of(self.store.reconnects());
                let number = blocks.take();
                // The next block is fetched while half of one is left.
                (
                    number,
                    blocks.reconnects,
                    blocks.ahead.is_empty() && blocks.left() <= self.block / 2,
                )
            };
            let Some(number) = number else {
                // Boxed, because it is rare, and every payment would have room for it.
                Box::pin(self.refill(&sequence, host, date)).await?;
                continue;
            };
            if low {
                self.refill_ahead(sequence.clone(), *host, date);
            }
            let number =
                SequenceNumber::new(number).ok_or_else(|| StoreError::SequenceExhausted {
                    host: host.to_string(),
                    date: date.to_string(),
                })?;
            return Ok(TakenNumber {
                number,
                reconnects,
                sequence,
                is_used: false,
            });
        }
        Err(StoreError::Busy { waiting: 0 })
    }

    fn sequence(&self, host: &HostId, date: NumberDate) -> Arc<Sequence> {
        let mut sequences = lock(&self.sequences);
        if let Some(sequence) = sequences.get(&(date, *host)) {
            return sequence.clone();
        }
        if sequences.len() >= MAX_SEQUENCES
            && let Some(oldest) = sequences.keys().min().cloned()
        {
            sequences.remove(&oldest);
        }
        sequences.entry((date, *host)).or_default().clone()
    }

    /// One caller reserves a block, the others wait for it. When it fails, those that waited fail too:
    /// otherwise each would ask the same store again, one after the other.
    async fn refill(
        &self,
        sequence: &Sequence,
        host: &HostId,
        date: NumberDate,
    ) -> Result<(), StoreError> {
        let failures = sequence.failures.load(Ordering::Relaxed);
        let _only_one = sequence.refilling.lock().await;
        if lock(&sequence.blocks).left() > 0 {
            return Ok(());
        }
        if sequence.failures.load(Ordering::Relaxed) != failures {
            let reason = "another caller's reservation of numbers failed".to_owned();
            return Err(StoreError::Unavailable { reason });
        }
        let reserved = self.reserve(sequence, host, date).await;
        reserved.inspect_err(|_| {
            sequence.failures.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// Reserves a block, and adds it unless the writer has connected again meanwhile.
    async fn reserve(
        &self,
        sequence: &Sequence,
        host: &HostId,
        date: NumberDate,
    ) -> Result<(), StoreError> {
        let reconnects = self.store.reconnects();
        let block = self.store.reserve_sequence(host, date, self.block).await?;
        let mut blocks = lock(&sequence.blocks);
        blocks.keep_of(self.store.reconnects());
        if blocks.reconnects == reconnects {
            blocks.add(block);
        }
        Ok(())
    }

    /// Reserves in the background, unless another caller does. A failure is left to the caller that finds
    /// no number.
    fn refill_ahead(&self, sequence: Arc<Sequence>, host: HostId, date: NumberDate) {
        let numbers = self.clone();
        tokio::spawn(async move {
            let Ok(_only_one) = sequence.refilling.try_lock() else {
                return;
            };
            let low = {
                let blocks = lock(&sequence.blocks);
                blocks.ahead.is_empty() && blocks.left() <= numbers.block / 2
            };
            if !low {
                return;
            }
            if let Err(error) = numbers.reserve(&sequence, &host, date).await {
                tracing::warn!(%error, host.id = %host, "numbers could not be reserved ahead");
            }
        });
    }
}

/// Nothing panics while a lock is held, so that a poisoned one still holds what it should.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
