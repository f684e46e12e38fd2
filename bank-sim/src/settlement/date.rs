//! Business dates, in UTC, as data elements.

use time::Date;

/// A date as DE 15 (in 1993 also DE 28) has it: `MMDD`, in 1993 `YYMMDD`.
pub(crate) fn element(date: Date, is_of_1993: bool) -> String {
    let (month, day) = (u8::from(date.month()), date.day());
    if is_of_1993 {
        format!("{:02}{month:02}{day:02}", date.year().rem_euclid(100))
    } else {
        format!("{month:02}{day:02}")
    }
}
