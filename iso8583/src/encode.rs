//! Writing a message. Every value is checked against the dialect first.

use std::borrow::Cow;

use crate::bcd;
use crate::bitmap::{DeSet, MAX_DE};
use crate::builder::{MessageBuilder, Misuse, Value, ValueKind};
use crate::characters::{first_outside, first_outside_amount};
use crate::dialect::{BitmapEncoding, Dialect, MtiEncoding};
use crate::field::{ContentEncoding, FieldSpec, Format, LengthCounts, LengthEncoding, LengthRule};
use crate::hex;
use crate::message::MAX_MESSAGE_BYTES;

/// Why a message can't be written. It holds nothing of the values but single characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}expected {expected}, got {got}", .de.map(|de| format!("DE {de}: ")).unwrap_or_default())]
pub struct EncodeError {
    /// The data element; `None` when the header or the whole message is at fault.
    pub de: Option<u8>,
    /// The values that are allowed.
    pub expected: Cow<'static, str>,
    /// The value found, shortened.
    pub got: Cow<'static, str>,
}

#[cold]
fn error(
    de: Option<u8>,
    expected: impl Into<Cow<'static, str>>,
    got: impl Into<Cow<'static, str>>,
) -> EncodeError {
    EncodeError {
        de,
        expected: expected.into(),
        got: got.into(),
    }
}

impl Dialect {
    /// Writes one message to the end of `out`.
    ///
    /// # Errors
    /// The first data element, in ascending order, that this dialect doesn't define or whose value
    /// doesn't fit it. `out` is then as it was before.
    pub fn encode(&self, builder: &MessageBuilder, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        let written = write_message(self, builder, out, start);
        if written.is_err() {
            out.truncate(start);
        }
        written
    }
}

fn write_message(
    dialect: &Dialect,
    builder: &MessageBuilder,
    out: &mut Vec<u8>,
    start: usize,
) -> Result<(), EncodeError> {
    if let Some((de, misuse)) = builder.misuse() {
        return Err(match misuse {
            Misuse::NoSuchDe => error(Some(de), format!("a DE from 2 to {MAX_DE}"), de.to_string()),
            Misuse::Bitmap => error(Some(de), "a DE that is no bitmap", "a value"),
            Misuse::TooLong(bytes) => {
                let expected = format!("at most {MAX_MESSAGE_BYTES} bytes in all");
                error(Some(de), expected, bytes.to_string())
            }
        });
    }
    write_header(dialect, builder.header_bytes(), out)?;
    match dialect.mti {
        MtiEncoding::Ascii => out.extend_from_slice(&builder.mti().ascii()),
        MtiEncoding::Bcd => out.extend_from_slice(&builder.mti().bcd()),
        MtiEncoding::Ebcdic => {
            out.extend_from_slice(&builder.mti().digits().map(|digit| 0xF0 | digit));
        }
    }
    write_bitmaps(dialect, builder, out);
    for (de, value) in builder.values() {
        let Some(spec) = dialect.field(de) else {
            let expected = format!("a DE that {} defines", dialect.name());
            return Err(error(Some(de), expected, "a value"));
        };
        if de > 128 && !dialect.tertiary {
            return Err(error(Some(de), "no tertiary bitmap", "a value"));
        }
        Field { dialect, spec, de }.write(&value, out)?;
    }
    let length = out.len().saturating_sub(start);
    if length > MAX_MESSAGE_BYTES {
        let expected = format!("a message of at most {MAX_MESSAGE_BYTES} bytes");
        return Err(error(None, expected, length.to_string()));
    }
    Ok(())
}

fn write_header(dialect: &Dialect, given: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let header = if given.is_empty() {
        &dialect.default_header
    } else {
        given
    };
    if header.len() != dialect.header_bytes {
        let expected = format!("a header of {} bytes", dialect.header_bytes);
        return Err(error(None, expected, format!("{} bytes", header.len())));
    }
    out.extend_from_slice(header);
    Ok(())
}

fn write_bitmaps(dialect: &Dialect, builder: &MessageBuilder, out: &mut Vec<u8>) {
    let mut fields: DeSet = builder.fields();
    let [_, second, third] = *fields.words();
    let tertiary = dialect.tertiary && (third != 0 || builder.announced().contains(65));
    if tertiary {
        fields.insert(65);
    }
    let secondary = tertiary || second != 0 || builder.announced().contains(1);
    if secondary {
        fields.insert(1);
    }
    let bitmaps = 1 + usize::from(secondary) + usize::from(tertiary);
    for word in fields.words().iter().take(bitmaps) {
        match dialect.bitmap {
            BitmapEncoding::Binary => out.extend_from_slice(&word.to_be_bytes()),
            BitmapEncoding::Hex => {
                out.extend(
                    word.to_be_bytes()
                        .iter()
                        .flat_map(|byte| hex::digits(*byte)),
                );
            }
        }
    }
}

/// One field on its way out.
struct Field<'a> {
    dialect: &'a Dialect,
    spec: &'a FieldSpec,
    de: u8,
}

impl Field<'_> {
    fn error(&self, expected: impl Into<Cow<'static, str>>, got: String) -> EncodeError {
        error(Some(self.de), expected, got)
    }

    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let spec = self.spec;
        match (spec.format, value.kind) {
            (Format::B, ValueKind::Text | ValueKind::Number) => {
                return Err(self.error("bytes", "text".into()));
            }
            (Format::Xn | Format::Z | Format::A | Format::As, ValueKind::Number) => {
                return Err(
                    self.error(format!("text of format {}", spec.format), "a number".into())
                );
            }
            _ => {}
        }
        let max = usize::from(spec.max_units);
        let units = value.bytes.len();
        let missing = match spec.length {
            LengthRule::Fixed => max.saturating_sub(units),
            _ => 0,
        };
        let fills = missing == 0 || value.kind == ValueKind::Number || spec.pad_spaces;
        if units > max || !fills || (spec.format == Format::Xn && units == 0) {
            return Err(self.wrong_length(units));
        }
        self.check_characters(value.bytes)?;
        self.write_length(units, out);
        match missing {
            0 => self.write_content(value.bytes, out),
            _ => self.write_filled(value, missing, out),
        }
        Ok(())
    }

    #[cold]
    fn wrong_length(&self, units: usize) -> EncodeError {
        let (max, unit) = (self.spec.max_units, self.spec.format.unit());
        let expected = match self.spec.length {
            LengthRule::Fixed if !self.spec.pad_spaces => format!("{max} {unit}"),
            _ => format!("at most {max} {unit}"),
        };
        self.error(expected, units.to_string())
    }

    fn check_characters(&self, content: &[u8]) -> Result<(), EncodeError> {
        let format = self.spec.format;
        let wrong = match format {
            Format::B => None,
            Format::Xn => first_outside_amount(content, |byte| byte),
            _ => first_outside(content, self.spec.classes),
        };
        let Some(at) = wrong else {
            return Ok(());
        };
        let byte = content.get(at).copied().unwrap_or(0);
        let expected = match (format, at) {
            (Format::Xn, 0) => "the sign C or D",
            _ => format.expected_character(),
        };
        Err(self.error(
            format!("{expected} at position {at}"),
            format!("0x{byte:02X}"),
        ))
    }

    fn write_length(&self, units: usize, out: &mut Vec<u8>) {
        let spec = self.spec;
        if spec.length == LengthRule::Fixed {
            return;
        }
        let mut rest = match spec.counts {
            LengthCounts::Content => units,
            LengthCounts::Wire => spec.wire_bytes(units),
        };
        let start = out.len();
        out.resize(start + usize::from(spec.prefix_bytes), 0);
        // The dialect was refused if its length could not say the maximum.
        for byte in out.iter_mut().skip(start).rev() {
            let (base, zero) = match spec.length_encoding {
                LengthEncoding::Ascii => (10, b'0'),
                LengthEncoding::Ebcdic => (10, 0xF0),
                LengthEncoding::Bcd => (100, 0),
                LengthEncoding::Binary => (256, 0),
            };
            let digit = u8::try_from(rest % base).unwrap_or(0);
            *byte = match spec.length_encoding {
                LengthEncoding::Bcd => ((digit / 10) << 4) | (digit % 10),
                _ => zero | digit,
            };
            rest /= base;
        }
    }

    /// Writes content that has to be filled up: numbers with zeros in front, text with spaces
    /// behind.
    fn write_filled(&self, value: &Value<'_>, missing: usize, out: &mut Vec<u8>) {
        let is_ebcdic = self.spec.encoding == ContentEncoding::Ebcdic;
        if value.kind == ValueKind::Number && self.spec.is_bcd() {
            let is_left = self.spec.encoding == ContentEncoding::BcdLeft;
            let digits = usize::from(self.spec.max_units);
            bcd::encode_filled(value.bytes, digits, self.spec.pad_nibble, is_left, out);
        } else if value.kind == ValueKind::Number {
            out.resize(out.len() + missing, if is_ebcdic { 0xF0 } else { b'0' });
            self.write_content(value.bytes, out);
        } else {
            self.write_content(value.bytes, out);
            out.resize(out.len() + missing, if is_ebcdic { 0x40 } else { b' ' });
        }
    }

    fn write_content(&self, content: &[u8], out: &mut Vec<u8>) {
        let spec = self.spec;
        match spec.encoding {
            ContentEncoding::Ascii | ContentEncoding::Binary => out.extend_from_slice(content),
            ContentEncoding::Ebcdic => {
                out.extend(
                    content
                        .iter()
                        .map(|byte| self.dialect.code_page.ebcdic(*byte)),
                );
            }
            ContentEncoding::Hex => {
                out.extend(content.iter().flat_map(|byte| hex::digits(*byte)));
            }
            ContentEncoding::BcdLeft | ContentEncoding::BcdRight => {
                let digits = match content.split_first() {
                    Some((sign, digits)) if spec.format == Format::Xn => {
                        out.push(*sign);
                        digits
                    }
                    _ => content,
                };
                let is_left = spec.encoding == ContentEncoding::BcdLeft;
                bcd::encode(digits, spec.pad_nibble, is_left, out);
            }
        }
    }
}
