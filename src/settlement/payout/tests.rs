use proptest::prelude::*;
use time::Weekday;

use super::*;
use crate::settlement::payout_plan::PayoutTerms;

/// Monday to Friday, but for Christmas.
fn is_business_day(day: BusinessDate) -> bool {
    let date = day.date();
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
        && (u8::from(date.month()), date.day()) != (12, 25)
}

fn date(text: &str) -> BusinessDate {
    text.parse().unwrap()
}

fn terms(schedule: Schedule) -> PayoutTerms {
    PayoutTerms {
        schedule,
        delay_days: 0,
        minimum_minor: 0,
        reserve_ppm: 0,
        reserve_days: 90,
        hold: false,
    }
}

fn decision(terms: PayoutTerms, balance: PayoutBalance, today: &str) -> PayoutDecision {
    let plan = PayoutPlan::new(terms).unwrap();
    plan_payout(&balance, &plan, date(today), is_business_day)
}

/// 2026-11-27 is a Friday, 2026-12-25 too, and 2027-02-28 is a Sunday.
#[test]
fn a_payout_is_made_on_its_day_or_the_next_business_day() {
    use Schedule::{Daily, Monthly, Weekly};
    let available = PayoutBalance {
        available_minor: 1,
        ..PayoutBalance::default()
    };
    for (schedule, today, is_paid) in [
        (Daily, "2026-11-27", true),
        (Daily, "2026-11-28", false),
        (Daily, "2026-12-25", false),
        (Weekly(Weekday::Friday), "2026-11-27", true),
        (Weekly(Weekday::Friday), "2026-11-30", false),
        (Weekly(Weekday::Saturday), "2026-11-27", false),
        (Weekly(Weekday::Saturday), "2026-11-28", false),
        (Weekly(Weekday::Saturday), "2026-11-30", true),
        (Weekly(Weekday::Friday), "2026-12-25", false),
        (Weekly(Weekday::Friday), "2026-12-28", true),
        (Monthly(30), "2026-11-30", true),
        (Monthly(31), "2026-11-30", true),
        (Monthly(31), "2027-02-28", false),
        (Monthly(31), "2027-03-01", true),
        (Monthly(1), "2027-03-01", true),
        (Monthly(2), "2027-03-01", false),
    ] {
        let expected = match is_paid {
            true => PayoutDecision::Pay {
                amount_minor: 1,
                reserve_minor: 0,
            },
            false => PayoutDecision::NotToday,
        };
        let got = decision(terms(schedule), available, today);
        assert_eq!(got, expected, "{schedule:?} {today}");
    }
}

#[test]
fn what_is_available_decides_what_is_paid() {
    let negative = |carried_minor| PayoutDecision::Negative { carried_minor };
    let below = |payable_minor| PayoutDecision::BelowMinimum { payable_minor };
    let pay = |amount_minor, reserve_minor| PayoutDecision::Pay {
        amount_minor,
        reserve_minor,
    };
    // Available, of which a reserve was taken from, reserves to release; minimum, reserve in parts per million.
    for (balance, minimum, ppm, expected) in [
        ((0, 0, 0), 0, 0, below(0)),
        ((999, 0, 0), 1_000, 0, below(999)),
        ((1_000, 0, 0), 1_000, 0, pay(1_000, 0)),
        ((-1, 0, 0), 0, 0, negative(-1)),
        // 5 % of 10.00 are held back, and 3.00 of an earlier month paid.
        ((1_000, 0, 300), 0, 50_000, pay(1_250, 50)),
        // 2.50 to the even 2, 3.50 to the even 4.
        ((50, 0, 0), 0, 50_000, pay(48, 2)),
        ((70, 0, 0), 0, 50_000, pay(66, 4)),
        // A payout that came back bears no second reserve.
        ((1_000, 400, 0), 0, 50_000, pay(970, 30)),
        ((100, 400, 0), 0, 50_000, pay(100, 0)),
        // Everything is held back.
        ((1_000, 0, 0), 0, 1_000_000, below(0)),
        // A reserve pays the merchant's debt.
        ((-200, 0, 300), 0, 50_000, pay(100, 0)),
        ((-400, 0, 300), 0, 50_000, negative(-100)),
        // A balance below 0 but for what a reserve was taken from before.
        ((-400, 300, 0), 0, 50_000, negative(-400)),
        ((i64::MAX, 0, i64::MAX), 0, 0, pay(i64::MAX, 0)),
    ] {
        let (available_minor, reserved_before_minor, reserve_release_minor) = balance;
        let balance = PayoutBalance {
            available_minor,
            reserved_before_minor,
            reserve_release_minor,
        };
        let terms = PayoutTerms {
            minimum_minor: minimum,
            reserve_ppm: ppm,
            ..terms(Schedule::Daily)
        };
        let got = decision(terms, balance, "2026-11-27");
        assert_eq!(got, expected, "{balance:?}");
        let held = PayoutTerms {
            hold: true,
            ..terms
        };
        let got = decision(held, balance, "2026-11-28");
        assert_eq!(got, PayoutDecision::Held);
    }
}

#[test]
fn a_payout_arrives_on_a_business_day() {
    for (from, delay, expected) in [
        ("2026-11-27", 0, "2026-11-27"),
        ("2026-11-27", 1, "2026-11-30"),
        ("2026-11-28", 0, "2026-11-30"),
        ("2026-11-28", 1, "2026-12-01"),
        ("2026-12-23", 2, "2026-12-28"),
        ("2026-12-25", 0, "2026-12-28"),
        ("2026-11-30", 60, "2027-02-23"),
    ] {
        let arrival = arrival_date(date(from), delay, is_business_day);
        assert_eq!(arrival, Ok(date(expected)), "{from} {delay}");
    }
    let after = date("2026-11-27");
    let never = arrival_date(after, 1, |day| day == after);
    assert_eq!(never, Err(NoBusinessDay { after }));
    assert!(arrival_date(after, 0, |_| false).is_err());
    assert!(arrival_date(date("9999-12-31"), 1, |_| true).is_err());
}

proptest! {
    /// Whatever is available is paid, held back or left, and none of it twice.
    #[test]
    fn a_decision_accounts_for_the_whole_balance(
        available in -1_000_000..1_000_000_i64,
        reserved in 0..1_000_000_i64,
        release in 0..1_000_000_i64,
        ppm in 0..=1_000_000_u32,
        minimum in 0..1_000_000_i64,
    ) {
        let terms = PayoutTerms { minimum_minor: minimum, reserve_ppm: ppm, ..terms(Schedule::Daily) };
        let balance = PayoutBalance {
            available_minor: available,
            reserved_before_minor: reserved,
            reserve_release_minor: release,
        };
        match decision(terms, balance, "2026-11-27") {
            PayoutDecision::Pay { amount_minor, reserve_minor } => {
                prop_assert_eq!(amount_minor + reserve_minor, available + release);
                prop_assert!(amount_minor >= minimum.max(1));
                prop_assert!((0..=available.max(0)).contains(&reserve_minor));
            }
            PayoutDecision::BelowMinimum { payable_minor } => {
                prop_assert!((0..minimum.max(1)).contains(&payable_minor));
            }
            PayoutDecision::Negative { carried_minor } => {
                prop_assert!(carried_minor < 0);
                prop_assert_eq!(carried_minor, available + release);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    /// More delay never brings a payout earlier, and each business day of it is one later.
    #[test]
    fn each_day_of_delay_is_a_business_day_later(start in 1..28_u8, delay in 0..60_u16) {
        let from = BusinessDate::new(2026, 12, start);
        let arrival = arrival_date(from, delay, is_business_day).unwrap();
        let later = arrival_date(from, delay + 1, is_business_day).unwrap();
        prop_assert!(is_business_day(arrival) && arrival < later);
        let mut between = arrival.date().next_day().unwrap();
        while between < later.date() {
            prop_assert!(!is_business_day(business_date(between)));
            between = between.next_day().unwrap();
        }
    }
}
