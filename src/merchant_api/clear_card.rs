//! Finds card numbers in clear, so that they are refused before anything keeps or logs them.
//!
//! A merchant that sends a card number in clear, in whichever field, has a fault that must be found on
//! its first call, not in an audit. The search is for what people and programs send by mistake: a run
//! of 13 to 19 digits, or groups of four as on the card, with a valid check digit.

/// Digits of a card number (ISO/IEC 7812-1), as in use: 13 to 19.
const PAN_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Lengths of hexadecimal identifiers: object id, UUID, SHA-1, SHA-256. A long run of digits within
/// one is chance; without this rule one UUID in some thousands would be refused.
const HEX_ID_LENGTHS: [usize; 4] = [24, 32, 40, 64];

/// Ways in which card numbers are written in groups: most brands, then American Express.
const GROUPINGS: [&[usize]; 2] = [&[4, 4, 4, 4], &[4, 6, 5]];

/// Whether `text` holds what must be taken for a card number in clear.
///
/// Numbers that begin with 0, 1 or 20 are not taken for cards: they are time stamps and dates far
/// more often than the few airline cards in that range. Any other number of the right length whose
/// check digit happens to be right is, which is one in ten of a merchant's purely numeric references
/// of 13 digits or more; the refusal says so, and one letter within the digits helps.
pub(super) fn contains_card_number(text: &str) -> bool {
    // Most texts are too short for a card number: the common case costs one pass.
    if text.bytes().filter(u8::is_ascii_digit).count() < *PAN_DIGITS.start() {
        return false;
    }
    words(text).any(in_one_word) || in_groups(text)
}

/// Maximal sequences of letters and digits.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
}

fn in_one_word(word: &str) -> bool {
    if is_hex_id(word) {
        return false;
    }
    word.split(|c: char| !c.is_ascii_digit())
        .any(is_card_number)
}

fn is_hex_id(word: &str) -> bool {
    HEX_ID_LENGTHS.contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !word.bytes().all(|byte| byte.is_ascii_digit())
}

/// `4242 4242 4242 4242`, `4242-4242-4242-4242`: whole words of digits with one character between.
fn in_groups(text: &str) -> bool {
    let groups: Vec<&str> = text.split([' ', '-', '.', '_', '/']).collect();
    GROUPINGS.iter().any(|grouping| {
        groups.windows(grouping.len()).any(|window| {
            let shaped = window
                .iter()
                .zip(*grouping)
                .all(|(group, &length)| group.len() == length);
            shaped && is_card_number(&window.concat())
        })
    })
}

fn is_card_number(digits: &str) -> bool {
    PAN_DIGITS.contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with(['0', '1'])
        && !digits.starts_with("20")
        && has_valid_check_digit(digits)
}

/// The Luhn check (ISO/IEC 7812-1, annex B).
fn has_valid_check_digit(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .map(|byte| u32::from(byte.wrapping_sub(b'0')))
        .enumerate()
        .map(|(position, digit)| match (position % 2, digit) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_found_however_they_are_sent() {
        for text in [
            "4242424242424242",
            "5555555555554444",
            "378282246310005",
            "36227206271667",
            "6205500000000000004",
            "4222222222222",
            "order 4242424242424242",
            "order4242424242424242b",
            "4242 4242 4242 4242",
            "4242-4242-4242-4242",
            "3782 822463 10005",
            "4242424242424242=29121010000000000",
            "{\"pan\":\"4242424242424242\"}",
            "}\r\n4242424242424242",
        ] {
            assert!(contains_card_number(text), "{text}");
        }
    }

    #[test]
    fn references_are_not_taken_for_card_numbers() {
        for text in [
            "",
            "order-1042",
            // The check digit is wrong.
            "4242424242424241",
            // A time stamp in milliseconds, and one in microseconds: both with a valid check digit.
            "1763757000122",
            "1763757000000125",
            // A date and a number, with a valid check digit too.
            "2026112100000008",
            "12345678-4242-4242-4242-424242424242",
            // Hexadecimal identifiers with sixteen digits of a card in them.
            "ab4242424242424242cdefabcdefabcd",
            "ab4242424242424242cdefab",
            // Too short, too long.
            "424242424242",
            "42424242424242424242",
            "４２４２４２４２４２４２４２４２",
        ] {
            assert!(!contains_card_number(text), "{text}");
        }
    }
}
