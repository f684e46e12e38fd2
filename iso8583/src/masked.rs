//! Messages for people: nothing that a card scheme calls secret is shown.
//!
//! Each field of a dialect says how much of it is [`Shown`]; what it doesn't say is not shown. Of
//! a PAN people see the BIN (six digits) and the last four. A value that is not what it should be
//! is not shown at all. [`masked_hex`] looks at content as well: a field that may be shown can hold a PAN
//! that belongs elsewhere. Of a message that can't be read to its end people see MTI and bitmaps: a field
//! may then have begun elsewhere, and a PAN may lie in what looks like an amount. Where even the MTI is
//! none that the standard knows, the message itself began elsewhere, and nothing of it is shown.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use crate::content::Content;
use crate::dialect::Dialect;
use crate::field::{ContentEncoding, Format, Shown};
use crate::hex;
use crate::message::Message;

/// The digits of a PAN that people may see at its beginning.
const BIN_DIGITS: usize = 6;
/// The digits of a PAN that people may see at its end.
const LAST_DIGITS: usize = 4;
/// The lengths of a PAN (ISO/IEC 7812-1). Of a shorter one, too little would be hidden.
const PAN_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// The lengths of what is taken for a PAN where none belongs.
const STRAY_PAN_DIGITS: std::ops::RangeInclusive<usize> = 12..=19;
/// So many digits in a row that a PAN has too are a part of it. The BIN has one less.
const PART_DIGITS: usize = BIN_DIGITS + 1;

/// One field, fit for people to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedField {
    /// The data element.
    pub de: u8,
    /// Its name in the dialect.
    pub name: String,
    /// Its value: masked, or in clear where the dialect says so; bytes are in hex.
    pub value_masked: String,
}

/// The fields of a message, in ascending order. The message may be a
/// [partial](crate::DecodeError::partial) one.
#[must_use]
pub fn describe(dialect: &Dialect, message: &Message<'_>) -> Vec<DescribedField> {
    let describe_field = |de| {
        // A message knows its own dialect best; the one given lends the names.
        let content = message.content(de)?;
        let name = dialect.field(de).unwrap_or(content.spec).name().to_owned();
        Some(DescribedField {
            de,
            name,
            value_masked: masked_value(&content, message.is_whole),
        })
    };
    message.iter_des().filter_map(describe_field).collect()
}

/// A PAN with its middle hidden: `411111******1111`. What is no PAN is hidden whole, as `***`.
#[must_use]
pub fn masked_pan(pan: &str) -> Cow<'static, str> {
    match visible_in_pan(pan.as_bytes()) {
        Some(visible) => Cow::Owned(stars(pan.as_bytes(), &visible)),
        None => Cow::Borrowed("***"),
    }
}

/// The bytes of a message in hex, two characters a byte, `*` for each half that is hidden. Of a
/// message that the dialect can't read, all is hidden but MTI and bitmaps.
///
/// In every field 12 to 19 digits with a right check digit (Luhn) are hidden, whatever stands before and
/// behind them, and with a space or a dash between digits too. Where such digits come again in part,
/// seven or more in a row, the part is hidden. One number in ten looks like that by chance.
#[must_use]
pub fn masked_hex(dialect: &Dialect, bytes: &[u8]) -> String {
    let mut visible = vec![false; bytes.len() * 2];
    let decoded = dialect.decode(bytes);
    let message = match &decoded {
        Ok(message) => Some(message),
        Err(error) => error.partial(),
    };
    if let Some(message) = message {
        mark_visible(message, &mut visible);
        hide_stray_pans(message, &mut visible);
    }
    let digits = bytes.iter().flat_map(|byte| hex::digits(*byte));
    digits
        .zip(visible)
        .map(|(digit, visible)| if visible { char::from(digit) } else { '*' })
        .collect()
}

/// Whether people may see a field as it is: the message can be read to its end, the dialect shows the field, and it
/// holds no seven digits in a row of what looks like a PAN in another field.
///
/// It may look like a PAN itself: a reference of twelve digits does so one time in ten.
#[must_use]
pub fn is_shown(message: &Message<'_>, de: u8) -> bool {
    let is_clear = |content: Content<'_>| content.spec.shown == Shown::Clear;
    if !message.is_whole || !message.content(de).is_some_and(is_clear) {
        return false;
    }
    let parts = pan_parts(&digits_of(message, |other| other != de), |_| {});
    let own = digits_of(message, |other| other == de);
    !rows(&own)
        .flat_map(|row| row.windows(PART_DIGITS))
        .any(|part| parts.contains(&values(part)))
}

/// Marks the halves of bytes that people may see.
fn mark_visible(message: &Message<'_>, visible: &mut [bool]) {
    let mut show = |nibbles: Range<usize>| {
        if let Some(part) = visible.get_mut(nibbles) {
            part.fill(true);
        }
    };
    let preamble_ends = message.preamble_bytes() * 2;
    if !message.is_whole {
        if message.mti().is_of(message.dialect.version()) {
            show(message.header().len() * 2..preamble_ends);
        }
        return;
    }
    show(0..preamble_ends);
    for de in message.iter_des() {
        let (Some(content), Some(field), Some(range)) = (
            message.content(de),
            message.field_range(de),
            message.content_range(de),
        ) else {
            continue;
        };
        show(field.start * 2..range.start * 2);
        if content.spec.shown == Shown::Clear {
            show(range.start * 2..range.end * 2);
            continue;
        }
        let Some(units) = visible_units(&content) else {
            continue;
        };
        for (unit, _) in units.iter().enumerate().filter(|(_, shown)| **shown) {
            show(nibbles_of(&content, range.start * 2, unit));
        }
    }
}

/// The halves of bytes that hold one unit of content.
fn nibbles_of(content: &Content<'_>, start: usize, unit: usize) -> Range<usize> {
    match content.spec.encoding {
        ContentEncoding::BcdLeft => {
            let at = start + unit + content.units % 2;
            at..at + 1
        }
        ContentEncoding::BcdRight => start + unit..start + unit + 1,
        _ => start + unit * 2..start + unit * 2 + 2,
    }
}

/// A digit of some field, and the halves of bytes that hold it; none where the field has a mask of its own.
struct Digit {
    value: u8,
    nibbles: Range<usize>,
}

/// The digits of these fields that are text, in order; `None` for whatever ends a row of them.
fn digits_of(message: &Message<'_>, of: impl Fn(u8) -> bool) -> Vec<Option<Digit>> {
    let mut digits = Vec::new();
    for de in message.iter_des().filter(|de| of(*de)) {
        let (Some(content), Some(range)) = (message.content(de), message.content_range(de)) else {
            continue;
        };
        let is_clear = content.spec.shown == Shown::Clear;
        let mut unit = 0;
        let mut after_separator = true;
        content.each_character(|character| {
            let is_separator = matches!(character, b' ' | b'-');
            if character.is_ascii_digit() {
                digits.push(Some(Digit {
                    value: character - b'0',
                    nibbles: if is_clear {
                        nibbles_of(&content, range.start * 2, unit)
                    } else {
                        0..0
                    },
                }));
            } else if !is_separator || after_separator {
                digits.push(None);
            }
            after_separator = is_separator;
            unit += 1;
        });
        digits.push(None);
    }
    digits
}

/// The rows of digits.
fn rows(digits: &[Option<Digit>]) -> impl Iterator<Item = &[Option<Digit>]> {
    digits.split(Option::is_none)
}

fn values(row: &[Option<Digit>]) -> Vec<u8> {
    row.iter().flatten().map(|digit| digit.value).collect()
}

/// The parts of what looks like a PAN, of which `found` is told.
fn pan_parts(
    digits: &[Option<Digit>],
    mut found: impl FnMut(&[Option<Digit>]),
) -> BTreeSet<Vec<u8>> {
    let mut parts = BTreeSet::new();
    for row in rows(digits) {
        for pan in STRAY_PAN_DIGITS.flat_map(|length| row.windows(length)) {
            let pan_values = values(pan);
            if is_like_a_pan(&pan_values) {
                found(pan);
                parts.extend(pan_values.windows(PART_DIGITS).map(<[u8]>::to_vec));
            }
        }
    }
    parts
}

/// Hides what looks like a PAN, wherever it is, and its parts.
fn hide_stray_pans(message: &Message<'_>, visible: &mut [bool]) {
    let digits = digits_of(message, |_| true);
    let mut hide = |row: &[Option<Digit>]| {
        for digit in row.iter().flatten() {
            if let Some(hidden) = visible.get_mut(digit.nibbles.clone()) {
                hidden.fill(false);
            }
        }
    };
    let parts = pan_parts(&digits, &mut hide);
    for part in rows(&digits).flat_map(|row| row.windows(PART_DIGITS)) {
        if parts.contains(&values(part)) {
            hide(part);
        }
    }
}

/// Whether the last of these digits is the check digit of the others (ISO/IEC 7812-1 annex B). No PAN begins
/// with a nought.
fn is_like_a_pan(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (1, digit @ 5..) => 2 * digit - 9,
            (1, digit) => 2 * digit,
            (_, digit) => digit,
        })
        .sum();
    digits.first() != Some(&0) && sum.is_multiple_of(10)
}

fn masked_value(content: &Content<'_>, is_whole: bool) -> String {
    if !is_whole {
        return hidden(content);
    }
    if content.spec.shown == Shown::Clear {
        return match content.text() {
            Some(text) => text.into_owned(),
            None => hex::encode(&content.bytes().unwrap_or_default()),
        };
    }
    match (visible_units(content), content.text()) {
        (Some(visible), Some(text)) => stars(text.as_bytes(), &visible),
        _ => hidden(content),
    }
}

fn hidden(content: &Content<'_>) -> String {
    format!("*** ({} {})", content.units, content.spec.format.unit())
}

/// The text with a star for each character that is not visible.
fn stars(text: &[u8], visible: &[bool]) -> String {
    let characters = text.iter().zip(visible);
    characters
        .map(|(byte, visible)| if *visible { char::from(*byte) } else { '*' })
        .collect()
}

/// Which characters of a PAN or a track people may see; `None` for none.
fn visible_units(content: &Content<'_>) -> Option<Vec<bool>> {
    if content.spec.format == Format::B {
        return None;
    }
    let text = content.text()?;
    let text = text.as_bytes();
    // Where the PAN begins, and which characters end it.
    let (start, separators): (usize, &[u8]) = match content.spec.shown {
        Shown::Clear | Shown::Masked => return None,
        Shown::Pan => return visible_in_pan(text),
        // Track 1 begins with its format code, B.
        Shown::Track1 if text.first() == Some(&b'B') => (1, b"^"),
        Shown::Track1 => return None,
        Shown::Track2 => (0, b"=D"),
        // Track 3 begins with a format code of two digits.
        Shown::Track3 => (2, b"=D"),
    };
    let rest = text.get(start..)?;
    let end = rest.iter().position(|byte| separators.contains(byte))?;
    let pan = visible_in_pan(rest.get(..end)?)?;
    let mut visible = vec![true; start];
    visible.extend(pan);
    visible.push(true);
    visible.resize(text.len(), false);
    Some(visible)
}

fn visible_in_pan(pan: &[u8]) -> Option<Vec<bool>> {
    if !PAN_DIGITS.contains(&pan.len()) || !pan.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let hidden = BIN_DIGITS..pan.len() - LAST_DIGITS;
    Some((0..pan.len()).map(|at| !hidden.contains(&at)).collect())
}
