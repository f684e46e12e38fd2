//! Wall-clock milliseconds, and the two dates of an operation.

// A length of time, and no clock: `core::time` has nothing else.
use core::time::Duration;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::macros::format_description;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(i64);

impl UnixMillis {
    /// A moment `millis` milliseconds after the epoch.
    #[must_use]
    pub const fn new(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds after the epoch.
    #[must_use]
    pub const fn as_i64(self) -> i64 {
        self.0
    }

    /// The moment `millis` milliseconds later; it stops at the end of the range.
    #[must_use]
    pub const fn plus_ms(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The moment `wait` later; it stops at the end of the range.
    #[must_use]
    pub fn plus(self, wait: Duration) -> Self {
        self.plus_ms(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
    }

    /// The moment `days` times 24 hours later.
    #[must_use]
    pub fn plus_days(self, days: u16) -> Self {
        self.plus_ms(i64::from(days) * 86_400_000)
    }

    /// The UTC date and time; a moment outside the calendar's range gives the epoch.
    #[must_use]
    pub fn utc(self) -> time::OffsetDateTime {
        time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
    }
}

/// A text that is not a date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a date as YYYY-MM-DD, got {got:?}")]
pub struct InvalidDate {
    /// The text as it came, cut to 20 characters.
    pub got: String,
}

macro_rules! calendar_date {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(time::Date);

        impl $name {
            /// The calendar date.
            #[must_use]
            pub fn date(self) -> time::Date {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let (year, month, day) = self.0.to_calendar_date();
                write!(f, "{year:04}-{:02}-{day:02}", u8::from(month))
            }
        }

        impl FromStr for $name {
            type Err = InvalidDate;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                time::Date::parse(text, format_description!("[year]-[month]-[day]"))
                    .map(Self)
                    .map_err(|_| InvalidDate {
                        got: text.chars().take(20).collect(),
                    })
            }
        }
    };
}

calendar_date!(
    /// The UTC date of DE 7. Sequences of STANs and RRNs, and the uniqueness of both, hang on it.
    NumberDate
);
calendar_date!(
    /// The bank's date of something that is settled: a capture, a sale, a refund, a chargeback, a
    /// correction. Nothing else has one.
    BusinessDate
);

impl NumberDate {
    /// The UTC date of a moment.
    #[must_use]
    pub fn of(moment: UnixMillis) -> Self {
        Self(moment.utc().date())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_back_and_nonsense_does_not() {
        let date = NumberDate::of(UnixMillis::new(1_795_219_199_999));
        assert_eq!(date.to_string(), "2026-11-20");
        assert_eq!("2026-11-20".parse(), Ok(date));
        for text in [
            "",
            "2026-13-01",
            "2026-02-30",
            "20261120",
            "2026-11-20T00:00:00Z",
        ] {
            assert!(text.parse::<NumberDate>().is_err(), "{text}");
        }
    }
}
