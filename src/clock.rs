//! Time and randomness: the only place that asks the machine for either.

use std::cell::RefCell;
use std::sync::atomic::{AtomicI64, Ordering};

use ring::rand::{SecureRandom, SystemRandom};

use crate::payment::moment::UnixMillis;

/// Tells the wall-clock time. Deadlines within the process use `tokio::time::Instant` instead, so
/// that a clock that jumps moves no time-out.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Now.
    fn now(&self) -> UnixMillis;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now_us(self) -> u64 {
        u64::try_from(since_epoch().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the clock"
)]
fn since_epoch() -> std::time::Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// A clock that stands still until it is moved: for tests and simulations.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: UnixMillis) -> Self {
        Self(AtomicI64::new(now.as_i64()))
    }

    /// Moves it by `millis` milliseconds, back when negative.
    pub fn advance_ms(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.0.load(Ordering::SeqCst))
    }
}

/// The operating system gave no randomness. Nothing that needs a fresh number can be done then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoEntropy;

/// `N` bytes from the operating system's generator.
///
/// # Errors
/// When the operating system has none.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| NoEntropy)?;
    Ok(bytes)
}

/// How many bytes for names a thread asks the operating system for at once: for 64 identifiers.
const STOCK_BYTES: usize = 640;

thread_local! {
    /// Random bytes that no name of this thread has used yet.
    static STOCK: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// `N` bytes for a name that has to be unique, not secret: they come from the operating system too, but
/// many names' at once, so that not each name is a system call.
///
/// # Errors
/// When the operating system has none.
pub fn random_bytes_for_name<const N: usize>() -> Result<[u8; N], NoEntropy> {
    const { assert!(N <= STOCK_BYTES, "a name is shorter than the stock") }
    STOCK.with_borrow_mut(|stock| {
        if stock.len() < N {
            *stock = random_bytes::<STOCK_BYTES>()?.to_vec();
        }
        let (rest, taken) = stock.split_last_chunk::<N>().ok_or(NoEntropy)?;
        let (left, taken) = (rest.len(), *taken);
        stock.truncate(left);
        Ok(taken)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_names_are_used_once() {
        let mut names = std::collections::HashSet::new();
        for _ in 0..1000 {
            assert!(names.insert(random_bytes_for_name::<10>().unwrap()));
        }
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(UnixMillis::new(1000));
        assert_eq!(clock.now(), clock.now());
        clock.advance_ms(-250);
        assert_eq!(clock.now().as_i64(), 750);
    }
}
