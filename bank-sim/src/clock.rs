//! The time of day as an argument, so that a test can set it.

use std::fmt;

use time::OffsetDateTime;

/// Tells the time of day. Timers do not use it: they run on tokio's monotonic clock, so a jump of
/// the wall clock moves no time-out.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The present moment, in UTC.
    fn now_utc(&self) -> OffsetDateTime;
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now_utc(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// A clock that stands still, for tests.
#[derive(Debug, Clone, Copy)]
pub struct FixedClock(
    /// The moment it shows, in UTC.
    pub OffsetDateTime,
);

impl Clock for FixedClock {
    fn now_utc(&self) -> OffsetDateTime {
        self.0
    }
}

/// DE 7, transmission date and time: `MMDDhhmmss` in UTC.
#[must_use]
pub(crate) fn transmission_date_time(now: OffsetDateTime) -> String {
    format!(
        "{:02}{:02}{:02}{:02}{:02}",
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second()
    )
}
