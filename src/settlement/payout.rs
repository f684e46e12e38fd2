//! Payouts: whether one is made today and of how much, and when it arrives.
//!
//! Pure: the balance, the day and the calendar are arguments.

use crate::payment::moment::BusinessDate;

use super::payout_plan::{PayoutPlan, Schedule};
use super::rounding::per_million;

/// The most days that are looked at for a business day: longer than any row of holidays.
const LOOKED_AT: u16 = 400;

/// What a merchant is owed in one currency, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PayoutBalance {
    /// What is settled and not paid out. Negative: the merchant owes.
    pub available_minor: i64,
    /// What of `available_minor` no reserve is taken from, since it was once: returned payouts, and reserves that were
    /// given back and are not paid out. 0 or more.
    pub reserved_before_minor: i64,
    /// The reserves whose time has come, which are not in `available_minor` yet. 0 or more.
    pub reserve_release_minor: i64,
}

/// What is done for a merchant today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayoutDecision {
    /// A payout is made.
    Pay {
        /// Its amount, in minor units: more than 0. It contains the reserves whose time has come.
        amount_minor: i64,
        /// What is held back instead, in minor units.
        reserve_minor: i64,
    },
    /// There is too little to pay out; it stays available.
    BelowMinimum {
        /// What could be paid, in minor units: 0 or more.
        payable_minor: i64,
    },
    /// The merchant owes; later captures make up for it.
    Negative {
        /// What is carried on, in minor units: less than 0.
        carried_minor: i64,
    },
    /// The plan makes no payout today.
    NotToday,
    /// The plan makes no payout until it is changed.
    Held,
}

/// Whether and what a merchant is paid `today`.
#[must_use]
pub fn plan_payout(
    balance: &PayoutBalance,
    plan: &PayoutPlan,
    today: BusinessDate,
    is_business_day: impl Fn(BusinessDate) -> bool,
) -> PayoutDecision {
    let terms = plan.terms();
    if terms.hold {
        return PayoutDecision::Held;
    }
    if !is_payout_day(terms.schedule, today, is_business_day) {
        return PayoutDecision::NotToday;
    }
    let available = balance.available_minor;
    let unreserved = available.saturating_sub(balance.reserved_before_minor);
    let reserve = per_million(unreserved.max(0), terms.reserve_ppm, 0);
    let reserve_minor = i64::try_from(reserve).unwrap_or(i64::MAX);
    let payable_minor = available
        .saturating_add(balance.reserve_release_minor)
        .saturating_sub(reserve_minor);
    match payable_minor {
        ..0 => PayoutDecision::Negative {
            carried_minor: payable_minor,
        },
        0.. if payable_minor < terms.minimum_minor.max(1) => {
            PayoutDecision::BelowMinimum { payable_minor }
        }
        0.. => PayoutDecision::Pay {
            amount_minor: payable_minor,
            reserve_minor,
        },
    }
}

/// Whether a day of the schedule is today, or has come since the last business day.
fn is_payout_day(
    schedule: Schedule,
    today: BusinessDate,
    is_business_day: impl Fn(BusinessDate) -> bool,
) -> bool {
    if !is_business_day(today) {
        return false;
    }
    let mut day = today;
    for _ in 0..LOOKED_AT {
        if is_scheduled(schedule, day) {
            return true;
        }
        match day.date().previous_day().map(business_date) {
            Some(before) if !is_business_day(before) => day = before,
            _ => return false,
        }
    }
    false
}

fn is_scheduled(schedule: Schedule, day: BusinessDate) -> bool {
    let date = day.date();
    match schedule {
        Schedule::Daily => true,
        Schedule::Weekly(weekday) => date.weekday() == weekday,
        Schedule::Monthly(day) => date.day() == day.min(date.month().length(date.year())),
    }
}

/// The calendar has no business day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a business day within {LOOKED_AT} days after {after}, got none")]
pub struct NoBusinessDay {
    /// After which day.
    pub after: BusinessDate,
}

/// The day on which a payout of `date` arrives: the first business day from `date` on, and `delay_days` business days more.
///
/// # Errors
/// When the calendar has no business day for longer than a year.
pub fn arrival_date(
    date: BusinessDate,
    delay_days: u16,
    is_business_day: impl Fn(BusinessDate) -> bool,
) -> Result<BusinessDate, NoBusinessDay> {
    let mut arrival = first_business_day(date, date, &is_business_day)?;
    for _ in 0..delay_days {
        let next = arrival.date().next_day().map(business_date);
        let next = next.ok_or(NoBusinessDay { after: arrival })?;
        arrival = first_business_day(next, arrival, &is_business_day)?;
    }
    Ok(arrival)
}

fn first_business_day(
    from: BusinessDate,
    after: BusinessDate,
    is_business_day: impl Fn(BusinessDate) -> bool,
) -> Result<BusinessDate, NoBusinessDay> {
    let days = std::iter::successors(Some(from), |day| day.date().next_day().map(business_date));
    days.take(LOOKED_AT.into())
        .find(|day| is_business_day(*day))
        .ok_or(NoBusinessDay { after })
}

fn business_date(date: time::Date) -> BusinessDate {
    BusinessDate::new(date.year(), date.month().into(), date.day())
}

#[cfg(test)]
mod tests;
