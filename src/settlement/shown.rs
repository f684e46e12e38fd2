//! How a text of a file stands in an error.

/// The most characters that are shown.
const MOST: usize = 40;

/// The shortest and the longest card number (ISO/IEC 7812-1).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 12..=19;

/// The beginning of a text, in which no run of digits can be a card number: of a run that is long enough for one only
/// the last four are shown. A shifted column may hold anything.
#[must_use]
pub fn shown(text: &str) -> String {
    let cut: String = text.chars().take(MOST).collect();
    // What was cut off may belong to the run.
    let is_cut = cut.len() < text.len();
    let mut out = String::with_capacity(cut.len());
    let mut rest = cut.as_str();
    while !rest.is_empty() {
        let end = rest.find(|it: char| !it.is_ascii_digit());
        let (digits, after) = rest.split_at(end.unwrap_or(rest.len()));
        let may_go_on = is_cut && after.is_empty();
        if CARD_DIGITS.contains(&digits.len()) || may_go_on && !digits.is_empty() {
            let hidden = digits.len().saturating_sub(4);
            out.extend(std::iter::repeat_n('*', hidden));
            out.extend(digits.chars().skip(hidden));
        } else {
            out.push_str(digits);
        }
        let next = after.find(|it: char| it.is_ascii_digit());
        let (other, digits) = after.split_at(next.unwrap_or(after.len()));
        out.push_str(other);
        rest = digits;
    }
    out
}

/// A text that is kept, in which no run of digits can be a card number. No card number begins with 0, as an RRN may that
/// was filled up.
#[must_use]
pub fn without_cards(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|it: char| !it.is_ascii_digit());
        let (digits, after) = rest.split_at(end.unwrap_or(rest.len()));
        match digits.len() {
            13..=19 if !digits.starts_with('0') => out.push_str(&shown(digits)),
            _ => out.push_str(digits),
        }
        let next = after.find(|it: char| it.is_ascii_digit());
        let (other, digits) = after.split_at(next.unwrap_or(after.len()));
        out.push_str(other);
        rest = digits;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_kept_holds_no_card_number() {
        for (text, expected) in [
            ("633312000001", "633312000001"),
            ("000633312000001", "000633312000001"),
            ("74000006333000000000012", "74000006333000000000012"),
            ("order 4111111111111111.", "order ************1111."),
        ] {
            assert_eq!(without_cards(text), expected);
        }
    }

    #[test]
    fn a_text_is_cut_and_shows_no_card_number() {
        let long = "x".repeat(50);
        for (text, expected) in [
            ("", ""),
            ("12.5O", "12.5O"),
            ("4111111111111111", "************1111"),
            ("a4111111111111111,5", "a************1111,5"),
            ("12345678901234567890123", "12345678901234567890123"),
            (&long, &long[..40]),
        ] {
            assert_eq!(shown(text), expected);
        }
        let at_the_cut = format!("{}4111111111111111", "x".repeat(30));
        assert_eq!(shown(&at_the_cut), format!("{}******1111", "x".repeat(30)));
    }
}
