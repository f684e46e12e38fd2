//! Finds card numbers in clear, so that they are refused or masked before anything keeps or logs them.
//!
//! A merchant that sends a card number in clear, in whichever field, has a fault that must be found on
//! its first call, not in an audit. A bank's file is taken in all the same, and its texts are kept
//! masked. The search is for what people and programs write by mistake: 13 to 19 digits with a valid
//! check digit, in one piece or in groups as on the card, whatever stands before and after them,
//! whichever character stands between the groups, or spaces and dashes, however many zeros fill the
//! field before them, and in whichever script's decimal digits: full-width ones, as a Japanese
//! keyboard makes them, or Arabic-Indic ones.
//!
//! Requests and files are searched alike: a reference that a request was taken with stands in a bank's
//! file unmasked, and is found there.
//!
//! Not taken for card numbers:
//! - numbers that begin with 1 or 20, zeros before them left out: time stamps and dates far more often
//!   than the few airline cards in that range;
//! - groups of one or two digits: days, hours, quantities;
//! - what is within a hexadecimal identifier, a UUID among them: a long run of digits there is chance.
//!
//! Any other number of the right length whose check digit happens to be right is taken for one. That is
//! one in ten of a merchant's purely numeric references of 13 digits or more; the refusal says so, and
//! one letter within the digits helps.

use std::borrow::Cow;
use std::ops::Range;

use super::pan::{PAN_DIGITS, passes_luhn};

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

/// The last digits of a card number that are shown.
const SHOWN_DIGITS: usize = 4;

/// Whether `text` holds what must be taken for a card number in clear.
pub(crate) fn contains_card_number(text: &str) -> bool {
    let text = &*with_ascii_digits(text);
    CardNumbers::of(text).next().is_some()
}

/// `text` with only the last four digits of what must be taken for a card number in clear.
pub(crate) fn without_card_numbers(text: &str) -> Cow<'_, str> {
    let ascii = with_ascii_digits(text);
    let mut numbers = CardNumbers::of(&ascii).peekable();
    if numbers.peek().is_none() {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(ascii.len());
    let mut end = 0;
    for number in numbers {
        masked.push_str(ascii.get(end..number.start).unwrap_or_default());
        mask(ascii.get(number.clone()).unwrap_or_default(), &mut masked);
        end = number.end;
    }
    masked.push_str(ascii.get(end..).unwrap_or_default());
    Cow::Owned(masked)
}

/// Writes a number with asterisks for all but its last digits. What is between its groups stays.
fn mask(number: &str, out: &mut String) {
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let mut hidden = digits.saturating_sub(SHOWN_DIGITS);
    out.extend(number.chars().map(|character| {
        if hidden > 0 && character.is_ascii_digit() {
            hidden -= 1;
            '*'
        } else {
            character
        }
    }));
}

/// The bytes of each card number of a text, one after the other.
struct CardNumbers<'t> {
    text: &'t str,
    /// The words that are not searched yet.
    words: std::vec::IntoIter<Part<'t>>,
    /// The runs of digits of the last word that are not searched yet.
    runs: std::vec::IntoIter<Part<'t>>,
    row: Row<'t>,
}

impl<'t> CardNumbers<'t> {
    /// Those of a text whose decimal digits are ASCII ones.
    fn of(text: &'t str) -> Self {
        // Most texts are too short for a card number: the common case costs one pass.
        let is_long = text.bytes().filter(u8::is_ascii_digit).count() >= *PAN_DIGITS.start();
        let words = if is_long { words(text) } else { Vec::new() };
        Self {
            text,
            words: words.into_iter(),
            runs: Vec::new().into_iter(),
            row: Row::new(text),
        }
    }
}

impl Iterator for CardNumbers<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            for digits in self.runs.by_ref() {
                if let Some(number) = self.row.card_number_that_ends_with(digits) {
                    return Some(number);
                }
            }
            let words = self.words.as_slice();
            let (word, following) = words.split_first()?;
            let left = after_uuid(self.text, words).unwrap_or(following);
            let is_id = left.len() < following.len() || is_hex_id(word.text);
            if !is_id {
                self.runs = digit_runs(*word).collect::<Vec<_>>().into_iter();
            }
            // The words of an identifier of several, and otherwise one.
            let passed = words.len() - left.len();
            self.words.nth(passed.saturating_sub(1));
        }
    }
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

    /// Takes the next run of digits of the text: where the card number is that it is, or that the last
    /// groups up to it are.
    fn card_number_that_ends_with(&mut self, digits: Part<'t>) -> Option<Range<usize>> {
        if digits.text.len() < MIN_GROUP_DIGITS || !self.is_continued_by(&digits) {
            self.groups.clear();
        }
        if digits.text.len() < MIN_GROUP_DIGITS {
            return None;
        }
        self.groups.push(digits);
        let mut length = 0;
        for (first, group) in self.groups.iter().enumerate().rev() {
            let number = self.groups.get(first..).unwrap_or_default();
            let zeros = group.text.len() - group.text.trim_start_matches('0').len();
            if PAN_DIGITS.contains(&(length + group.text.len() - zeros)) && is_card_number(number) {
                let number = group.start + zeros..digits.end();
                self.groups.clear();
                return Some(number);
            }
            length += group.text.len();
            if length > *PAN_DIGITS.end() {
                break;
            }
        }
        None
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

/// Whether digits of the right number have the beginning and the check digit of a card number. Zeros
/// before them change neither.
fn is_card_number(groups: &[Part<'_>]) -> bool {
    let begins_like_one = groups.first().is_some_and(|first| {
        let first = first.text.trim_start_matches('0');
        !first.is_empty() && !first.starts_with('1') && !first.starts_with("20")
    });
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
            // A field filled up with zeros, longer than any card number too.
            "0004242424242424242",
            "0005555555555554444",
            "00000004242424242424242",
            "0000 4242 4242 4242 4242",
            // Beside identifiers, not within them.
            "ab4242424242424242cdefab 4242-4242-4242-4242",
            "5f0c9d2e-8a71-4364-8a71-5f0c9d2e8a71 4242424242424242",
            "5f0c9d2e-8a71-4364-8a71-5f0c9d2e8a71-4242-4242-4242-4242",
        ] {
            assert!(contains_card_number(text), "{text}");
        }
    }

    #[test]
    fn a_masked_text_shows_four_digits_of_each_card_number() {
        for (text, expected) in [
            ("CARD 4111111111111111 PAID", "CARD ************1111 PAID"),
            ("4111 1111-1111 1111", "**** ****-**** 1111"),
            ("3782 822463 10005", "**** ****** *0005"),
            ("0004242424242424242", "000************4242"),
            (
                "4242424242424242, x5555555555554444y 4242424242424241",
                "************4242, x************4444y 4242424242424241",
            ),
            (
                "\u{e9} ４２４２４２４２４２４２４２４２",
                "\u{e9} ************4242",
            ),
            // Nothing is a card number: not a letter is another one.
            ("４２", "４２"),
            ("000633312000001", "000633312000001"),
            ("74000006333000000000012", "74000006333000000000012"),
            (
                "out-06e9x3w8k1z7h4n2m5q0r8t6va",
                "out-06e9x3w8k1z7h4n2m5q0r8t6va",
            ),
        ] {
            assert_eq!(without_card_numbers(text), expected);
            assert!(!contains_card_number(&without_card_numbers(text)), "{text}");
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
            // The same, filled up with zeros, and a number that is too short without them.
            "0001763757000122",
            "0002026112100000008",
            "000424242424242",
            "0000000000000000",
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
