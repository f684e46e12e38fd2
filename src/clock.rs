//! Time: the only place that asks the machine for it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rustls_pki_types::UnixTime;

use crate::payment::moment::UnixMillis;

/// Tells the wall-clock time. Deadlines within the process use `tokio::time::Instant` instead, so
/// that a clock that jumps moves no time-out.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Now.
    fn now(&self) -> UnixMillis;

    /// Microseconds since 1970-01-01T00:00:00Z.
    fn now_us(&self) -> u64 {
        u64::try_from(self.now().as_i64()).map_or(0, |millis| millis.saturating_mul(1000))
    }

    /// Now, as what checks certificates takes it.
    fn unix_time(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_micros(self.now_us()))
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX))
    }

    fn now_us(&self) -> u64 {
        u64::try_from(since_epoch().as_micros()).unwrap_or(u64::MAX)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the clock"
)]
fn since_epoch() -> Duration {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(UnixMillis::new(1000));
        assert_eq!(clock.now(), clock.now());
        clock.advance_ms(-250);
        assert_eq!(clock.now().as_i64(), 750);
        assert_eq!(clock.now_us(), 750_000);
    }
}
