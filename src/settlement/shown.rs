//! How a text of a file stands in an error.

use crate::card::clear_card::without_card_numbers;

/// The most characters that are shown.
const MOST: usize = 40;

/// The runs of digits that are hidden whatever their last digit is: card numbers (ISO/IEC 7812-1), and those of twelve digits
/// that were in use before.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 12..=19;

/// The beginning of a text, in which nothing can be a card number: of one, and of each run of digits that is as long as one,
/// only the last four are shown. A shifted column may hold anything.
#[must_use]
pub fn shown(text: &str) -> String {
    let text = &*without_card_numbers(text);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_and_shows_no_card_number() {
        let long = "x".repeat(50);
        for (text, expected) in [
            ("", ""),
            ("12.5O", "12.5O"),
            ("4111111111111111", "************1111"),
            ("a4111111111111111,5", "a************1111,5"),
            ("4111 1111 1111 1111", "**** **** **** 1111"),
            // No card number, and hidden all the same.
            ("4111111111111112", "************1112"),
            ("12345678901234567890123", "12345678901234567890123"),
            (&long, &long[..40]),
        ] {
            assert_eq!(shown(text), expected);
        }
        let at_the_cut = format!("{}4111111111111111", "x".repeat(30));
        assert_eq!(shown(&at_the_cut), format!("{}**********", "x".repeat(30)));
        let at_the_cut = format!("{}4111111111111112", "x".repeat(30));
        assert_eq!(shown(&at_the_cut), format!("{}******1111", "x".repeat(30)));
    }
}
