//! Moments for people.

use time::format_description::well_known::Rfc3339;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_shown_to_the_second() {
        let shown = second(UnixMillis::new(1_700_000_000_123)).unwrap();
        assert_eq!(shown, "2023-11-14T22:13:20Z");
    }
}
