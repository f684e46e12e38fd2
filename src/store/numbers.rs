//! Blocks of numbers for STANs and RRNs: reserved durably, handed out from memory.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Store;
use super::error::StoreError;
use super::tables::sequences::MAX_BLOCK;
use crate::payment::ids::HostId;
use crate::payment::moment::BusinessDate;
use crate::payment::reference::SequenceNumber;

/// The most pairs of host and business date whose blocks are kept: two days of as many hosts as there
/// can be, so that none that is in use loses its block. The oldest dates go first, and
/// what is left of their blocks is never used.
const KEPT_LINES: usize = 512;
/// How often a caller whose numbers others took away meanwhile tries again.
const ATTEMPTS: u32 = 16;

/// Hands out numbers. Cloning is cheap: all clones share the blocks.
#[derive(Debug, Clone)]
pub struct Numbers {
    store: Store,
    block: u64,
    lines: Arc<Mutex<Lines>>,
}

type Lines = HashMap<(BusinessDate, HostId), Arc<Line>>;

/// The blocks of one host and business date.
#[derive(Debug, Default)]
struct Line {
    blocks: Mutex<Blocks>,
    /// Held by whoever reserves: one at a time.
    refilling: tokio::sync::Mutex<()>,
    /// Reservations that failed so far.
    failures: AtomicU64,
}

#[derive(Debug, Default)]
struct Blocks {
    current: Range<u64>,
    ahead: Range<u64>,
}

impl Blocks {
    fn take(&mut self) -> Option<u64> {
        if self.current.is_empty() {
            self.current = std::mem::take(&mut self.ahead);
        }
        self.current.next()
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
            lines: Arc::default(),
        }
    }

    /// The next number of a host's business date: from memory, except for the first and when the
    /// database can't keep up.
    ///
    /// # Errors
    /// As [`Store::reserve_sequence`].
    pub async fn next(
        &self,
        host: &HostId,
        date: BusinessDate,
    ) -> Result<SequenceNumber, StoreError> {
        let line = self.line(host, date);
        for _ in 0..ATTEMPTS {
            let (number, low) = {
                let mut blocks = lock(&line.blocks);
                let number = blocks.take();
                // The next block is fetched while half of one is left.
                (
                    number,
                    blocks.ahead.is_empty() && blocks.left() <= self.block / 2,
                )
            };
            let Some(number) = number else {
                self.refill(&line, host, date).await?;
                continue;
            };
            if low {
                self.refill_ahead(line.clone(), *host, date);
            }
            return SequenceNumber::new(number).ok_or_else(|| StoreError::SequenceExhausted {
                host: host.to_string(),
                date: date.to_string(),
            });
        }
        Err(StoreError::Busy { waiting: 0 })
    }

    fn line(&self, host: &HostId, date: BusinessDate) -> Arc<Line> {
        let mut lines = lock(&self.lines);
        if let Some(line) = lines.get(&(date, *host)) {
            return line.clone();
        }
        if lines.len() >= KEPT_LINES
            && let Some(oldest) = lines.keys().min().cloned()
        {
            lines.remove(&oldest);
        }
        lines.entry((date, *host)).or_default().clone()
    }

    /// Waits for numbers: one caller reserves, the others wait for it. When it fails, those that were
    /// waiting then fail with it: each would only ask the same store again, one after the other.
    async fn refill(
        &self,
        line: &Line,
        host: &HostId,
        date: BusinessDate,
    ) -> Result<(), StoreError> {
        let failures = line.failures.load(Ordering::Relaxed);
        let _only_one = line.refilling.lock().await;
        if lock(&line.blocks).left() > 0 {
            return Ok(());
        }
        if line.failures.load(Ordering::Relaxed) != failures {
            let reason = "a reservation of numbers that this one waited for failed".to_owned();
            return Err(StoreError::Unavailable { reason });
        }
        let reserved = self.store.reserve_sequence(host, date, self.block).await;
        let block = reserved.inspect_err(|_| {
            line.failures.fetch_add(1, Ordering::Relaxed);
        })?;
        lock(&line.blocks).add(block);
        Ok(())
    }

    /// Reserves in the background, unless that is being done already. A failure is left to whoever
    /// finds the line empty.
    fn refill_ahead(&self, line: Arc<Line>, host: HostId, date: BusinessDate) {
        let numbers = self.clone();
        tokio::spawn(async move {
            let Ok(_only_one) = line.refilling.try_lock() else {
                return;
            };
            let low = {
                let blocks = lock(&line.blocks);
                blocks.ahead.is_empty() && blocks.left() <= numbers.block / 2
            };
            if !low {
                return;
            }
            match numbers
                .store
                .reserve_sequence(&host, date, numbers.block)
                .await
            {
                Ok(block) => lock(&line.blocks).add(block),
                Err(error) => {
                    tracing::warn!(%error, host.id = %host, "numbers could not be reserved ahead");
                }
            }
        });
    }
}

/// Nothing panics while a lock is held, so that a poisoned one still holds what it should.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
