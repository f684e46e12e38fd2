//! When and what a merchant is paid, as its operator wrote it: in TOML, or in JSON.
//!
//! ```toml
//! schedule = { weekly = "monday" }   # or "daily", or { monthly = 31 }
//! delay_days = 2
//! minimum_minor = 1_000
//! reserve_ppm = 50_000
//! reserve_days = 90
//! ```

use serde::{Deserialize, Serialize};
use time::Weekday;

use crate::payment::money::MAX_AMOUNT_MINOR;

use super::rounding::WHOLE_PPM;

/// The most business days from a payout to its arrival.
pub const MOST_DELAY_DAYS: u16 = 60;
/// The most days that a reserve is held back.
pub const MOST_RESERVE_DAYS: u16 = 1_000;

/// The days of payouts. One that is no business day is followed by the next that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Every business day.
    Daily,
    /// One day of the week.
    Weekly(#[serde(with = "WeekdayWord")] Weekday),
    /// One day of the month, 1 to 31; in a month that lacks it the last one.
    Monthly(u8),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Weekday", rename_all = "snake_case")]
enum WeekdayWord {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// What a plan says, as it is written. A [`PayoutPlan`] is one that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayoutTerms {
    /// The days of payouts.
    pub schedule: Schedule,
    /// Business days from a payout to its arrival at the merchant's bank: 0 to [`MOST_DELAY_DAYS`].
    #[serde(default)]
    pub delay_days: u16,
    /// What less than is not paid out: minor units, 0 or more.
    #[serde(default)]
    pub minimum_minor: i64,
    /// What is held back of a payout, in parts per million of what was settled: 0 to 1,000,000.
    #[serde(default)]
    pub reserve_ppm: u32,
    /// How many calendar days it is held back: 1 to [`MOST_RESERVE_DAYS`] where something is.
    #[serde(default)]
    pub reserve_days: u16,
    /// Nothing is paid out.
    #[serde(default)]
    pub hold: bool,
}

/// A plan that a merchant can be paid by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PayoutTerms", into = "PayoutTerms")]
pub struct PayoutPlan(PayoutTerms);

/// Why terms are no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: expected {least} to {most}, got {got}")]
pub struct PayoutPlanError {
    /// The key.
    pub key: &'static str,
    /// The least that it may be.
    pub least: i64,
    /// The most.
    pub most: i64,
    /// The number.
    pub got: i64,
}

impl PayoutPlan {
    /// A plan of these terms.
    ///
    /// # Errors
    /// When a number is out of its range.
    pub fn new(terms: PayoutTerms) -> Result<Self, PayoutPlanError> {
        let day = match terms.schedule {
            Schedule::Monthly(day) => i64::from(day),
            Schedule::Daily | Schedule::Weekly(_) => 1,
        };
        let least_reserve_days = i64::from(terms.reserve_ppm > 0);
        for (key, got, least, most) in [
            ("schedule.monthly", day, 1, 31),
            (
                "delay_days",
                terms.delay_days.into(),
                0,
                MOST_DELAY_DAYS.into(),
            ),
            ("minimum_minor", terms.minimum_minor, 0, MAX_AMOUNT_MINOR),
            ("reserve_ppm", terms.reserve_ppm.into(), 0, WHOLE_PPM.into()),
            (
                "reserve_days",
                terms.reserve_days.into(),
                least_reserve_days,
                MOST_RESERVE_DAYS.into(),
            ),
        ] {
            if !(least..=most).contains(&got) {
                return Err(PayoutPlanError {
                    key,
                    least,
                    most,
                    got,
                });
            }
        }
        Ok(Self(terms))
    }

    /// What it says.
    #[must_use]
    pub const fn terms(&self) -> &PayoutTerms {
        &self.0
    }
}

impl TryFrom<PayoutTerms> for PayoutPlan {
    type Error = PayoutPlanError;

    fn try_from(terms: PayoutTerms) -> Result<Self, Self::Error> {
        Self::new(terms)
    }
}

impl From<PayoutPlan> for PayoutTerms {
    fn from(plan: PayoutPlan) -> Self {
        plan.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "schedule = { weekly = \"monday\" }\ndelay_days = 2\nminimum_minor = 1_000\n\
        reserve_ppm = 50_000\nreserve_days = 90\n";

    #[test]
    fn a_plan_reads_from_toml_and_reads_back_from_json() {
        let plan: PayoutPlan = toml::from_str(PLAN).unwrap();
        let expected = PayoutTerms {
            schedule: Schedule::Weekly(Weekday::Monday),
            delay_days: 2,
            minimum_minor: 1_000,
            reserve_ppm: 50_000,
            reserve_days: 90,
            hold: false,
        };
        assert_eq!(plan.terms(), &expected);
        for schedule in ["\"daily\"", "{ monthly = 31 }", "{ weekly = \"sunday\" }"] {
            let text = PLAN.replace("{ weekly = \"monday\" }", schedule);
            let plan: PayoutPlan = toml::from_str(&text).unwrap();
            let json = serde_json::to_string(&plan).unwrap();
            assert_eq!(serde_json::from_str::<PayoutPlan>(&json).unwrap(), plan);
        }
    }

    #[test]
    fn what_can_not_be_is_refused_where_it_stands() {
        for (from, to, expected) in [
            (
                "delay_days = 2",
                "delay_days = 61",
                "delay_days: expected 0 to 60, got 61",
            ),
            (
                "1_000",
                "-1",
                "minimum_minor: expected 0 to 999999999999, got -1",
            ),
            (
                "50_000",
                "1_000_001",
                "reserve_ppm: expected 0 to 1000000, got 1000001",
            ),
            ("= 90", "= 0", "reserve_days: expected 1 to 1000, got 0"),
            (
                "weekly = \"monday\"",
                "monthly = 32",
                "schedule.monthly: expected 1 to 31, got 32",
            ),
            ("monday", "mon", "unknown variant `mon`"),
            ("delay_days", "delay", "unknown field `delay`"),
        ] {
            let text = PLAN.replacen(from, to, 1);
            assert_ne!(text, PLAN, "{from}");
            let error = toml::from_str::<PayoutPlan>(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{from}: {error}");
        }
    }
}
