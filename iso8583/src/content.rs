//! The content of one field: checked when it is read, so that looking at it can't fail.

use std::borrow::Cow;

use crate::bcd;
use crate::characters::{CodePage, HEX, first_outside, first_outside_amount};
use crate::field::{ContentEncoding, FieldSpec, Format, LengthCounts};
use crate::hex;

/// The first fault in a field's content: the byte, and the values that are allowed there.
pub(crate) struct ContentFault {
    pub(crate) at: usize,
    pub(crate) expected: &'static str,
    pub(crate) got: u8,
}

/// Checks content strictly, and says how many units it has. `units` is the number that the length
/// gave; a length that counts bytes leaves it to the pad nibble whether the last digit is one.
pub(crate) fn check(
    spec: &FieldSpec,
    raw: &[u8],
    units: usize,
    code_page: &CodePage,
) -> Result<usize, ContentFault> {
    let fault = |at: usize, expected| ContentFault {
        at,
        expected,
        got: raw.get(at).copied().unwrap_or(0),
    };
    let outside = match spec.encoding {
        ContentEncoding::Binary => None,
        ContentEncoding::Hex => first_outside(raw, HEX),
        ContentEncoding::BcdLeft | ContentEncoding::BcdRight => return check_bcd(spec, raw, units),
        ContentEncoding::Ascii if spec.format == Format::Xn => {
            first_outside_amount(raw, |byte| byte)
        }
        ContentEncoding::Ebcdic if spec.format == Format::Xn => {
            first_outside_amount(raw, |byte| code_page.ascii(byte))
        }
        ContentEncoding::Ascii => first_outside(raw, spec.classes),
        ContentEncoding::Ebcdic => code_page.first_outside(raw, spec.classes),
    };
    match outside {
        None => Ok(units),
        Some(0) if spec.format == Format::Xn => Err(fault(0, "the sign C or D")),
        Some(at) if spec.encoding == ContentEncoding::Hex => Err(fault(at, "a hexadecimal digit")),
        Some(at) => Err(fault(at, spec.format.expected_character())),
    }
}

fn check_bcd(spec: &FieldSpec, raw: &[u8], units: usize) -> Result<usize, ContentFault> {
    let fault = |at: usize, expected| ContentFault {
        at,
        expected,
        got: raw.get(at).copied().unwrap_or(0),
    };
    let (digits, digit_units, skipped) = match raw.split_first() {
        Some((b'C' | b'D', digits)) if spec.format == Format::Xn => (digits, units - 1, 1),
        _ if spec.format == Format::Xn => return Err(fault(0, "the sign C or D")),
        _ => (raw, units, 0),
    };
    let is_left = spec.encoding == ContentEncoding::BcdLeft;
    let padded = if spec.counts == LengthCounts::Wire && spec.prefix_bytes > 0 {
        bcd::pad(digits, is_left) == Some(spec.pad_nibble)
    } else {
        digit_units % 2 == 1
    };
    if padded && bcd::pad(digits, is_left) != Some(spec.pad_nibble) {
        let at = if is_left {
            0
        } else {
            digits.len().saturating_sub(1)
        };
        return Err(fault(skipped + at, "the pad nibble of the dialect"));
    }
    let units = skipped + (digits.len() * 2).saturating_sub(usize::from(padded));
    match bcd::first_invalid(digits, padded, is_left, spec.format == Format::Z) {
        Some(at) if spec.format == Format::Z => {
            Err(fault(skipped + at, "BCD digits or the separator D"))
        }
        Some(at) => Err(fault(skipped + at, "BCD digits")),
        None => Ok(units),
    }
}

/// One field's checked content.
#[derive(Clone, Copy)]
pub(crate) struct Content<'a> {
    pub(crate) spec: &'a FieldSpec,
    pub(crate) raw: &'a [u8],
    pub(crate) units: usize,
    pub(crate) code_page: &'static CodePage,
}

impl<'a> Content<'a> {
    /// The text, in ASCII; `None` for format b.
    pub(crate) fn text(&self) -> Option<Cow<'a, str>> {
        match self.spec.encoding {
            ContentEncoding::Binary | ContentEncoding::Hex => None,
            ContentEncoding::Ascii => std::str::from_utf8(self.raw).ok().map(Cow::Borrowed),
            _ => {
                let mut text = String::with_capacity(self.units);
                self.each_character(|ascii| text.push(char::from(ascii)));
                Some(Cow::Owned(text))
            }
        }
    }

    /// Calls `f` with each character, in ASCII. Does nothing for format b.
    pub(crate) fn each_character(&self, mut f: impl FnMut(u8)) {
        match self.spec.encoding {
            ContentEncoding::Binary | ContentEncoding::Hex => {}
            ContentEncoding::Ascii => self.raw.iter().for_each(|byte| f(*byte)),
            ContentEncoding::Ebcdic => {
                self.raw
                    .iter()
                    .for_each(|byte| f(self.code_page.ascii(*byte)));
            }
            ContentEncoding::BcdLeft | ContentEncoding::BcdRight => {
                let (digits, units) = match self.raw.split_first() {
                    Some((sign, digits)) if self.spec.format == Format::Xn => {
                        f(*sign);
                        (digits, self.units.saturating_sub(1))
                    }
                    _ => (self.raw, self.units),
                };
                let is_left = self.spec.encoding == ContentEncoding::BcdLeft;
                bcd::nibbles(digits, units, is_left).for_each(|nibble| f(bcd::character(nibble)));
            }
        }
    }

    /// The bytes: those of format b decoded, of other formats the text's.
    pub(crate) fn bytes(&self) -> Option<Cow<'a, [u8]>> {
        match self.spec.encoding {
            ContentEncoding::Binary | ContentEncoding::Ascii => Some(Cow::Borrowed(self.raw)),
            ContentEncoding::Hex => hex::decode(self.raw).map(Cow::Owned),
            _ => {
                let mut bytes = Vec::with_capacity(self.units);
                self.each_character(|ascii| bytes.push(ascii));
                Some(Cow::Owned(bytes))
            }
        }
    }

    /// Appends what [`bytes`](Self::bytes) gives; false when that is `None`.
    pub(crate) fn append_bytes(&self, out: &mut Vec<u8>) -> bool {
        match self.spec.encoding {
            ContentEncoding::Binary | ContentEncoding::Ascii => out.extend_from_slice(self.raw),
            ContentEncoding::Hex => match hex::decode(self.raw) {
                Some(bytes) => out.extend_from_slice(&bytes),
                None => return false,
            },
            _ => {
                out.reserve(self.units);
                self.each_character(|ascii| out.push(ascii));
            }
        }
        true
    }

    /// The number; `None` unless the content is one digit or more, and nothing else, and fits.
    pub(crate) fn number(&self) -> Option<u64> {
        if self.units == 0 || self.spec.format == Format::B {
            return None;
        }
        let mut number = Some(0_u64);
        self.each_character(|ascii| {
            number = number
                .filter(|_| ascii.is_ascii_digit())
                .and_then(|number| number.checked_mul(10)?.checked_add(u64::from(ascii & 0x0F)));
        });
        number
    }
}
