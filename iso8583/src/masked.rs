//! Messages for people: nothing that a card scheme calls secret is shown.
//!
//! Each field of a dialect says how much of it is [`Shown`]; what it doesn't say is not shown. Of
//! a PAN people see the BIN (six digits) and the last four. A value that is not what it should be
//! is not shown at all. Of a message that can't be read to its end people see MTI and bitmaps: a field
//! may then have begun elsewhere, and a PAN may lie in what looks like an amount. Where even the MTI is
//! none that the standard knows, the message itself began elsewhere, and nothing of it is shown.

use std::borrow::Cow;

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
    }
    let digits = bytes.iter().flat_map(|byte| hex::digits(*byte));
    digits
        .zip(visible)
        .map(|(digit, visible)| if visible { char::from(digit) } else { '*' })
        .collect()
}

/// Marks the halves of bytes that people may see.
fn mark_visible(message: &Message<'_>, visible: &mut [bool]) {
    let mut show = |nibbles: std::ops::Range<usize>| {
        if let Some(part) = visible.get_mut(nibbles) {
            part.fill(true);
        }
    };
    let preamble_ends = message.preamble_bytes() * 2;
    if !message.is_whole {
        if message.mti().is_of_1987() {
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
fn nibbles_of(content: &Content<'_>, start: usize, unit: usize) -> std::ops::Range<usize> {
    match content.spec.encoding {
        ContentEncoding::BcdLeft => {
            let at = start + unit + content.units % 2;
            at..at + 1
        }
        ContentEncoding::BcdRight => start + unit..start + unit + 1,
        _ => start + unit * 2..start + unit * 2 + 2,
    }
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
