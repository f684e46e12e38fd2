//! The calendar of a host: which of its dates are business dates, and when each ends.

use std::collections::BTreeSet;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::payment::moment::{BusinessDate, UnixMillis};

/// The most days that are looked at for the next business date: longer than any row of holidays.
const LOOKED_AT: i64 = 400;

/// What ends the days of a host, and dates its items. (An operator may end a day at any host.)
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatedBy {
    /// The time of day of the profile.
    #[default]
    Clock,
    /// The host's own message: 0800 with DE 70 = 201, and the new date in DE 15.
    Host,
    /// The same; and where the answer to an operation has another date in DE 15 than the day that is open, the
    /// difference is named.
    De15,
}

/// When a host's days end, as its profile says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    pub(in crate::hosts) dated_by: DatedBy,
    pub(in crate::hosts) zone: TimeZone,
    /// The time of day of the cutover. Before noon, it is on the day after the business date.
    pub(in crate::hosts) cutover: Time,
    pub(in crate::hosts) weekend: Vec<Weekday>,
    pub(in crate::hosts) holidays: BTreeSet<Date>,
}

impl Calendar {
    /// Every date is a business date, and ends at midnight.
    #[must_use]
    pub(in crate::hosts) fn every_day(zone: TimeZone) -> Self {
        Self {
            dated_by: DatedBy::Clock,
            zone,
            cutover: Time::midnight(),
            weekend: Vec::new(),
            holidays: BTreeSet::new(),
        }
    }

    /// The business date at a moment: the first that has not ended.
    #[must_use]
    pub fn date_at(&self, now: UnixMillis) -> BusinessDate {
        let today = self.local_date(now);
        self.first_open(today.yesterday().unwrap_or(today), now)
    }

    /// The business date that follows on `date` at a moment: the first later one that has not ended.
    #[must_use]
    pub fn date_after(&self, date: BusinessDate, now: UnixMillis) -> BusinessDate {
        let today = self.local_date(now);
        let yesterday = today.yesterday().unwrap_or(today);
        let later = civil(date).tomorrow().unwrap_or(yesterday);
        self.first_open(yesterday.max(later), now)
    }

    /// The date at a moment, where the host is.
    #[must_use]
    pub fn today(&self, now: UnixMillis) -> BusinessDate {
        business_date(self.local_date(now))
    }

    /// Whether banks work on a date.
    #[must_use]
    pub fn is_business_day(&self, date: BusinessDate) -> bool {
        let date = civil(date);
        !self.weekend.contains(&date.weekday()) && !self.holidays.contains(&date)
    }

    /// When the day of a date ends by itself; none where the host ends it.
    #[must_use]
    pub fn ends_at(&self, date: BusinessDate) -> Option<UnixMillis> {
        (self.dated_by == DatedBy::Clock).then(|| self.end_of(civil(date)))
    }

    /// Whether the host ends its days by a message.
    #[must_use]
    pub fn is_cut_by_host(&self) -> bool {
        self.dated_by != DatedBy::Clock
    }

    fn end_of(&self, date: Date) -> UnixMillis {
        let on = match self.cutover.hour() < 12 {
            true => date.tomorrow().unwrap_or(date),
            false => date,
        };
        // A time that a change of the clocks leaves out, or has twice, is taken as RFC 5545 does.
        let moment = self.zone.to_timestamp(on.to_datetime(self.cutover));
        moment.map_or(UnixMillis::new(i64::MAX), |moment| {
            UnixMillis::new(moment.as_millisecond())
        })
    }

    fn local_date(&self, now: UnixMillis) -> Date {
        let now = Timestamp::from_millisecond(now.as_i64()).unwrap_or_default();
        self.zone.to_datetime(now).date()
    }

    /// The first business date from `from` on that has not ended.
    fn first_open(&self, from: Date, now: UnixMillis) -> BusinessDate {
        let is_open =
            |date: &Date| self.is_business_day(business_date(*date)) && now < self.end_of(*date);
        let dates = (0..LOOKED_AT).map(|days| from.saturating_add(Span::new().days(days)));
        business_date(dates.into_iter().find(is_open).unwrap_or(from))
    }
}

fn civil(date: BusinessDate) -> Date {
    let date = date.date();
    let parts = (
        i16::try_from(date.year()),
        i8::try_from(u8::from(date.month())),
        i8::try_from(date.day()),
    );
    match parts {
        (Ok(year), Ok(month), Ok(day)) => Date::new(year, month, day).unwrap_or_default(),
        _ => Date::default(),
    }
}

fn business_date(date: Date) -> BusinessDate {
    let (year, month, day) = (date.year(), date.month(), date.day());
    BusinessDate::new(i32::from(year), month.unsigned_abs(), day.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;
    use crate::hosts::message::local_clock::time_zone;

    fn at(text: &str) -> UnixMillis {
        let moment: Timestamp = text.parse().unwrap();
        UnixMillis::new(moment.as_millisecond())
    }

    fn madrid() -> Calendar {
        Calendar {
            dated_by: DatedBy::Clock,
            zone: time_zone("Europe/Madrid").unwrap(),
            cutover: time(23, 0, 0, 0),
            weekend: vec![Weekday::Saturday, Weekday::Sunday],
            holidays: [date(2026, 12, 25)].into(),
        }
    }

    /// In Madrid it is an hour later than in UTC in winter. 2026-11-27 is a Friday.
    #[test]
    fn a_day_ends_at_the_hosts_own_time_and_the_next_one_is_a_business_date() {
        let calendar = madrid();
        for (now, expected) in [
            ("2026-11-27T21:59:59Z", "2026-11-27"),
            ("2026-11-27T22:00:00Z", "2026-11-30"),
            ("2026-11-29T12:00:00Z", "2026-11-30"),
            ("2026-12-24T22:00:00Z", "2026-12-28"),
        ] {
            assert_eq!(calendar.date_at(at(now)).to_string(), expected, "{now}");
        }
        let friday = "2026-11-27".parse().unwrap();
        assert_eq!(calendar.ends_at(friday), Some(at("2026-11-27T22:00:00Z")));
        // An operator may end a day before its time; and a gateway may have been down for days.
        for (now, expected) in [
            ("2026-11-27T10:00:00Z", "2026-11-30"),
            ("2026-11-27T22:00:00Z", "2026-11-30"),
            ("2026-12-03T10:00:00Z", "2026-12-03"),
        ] {
            let next = calendar.date_after(friday, at(now));
            assert_eq!(next.to_string(), expected, "{now}");
        }
    }

    #[test]
    fn a_cutover_before_noon_is_on_the_next_day() {
        let calendar = Calendar {
            cutover: time(2, 30, 0, 0),
            ..Calendar::every_day(time_zone("Europe/Madrid").unwrap())
        };
        // On 2026-03-29 the clocks go from 2:00 to 3:00: what is left out comes an hour later.
        let saturday = "2026-03-28".parse().unwrap();
        assert_eq!(calendar.ends_at(saturday), Some(at("2026-03-29T01:30:00Z")));
        assert_eq!(calendar.date_at(at("2026-03-29T01:29:59Z")), saturday);
        // The gateway was down for two days: what comes before the cutover is yesterday's.
        let before = "2026-03-26".parse().unwrap();
        let next = calendar.date_after(before, at("2026-03-29T00:00:00Z"));
        assert_eq!(next, saturday);
        let midnight = Calendar::every_day(TimeZone::UTC);
        assert_eq!(midnight.ends_at(saturday), Some(at("2026-03-29T00:00:00Z")));
        assert_eq!(midnight.date_at(at("2026-03-28T23:59:59Z")), saturday);
    }
}
