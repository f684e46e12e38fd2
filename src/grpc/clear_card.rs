//! Finds card numbers in clear, so that they are refused before anything keeps or logs them.
//!
//! A merchant that sends a card number in clear, in whichever field, has a fault that must be found on
//! its first call, not in an audit. The search is for what people and programs send by mistake: 13 to
//! 19 digits with a valid check digit, in one piece or in groups as on the card, whatever stands
//! before and after them, whichever character stands between the groups, or spaces and dashes, and in
//! whichever script's decimal digits: full-width ones, as a Japanese keyboard makes them, or
//! Arabic-Indic ones.
//!
//! Not taken for card numbers:
//! - numbers that begin with 0, 1 or 20: time stamps and dates far more often than the few airline
//!   cards in that range;
//! - groups of one or two digits: days, hours, quantities;
//! - what is within a hexadecimal identifier, a UUID among them: a long run of digits there is chance.
//!
//! Any other number of the right length whose check digit happens to be right is taken for one. That is
//! one in ten of a merchant's purely numeric references of 13 digits or more; the refusal says so, and
//! one letter within the digits helps.

use std::borrow::Cow;

use crate::card::pan::{PAN_DIGITS, passes_luhn};

/// The fewest digits of a group that a card number is written in: 4-4-4-4, 4-6-5, 4-6-4, 4-4-4-4-3.
const MIN_GROUP_DIGITS: usize = 3;
/// The most spaces and dashes between two groups.
const MOST_BETWEEN: usize = 3;
/// Lengths of hexadecimal identifiers in one word: 8 random bytes, 10, object id, 14, UUID, SHA-1, 24,
/// SHA-256.
const HEX_ID_LENGTHS: [usize; 8] = [16, 20, 24, 28, 32, 40, 48, 64];
/// Hyphen, the dashes of Unicode that people type or paste for it, and the minus sign.
const DASHES: [char; 7] = [
    '-', '\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2212}',
];
/// The groups of a UUID (RFC 9562, section 4), a hyphen between each.
const UUID_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// The zeros of all scripts but ASCII (Unicode 14, general category Nd); one to nine follow each.
const ZEROS: [u32; 65] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6,
    0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50,
    0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650,
    0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50,
    0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// Whether `text` holds what must be taken for a card number in clear.
pub(crate) fn contains_card_number(text: &str) -> bool {
    let text = &*with_ascii_digits(text);
    // Most texts are too short for a card number: the common case costs one pass.
    if text.bytes().filter(u8::is_ascii_digit).count() < *PAN_DIGITS.start() {
        return false;
    }
    let words = words(text);
    let mut row = Row::new(text);
    let mut rest = words.as_slice();
    while let Some((word, following)) = rest.split_first() {
        rest = after_uuid(text, rest).unwrap_or(following);
        let is_id = rest.len() < following.len() || is_hex_id(word.text);
        if !is_id && digit_runs(*word).any(|digits| row.completes_card_number(digits)) {
            return true;
        }
    }
    false
}

/// The text with every decimal digit as its ASCII one, and all else as it is.
fn with_ascii_digits(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        Cow::Borrowed(text)
    } else {
        text.chars().map(ascii_digit).collect()
    }
}

fn ascii_digit(character: char) -> char {
    let code = u32::from(character);
    let following = ZEROS.partition_point(|zero| *zero <= code);
    following
        .checked_sub(1)
        .and_then(|index| ZEROS.get(index))
        .and_then(|zero| char::from_digit(code.checked_sub(*zero).filter(|digit| *digit < 10)?, 10))
        .unwrap_or(character)
}

/// A part of a text.
#[derive(Clone, Copy)]
struct Part<'t> {
    /// The byte of the text at which it begins.
    start: usize,
    text: &'t str,
}

impl Part<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// Maximal sequences of letters and digits.
fn words(text: &str) -> Vec<Part<'_>> {
    let is_separator = |c: char| !c.is_alphanumeric();
    let mut start = 0;
    let mut words = Vec::new();
    for piece in text.split_inclusive(is_separator) {
        let text = piece.trim_end_matches(is_separator);
        if !text.is_empty() {
            words.push(Part { start, text });
        }
        start += piece.len();
    }
    words
}

/// Maximal sequences of digits within a word.
fn digit_runs(word: Part<'_>) -> impl Iterator<Item = Part<'_>> {
    let mut start = word.start;
    word.text
        .split_inclusive(|c: char| !c.is_ascii_digit())
        .map(move |piece| {
            let text = piece.trim_end_matches(|c: char| !c.is_ascii_digit());
            let run = Part { start, text };
            start += piece.len();
            run
        })
        .filter(|run| !run.text.is_empty())
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// One letter makes no identifier: it may stand before or after a card number.
fn is_hex_id(word: &str) -> bool {
    let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
    HEX_ID_LENGTHS.contains(&word.len()) && is_hex(word) && letters >= 2
}

/// The words after the UUID that the first of these begin with, if they do.
fn after_uuid<'w, 't>(text: &str, words: &'w [Part<'t>]) -> Option<&'w [Part<'t>]> {
    let (uuid, after) = words.split_at_checked(UUID_GROUPS.len())?;
    let shaped = uuid
        .iter()
        .zip(UUID_GROUPS)
        .all(|(group, length)| group.text.len() == length && is_hex(group.text));
    let joined = uuid
        .windows(2)
        .all(|pair| matches!(pair, [one, next] if text.get(one.end()..next.start) == Some("-")));
    (shaped && joined).then_some(after)
}

/// Groups of digits with one character, neither letter nor digit, between each and the next, or up to
/// [`MOST_BETWEEN`] spaces and dashes.
struct Row<'t> {
    text: &'t str,
    groups: Vec<Part<'t>>,
}

impl<'t> Row<'t> {
    fn new(text: &'t str) -> Self {
        let groups = Vec::new();
        Self { text, groups }
    }

    /// Takes the next run of digits of the text: whether it, or the last groups up to it, are a card
    /// number.
    fn completes_card_number(&mut self, digits: Part<'t>) -> bool {
        if digits.text.len() < MIN_GROUP_DIGITS || !self.is_continued_by(&digits) {
            self.groups.clear();
        }
        if digits.text.len() < MIN_GROUP_DIGITS {
            return false;
        }
        self.groups.push(digits);
        let mut length = 0;
        for (first, group) in self.groups.iter().enumerate().rev() {
            length += group.text.len();
            if length > *PAN_DIGITS.end() {
                break;
            }
            let number = self.groups.get(first..).unwrap_or_default();
            if length >= *PAN_DIGITS.start() && is_card_number(number) {
                return true;
            }
        }
        false
    }

    fn is_continued_by(&self, digits: &Part<'_>) -> bool {
        let Some(last) = self.groups.last() else {
            return false;
        };
        let between = self.text.get(last.end()..digits.start).unwrap_or_default();
        let loose = |c: char| c.is_whitespace() || DASHES.contains(&c);
        match between.chars().count() {
            1 => !between.contains(char::is_alphanumeric),
            2..=MOST_BETWEEN => between.chars().all(loose),
            _ => false,
        }
    }
}

/// Whether digits of the right number have the beginning and the check digit of a card number.
fn is_card_number(groups: &[Part<'_>]) -> bool {
    let begins_like_one = groups
        .first()
        .is_some_and(|first| !first.text.starts_with(['0', '1']) && !first.text.starts_with("20"));
    begins_like_one && passes_luhn(groups.iter().flat_map(|group| group.text.bytes()))
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
            "a378282246310005",
            "6205500000000000004e",
            "4242 4242 4242 4242",
            "4242-4242-4242-4242",
            "3782 822463 10005",
            "4242424242424242=29121010000000000",
            "{\"pan\":\"4242424242424242\"}",
            "}\r\n4242424242424242",
            // In groups, whatever is around them and between them.
            "card:4242 4242 4242 4242",
            "card4242 4242 4242 4242.",
            "(4242 4242 4242 4242)",
            "4242\u{a0}4242\u{a0}4242\u{a0}4242",
            "4242\u{2013}4242\u{2013}4242\u{2013}4242",
            "4242\t4242,4242|4242",
            "4242 4242  4242 4242",
            "4242 - 4242 - 4242 - 4242",
            "4242\u{3000}\u{3000}4242 \u{2013} 4242--4242",
            "4242 4242 4242 4242 12/28 123",
            "4242 4242 4242 4242 1228",
            "order 1042 4242 4242 4242 4242",
            "12 4242 4242 4242 4242",
            // Diners Club, UnionPay of 19 digits, Maestro, Visa of 13 digits, two halves.
            "3622 720627 1667",
            "6205 5000 0000 0000 004",
            "620550 0000000000004",
            "4222 222 222 222",
            "42424242 42424242",
            // Full-width, Arabic-Indic, Devanagari and mathematical digits, alone and among ASCII ones.
            "４２４２４２４２４２４２４２４２",
            "４２４２　４２４２　４２４２　４２４２",
            "\u{664}\u{662}42 4242 4242 4242",
            "\u{96a}\u{968}42424242424242",
            "\u{1d7d2}\u{1d7d0}42-4242-4242-4242",
            // Beside identifiers, not within them.
            "ab4242424242424242cdefab 4242-4242-4242-4242",
            "5f0c9d2e-8a71-4364-8a71-5f0c9d2e8a71 4242424242424242",
            "5f0c9d2e-8a71-4364-8a71-5f0c9d2e8a71-4242-4242-4242-4242",
        ] {
            assert!(contains_card_number(text), "{text}");
        }
    }

    #[test]
    fn every_decimal_digit_is_known() {
        assert!(ZEROS.is_sorted());
        for (digit, ascii) in [
            ('\u{660}', '0'),
            ('\u{669}', '9'),
            ('９', '9'),
            ('\u{1d7ff}', '9'),
        ] {
            assert_eq!(ascii_digit(digit), ascii);
        }
        for other in ['\u{65f}', '\u{66a}', 'a', '\u{b2}', '\u{2460}', char::MAX] {
            assert_eq!(ascii_digit(other), other);
        }
        for zero in ZEROS {
            assert_eq!(ascii_digit(char::from_u32(zero).unwrap()), '0', "{zero:x}");
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
            "order-42424242-4242-4242-4242-424242424242",
            "ab4242424242424242cdefab-x",
            "ab4242424242424c",
            "7a4242424242424242cd",
            // Groups that are no row: a list, too much between, a letter between, a short group within.
            "4242, 4242, 4242, 4242",
            "4242    4242    4242    4242",
            "4242 4242x4242 4242",
            "4242 4242\u{e9}4242 4242",
            "42 42 42 42 42 42 42 42",
            "21.11.2026 18:30:15.424242",
            // A row with a wrong check digit, and one that begins as a date.
            "4242 4242 4242 4241",
            "2026 1121 0000 0008",
            // Too short, too long.
            "424242424242",
            "42424242424242424242",
            // Digits that are not decimal: superscripts.
            "\u{2074}\u{b2}4242424242",
        ] {
            assert!(!contains_card_number(text), "{text}");
        }
    }
}
