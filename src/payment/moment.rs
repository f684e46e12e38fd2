//! Wall-clock milliseconds, and the two dates of an operation; moments and spans for people.

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

    /// For people, to the second: `2026-11-29 02:40:51 UTC`.
    #[must_use]
    pub fn to_second(self) -> String {
        let (date, (hour, minute, second)) = (self.utc().date(), self.utc().time().as_hms());
        format!("{date} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A span of milliseconds, to two units at most: `20 ms`, `4.3 s`, `12 min 5 s`, `3 d 4 h`.
#[must_use]
pub fn span(ms: i64) -> String {
    let ms = ms.max(0);
    let two = |unit: i64, name: &str, part: i64, part_name: &str| match ms % unit / part {
        0 => format!("{} {name}", ms / unit),
        rest => format!("{} {name} {rest} {part_name}", ms / unit),
    };
    match ms {
        0..SECOND => format!("{ms} ms"),
        SECOND..MINUTE => format!("{}.{} s", ms / SECOND, ms % SECOND / 100),
        MINUTE..HOUR => two(MINUTE, "min", SECOND, "s"),
        HOUR..DAY => two(HOUR, "h", MINUTE, "min"),
        DAY.. => two(DAY, "d", HOUR, "h"),
        _ => String::new(),
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
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
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

        impl TryFrom<String> for $name {
            type Error = InvalidDate;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(date: $name) -> Self {
                date.to_string()
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

impl BusinessDate {
    /// A date of the calendar; the last day of the month where `day` is not in it.
    #[must_use]
    pub fn new(year: i32, month: u8, day: u8) -> Self {
        let month = time::Month::try_from(month).unwrap_or(time::Month::December);
        let day = day.clamp(1, month.length(year));
        let date = time::Date::from_calendar_date(year, month, day);
        Self(date.unwrap_or(time::Date::MAX))
    }

    /// The date that a host names with MMDD, YYMMDD or YYYYMMDD: the one that is nearest to `near`, where it does not name
    /// the century or the year. None where there is no such date.
    #[must_use]
    pub fn named(text: &str, near: Self) -> Option<Self> {
        let is_number = text.bytes().all(|it| it.is_ascii_digit());
        let number: u32 = text.parse().ok().filter(|_| is_number)?;
        let month = u8::try_from(number / 100 % 100).ok()?;
        let day = u8::try_from(number % 100).ok()?;
        let year = i32::try_from(number / 10_000).ok()?;
        let around = near.0.year();
        // A 29th of February is eight years from the next at most.
        let years: Vec<i32> = match text.len() {
            4 => (around - 8..=around + 8).collect(),
            6 => (-1..=1)
                .map(|centuries| (around / 100 + centuries) * 100 + year)
                .collect(),
            8 => vec![year],
            _ => return None,
        };
        let dates = years
            .into_iter()
            .filter_map(|year| Self::of_calendar(year, month, day));
        dates.min_by_key(|date| (date.0 - near.0).abs())
    }

    /// How many days `other` is after this one; negative where it is before.
    #[must_use]
    pub fn days_until(self, other: Self) -> i64 {
        (other.0 - self.0).whole_days()
    }

    /// The date that is so many days before this one.
    #[must_use]
    pub fn days_before(self, days: u16) -> Self {
        let before = self.0.checked_sub(time::Duration::days(i64::from(days)));
        Self(before.unwrap_or(time::Date::MIN))
    }

    /// The date that is so many days after this one.
    #[must_use]
    pub fn days_after(self, days: u16) -> Self {
        let after = self.0.checked_add(time::Duration::days(i64::from(days)));
        Self(after.unwrap_or(time::Date::MAX))
    }

    /// The date, where the calendar has it.
    #[must_use]
    pub fn of_calendar(year: i32, month: u8, day: u8) -> Option<Self> {
        let month = time::Month::try_from(month).ok()?;
        let date = time::Date::from_calendar_date(year, month, day);
        date.ok().map(Self)
    }
}

impl NumberDate {
    /// The UTC date of a moment.
    #[must_use]
    pub fn of(moment: UnixMillis) -> Self {
        Self(moment.utc().date())
    }
}

/// The date of a calendar that nothing else is known of.
impl From<NumberDate> for BusinessDate {
    fn from(date: NumberDate) -> Self {
        Self(date.0)
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

    #[test]
    fn a_date_without_its_year_is_the_nearest_one() {
        for (text, near, expected) in [
            ("1129", "2026-11-29", Some("2026-11-29")),
            ("1231", "2027-01-01", Some("2026-12-31")),
            ("0101", "2026-12-31", Some("2027-01-01")),
            ("0229", "2027-03-02", Some("2028-02-29")),
            ("261130", "2026-11-29", Some("2026-11-30")),
            ("991231", "2000-01-02", Some("1999-12-31")),
            ("20261130", "2026-11-29", Some("2026-11-30")),
            ("1131", "2026-11-29", None),
            ("0000", "2026-11-29", None),
            ("+129", "2026-11-29", None),
            ("112", "2026-11-29", None),
        ] {
            let named = BusinessDate::named(text, near.parse().unwrap());
            assert_eq!(
                named.map(|date| date.to_string()).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn spans_read_well() {
        for (ms, expected) in [
            (-5, "0 ms"),
            (999, "999 ms"),
            (4_312, "4.3 s"),
            (60_000, "1 min"),
            (725_000, "12 min 5 s"),
            (3 * 3_600_000 + 60_000, "3 h 1 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(span(ms), expected);
        }
    }
}
