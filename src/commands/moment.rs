//! Moments for people.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::error::CommandError;
use crate::payment::moment::UnixMillis;

/// A moment to the second (RFC 3339).
///
/// # Errors
/// When it lies outside the calendar.
pub fn second(moment: UnixMillis) -> Result<String, CommandError> {
    let second = moment.utc().replace_nanosecond(0)?;
    Ok(second.format(&Rfc3339)?)
}

/// A moment to the millisecond (RFC 3339).
///
/// # Errors
/// When it lies outside the calendar.
pub fn millisecond(moment: UnixMillis) -> Result<String, CommandError> {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    Ok(moment.utc().format(format)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_shown_to_the_second_or_the_millisecond() {
        let shown = second(UnixMillis::new(1_700_000_000_123)).unwrap();
        assert_eq!(shown, "2023-11-14T22:13:20Z");
        let shown = millisecond(UnixMillis::new(1_700_000_000_023)).unwrap();
        assert_eq!(shown, "2023-11-14T22:13:20.023Z");
    }
}
