//! One row of a dialect: format, length and encodings of a data element.

use std::fmt;

use serde::Deserialize;

use crate::characters::{Classes, DIGIT, LETTER, PRINTABLE, SEPARATOR, SPACE, SPECIAL};

/// The longest content of one field, in [units](FieldSpec::max_units).
pub const MAX_FIELD_UNITS: u16 = 9_999;

/// The attribute of a data element: what its content is made of (ISO 8583:1987 clause 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Letters; spaces pad.
    A,
    /// Digits.
    N,
    /// Letters and digits; spaces pad.
    An,
    /// Letters and special characters.
    As,
    /// Digits and special characters.
    Ns,
    /// Letters, digits and special characters: all of printable ASCII.
    Ans,
    /// Bytes.
    B,
    /// Track data: digits and the separator, `=` or `D`.
    Z,
    /// An amount with its sign: `C` or `D`, then digits. The sign counts as one unit.
    Xn,
}

impl Format {
    /// The characters allowed; empty for bytes.
    pub(crate) fn classes(self) -> Classes {
        match self {
            Format::A => LETTER | SPACE,
            Format::N | Format::Xn => DIGIT,
            Format::An => LETTER | DIGIT | SPACE,
            Format::As => LETTER | SPACE | SPECIAL,
            Format::Ns => DIGIT | SPACE | SPECIAL,
            Format::Ans => PRINTABLE,
            Format::B => 0,
            Format::Z => DIGIT | SEPARATOR,
        }
    }

    /// The characters allowed, in words for an error.
    pub(crate) fn expected_character(self) -> &'static str {
        match self {
            Format::A => "a letter or a space",
            Format::N | Format::Xn => "a digit",
            Format::An => "a letter, a digit or a space",
            Format::As => "a letter, a space or a special character",
            Format::Ns => "a digit, a space or a special character",
            Format::Ans => "a printable ASCII character",
            Format::B => "a byte",
            Format::Z => "a digit or a track separator",
        }
    }

    /// The name of one unit of content, for an error.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Format::N => "digits",
            Format::B => "bytes",
            _ => "characters",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::A => "a",
            Format::N => "n",
            Format::An => "an",
            Format::As => "as",
            Format::Ns => "ns",
            Format::Ans => "ans",
            Format::B => "b",
            Format::Z => "z",
            Format::Xn => "x+n",
        })
    }
}

/// How the length of a field is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LengthRule {
    /// Always the maximum length; no length goes over the wire.
    Fixed,
    /// A length of two digits, or of one byte where lengths are binary.
    Ll,
    /// A length of three digits, or of two bytes where lengths are binary.
    Lll,
    /// A length of four digits, or of two bytes where lengths are binary.
    Llll,
}

impl LengthRule {
    /// The number of digits in the length.
    pub(crate) fn digits(self) -> u8 {
        match self {
            LengthRule::Fixed => 0,
            LengthRule::Ll => 2,
            LengthRule::Lll => 3,
            LengthRule::Llll => 4,
        }
    }

    /// How many bytes the length takes on the wire.
    pub(crate) fn wire_bytes(self, encoding: LengthEncoding) -> u8 {
        let digits = self.digits();
        match encoding {
            LengthEncoding::Ascii | LengthEncoding::Ebcdic => digits,
            LengthEncoding::Bcd | LengthEncoding::Binary => digits.div_ceil(2),
        }
    }

    /// The greatest length that can be written.
    pub(crate) fn capacity(self, encoding: LengthEncoding) -> u32 {
        match (self, encoding) {
            (LengthRule::Fixed, _) => u32::from(MAX_FIELD_UNITS),
            (LengthRule::Ll, LengthEncoding::Binary) => 0xFF,
            (LengthRule::Lll | LengthRule::Llll, LengthEncoding::Binary) => 0xFFFF,
            (LengthRule::Ll, _) => 99,
            (LengthRule::Lll, _) => 999,
            (LengthRule::Llll, _) => 9_999,
        }
    }
}

/// How a length is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LengthEncoding {
    /// ASCII digits.
    Ascii,
    /// EBCDIC digits.
    Ebcdic,
    /// Two digits a byte, a leading zero where the number of digits is odd.
    Bcd,
    /// A big-endian number.
    Binary,
}

impl LengthEncoding {
    /// The length that these bytes are; `None` when one of them is no digit.
    pub(crate) fn parse(self, raw: &[u8]) -> Option<usize> {
        let decimal = |zero: u8| {
            raw.iter().try_fold(0_usize, |length, byte| {
                let digit = byte.wrapping_sub(zero);
                (digit < 10).then_some(length * 10 + usize::from(digit))
            })
        };
        match self {
            LengthEncoding::Ascii => decimal(b'0'),
            LengthEncoding::Ebcdic => decimal(0xF0),
            LengthEncoding::Bcd => raw.iter().try_fold(0_usize, |length, byte| {
                let (high, low) = (byte >> 4, byte & 0x0F);
                (high < 10 && low < 10).then_some(length * 100 + usize::from(high * 10 + low))
            }),
            LengthEncoding::Binary => Some(
                raw.iter()
                    .fold(0, |length, byte| length << 8 | usize::from(*byte)),
            ),
        }
    }
}

/// The units of a length prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LengthCounts {
    /// Units of content: digits, characters or, for format b, bytes before encoding.
    Content,
    /// The bytes that follow the length, as encoded.
    Wire,
}

/// How content is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContentEncoding {
    /// One ASCII character a byte.
    Ascii,
    /// One EBCDIC character a byte, in the dialect's code page.
    Ebcdic,
    /// Two digits a byte; an odd number of digits has a pad nibble in front.
    BcdLeft,
    /// Two digits a byte; an odd number of digits has a pad nibble behind.
    BcdRight,
    /// Bytes as they are (format b only).
    Binary,
    /// Two hexadecimal ASCII digits a byte (format b only). Written in upper case; read in both.
    Hex,
}

/// How much of a field people may see; see [`crate::masked`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// All of it.
    Clear,
    /// A PAN: six digits of BIN and the last four.
    Pan,
    /// Track 1: of its PAN as much as of any PAN, of the rest nothing.
    Track1,
    /// Track 2: of its PAN as much as of any PAN, of the rest nothing.
    Track2,
    /// Track 3: of its PAN as much as of any PAN, of the rest nothing.
    Track3,
    /// Nothing but the length. This is what a field gets that says nothing else.
    Masked,
}

/// One row of a dialect's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldSpec {
    pub(crate) format: Format,
    /// The characters that the format allows, looked up once.
    pub(crate) classes: Classes,
    pub(crate) length: LengthRule,
    pub(crate) length_encoding: LengthEncoding,
    pub(crate) counts: LengthCounts,
    pub(crate) encoding: ContentEncoding,
    pub(crate) shown: Shown,
    pub(crate) pad_spaces: bool,
    /// The nibble, 0 to 15, that fills an odd number of BCD digits.
    pub(crate) pad_nibble: u8,
    /// How many bytes the length takes on the wire; 0 when the length is fixed.
    pub(crate) prefix_bytes: u8,
    pub(crate) max_units: u16,
    pub(crate) name: Box<str>,
}

impl FieldSpec {
    /// The name of the field.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The characters or bytes of the content.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// How the length is known.
    #[must_use]
    pub fn length(&self) -> LengthRule {
        self.length
    }

    /// How the length is written. Without meaning where the length is fixed.
    #[must_use]
    pub fn length_encoding(&self) -> LengthEncoding {
        self.length_encoding
    }

    /// The units of the length prefix.
    #[must_use]
    pub fn length_counts(&self) -> LengthCounts {
        self.counts
    }

    /// How the content is written.
    #[must_use]
    pub fn encoding(&self) -> ContentEncoding {
        self.encoding
    }

    /// The greatest length in units: digits, characters or, for format b, bytes. A fixed field
    /// has exactly this length. 1 to [`MAX_FIELD_UNITS`].
    #[must_use]
    pub fn max_units(&self) -> u16 {
        self.max_units
    }

    /// How much of the field people may see.
    #[must_use]
    pub fn shown(&self) -> Shown {
        self.shown
    }

    /// How many bytes this many units of content take on the wire.
    pub(crate) fn wire_bytes(&self, units: usize) -> usize {
        match self.encoding {
            ContentEncoding::Ascii | ContentEncoding::Ebcdic | ContentEncoding::Binary => units,
            ContentEncoding::Hex => units * 2,
            // The sign of an amount is a character in front of the digits.
            ContentEncoding::BcdLeft | ContentEncoding::BcdRight if self.format == Format::Xn => {
                1 + units / 2
            }
            ContentEncoding::BcdLeft | ContentEncoding::BcdRight => units.div_ceil(2),
        }
    }

    /// Whether the content is digits, two a byte.
    pub(crate) fn is_bcd(&self) -> bool {
        matches!(
            self.encoding,
            ContentEncoding::BcdLeft | ContentEncoding::BcdRight
        )
    }
}
