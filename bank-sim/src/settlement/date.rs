//! Business dates, in UTC: as data elements, and as text.

use time::{Date, Month, macros::format_description};

/// The element that holds the business date of a message about many items: DE 15, in 1993 DE 28.
pub(crate) fn element_number(is_of_1993: bool) -> u8 {
    if is_of_1993 { 28 } else { 15 }
}

/// A date as DE 15 (in 1993 also DE 28) has it: `MMDD`, in 1993 `YYMMDD`.
pub(crate) fn element(date: Date, is_of_1993: bool) -> String {
    let (month, day) = (u8::from(date.month()), date.day());
    if is_of_1993 {
        format!("{:02}{month:02}{day:02}", date.year().rem_euclid(100))
    } else {
        format!("{month:02}{day:02}")
    }
}

/// The date that an element says. `MMDD` has no year: the date nearest to `near` is meant.
pub(crate) fn of_element(text: &str, is_of_1993: bool, near: Date) -> Option<Date> {
    let (year, rest) = text.split_at_checked(if is_of_1993 { 2 } else { 0 })?;
    let (month, day) = rest.split_at_checked(2)?;
    if day.len() != 2 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
    let day = day.parse().ok()?;
    let years = if is_of_1993 {
        let year = 2_000 + year.parse::<i32>().ok()?;
        year..=year
    } else {
        near.year() - 1..=near.year() + 1
    };
    years
        .filter_map(|year| Date::from_calendar_date(year, month, day).ok())
        .min_by_key(|date| (*date - near).whole_days().abs())
}

/// A date from `YYYY-MM-DD`.
pub(crate) fn parse(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn a_date_without_a_year_is_the_nearest() {
        for (text, near, expected) in [
            ("1129", date!(2026 - 11 - 30), Some(date!(2026 - 11 - 29))),
            ("1231", date!(2027 - 01 - 01), Some(date!(2026 - 12 - 31))),
            ("0101", date!(2026 - 12 - 31), Some(date!(2027 - 01 - 01))),
            ("0229", date!(2027 - 03 - 01), Some(date!(2028 - 02 - 29))),
            ("0229", date!(2026 - 03 - 01), None),
            ("1331", date!(2026 - 12 - 31), None),
            ("112", date!(2026 - 12 - 31), None),
            ("+129", date!(2026 - 12 - 31), None),
        ] {
            assert_eq!(
                of_element(text, false, near),
                expected,
                "{text} near {near}"
            );
        }
        let near = date!(2026 - 12 - 31);
        assert_eq!(
            of_element("270101", true, near),
            Some(date!(2027 - 01 - 01))
        );
        assert_eq!(of_element("0101", true, near), None);
        assert_eq!(element(date!(2027 - 01 - 01), true), "270101");
        assert_eq!(element(date!(2027 - 01 - 01), false), "0101");
    }
}
