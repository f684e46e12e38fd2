//! Business dates, in UTC: as data elements, and as text.

use time::{Date, macros::format_description};

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

/// A date from `YYYY-MM-DD`.
pub(crate) fn parse(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}
