//! Reading a message, strictly: whatever is not as the dialect says is an error.

use crate::bitmap::{DeSet, MAX_BITMAPS, is_bitmap};
use crate::characters::{HEX, first_outside};
use crate::content;
use crate::decode_error::{DecodeError, Fault, Part, fault};
use crate::dialect::{BitmapEncoding, Dialect, MtiEncoding};
use crate::field::{ContentEncoding, FieldSpec, Format, LengthCounts, LengthRule};
use crate::hex;
use crate::message::{MAX_MESSAGE_BYTES, Message, Span};
use crate::mti::Mti;

impl Dialect {
    /// Reads one message, which must fill `bytes` to the last one. The message borrows both.
    ///
    /// # Errors
    /// The first thing that is wrong, with the DE, the offset, what was expected and what was
    /// there, and with the part of the message that could be read all the same.
    pub fn decode<'a>(&'a self, bytes: &'a [u8]) -> Result<Message<'a>, DecodeError<'a>> {
        let mut cursor = Cursor { bytes, at: 0 };
        match read_mti(self, &mut cursor) {
            Ok(mti) => decode_fields(self, cursor, mti),
            Err(fault) => Err(DecodeError::new(*fault, None)),
        }
    }
}

/// Reads what follows the MTI. The message is made where it is returned, because it is large.
fn decode_fields<'a>(
    dialect: &'a Dialect,
    mut cursor: Cursor<'a>,
    mti: Mti,
) -> Result<Message<'a>, DecodeError<'a>> {
    let mut outcome = Ok(Message::new(dialect, cursor.bytes, mti));
    if let Ok(message) = &mut outcome
        && let Err(fault) = read_message(message, &mut cursor)
    {
        let partial = message.clone();
        outcome = Err(DecodeError::new(*fault, Some(partial)));
    }
    outcome
}

/// Reads bitmaps and fields. When it fails, the message has the fields that are fine.
fn read_message(message: &mut Message<'_>, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    // The offsets fit: a message longer than 16 bits can say was refused with its MTI.
    message.preamble = u16::try_from(cursor.at).unwrap_or(0);
    message.fields = read_bitmaps(message.dialect, cursor)?;
    message.announced = message.fields;
    message.preamble = u16::try_from(cursor.at).unwrap_or(0);
    read_fields(message, cursor)
}

/// The bytes of a message, and how far they have been read.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The next `count` bytes.
    fn take(&mut self, count: usize, part: Part) -> Result<&'a [u8], Fault> {
        let end = self.at.saturating_add(count);
        let taken = self
            .bytes
            .get(self.at..end)
            .ok_or_else(|| self.too_short(count, part))?;
        self.at = end;
        Ok(taken)
    }

    #[cold]
    fn too_short(&self, count: usize, part: Part) -> Fault {
        let left = self.bytes.len().saturating_sub(self.at);
        fault(
            part,
            self.at,
            format!("{count} bytes"),
            format!("{left} bytes"),
        )
    }
}

fn read_mti(dialect: &Dialect, cursor: &mut Cursor<'_>) -> Result<Mti, Fault> {
    if cursor.bytes.len() > MAX_MESSAGE_BYTES {
        let expected = format!("at most {MAX_MESSAGE_BYTES} bytes");
        return Err(fault(
            Part::Whole,
            0,
            expected,
            format!("{} bytes", cursor.bytes.len()),
        ));
    }
    cursor.take(dialect.header_bytes, Part::Header)?;
    let offset = cursor.at;
    let (raw, mti) = match dialect.mti {
        MtiEncoding::Bcd => {
            let raw = cursor.take(2, Part::Mti)?;
            (raw, raw.try_into().ok().and_then(Mti::from_bcd))
        }
        MtiEncoding::Ascii => {
            let raw = cursor.take(4, Part::Mti)?;
            (raw, digits(raw, b'0').and_then(Mti::from_digits))
        }
        MtiEncoding::Ebcdic => {
            let raw = cursor.take(4, Part::Mti)?;
            (raw, digits(raw, 0xF0).and_then(Mti::from_digits))
        }
    };
    mti.ok_or_else(|| {
        fault(
            Part::Mti,
            offset,
            "4 digits",
            format!("0x{}", hex::encode(raw)),
        )
    })
}

/// Four bytes as their distance from the digit zero.
fn digits(raw: &[u8], zero: u8) -> Option<[u8; 4]> {
    let raw: [u8; 4] = raw.try_into().ok()?;
    Some(raw.map(|byte| byte.wrapping_sub(zero)))
}

/// Reads the primary bitmap and those that it announces.
fn read_bitmaps(dialect: &Dialect, cursor: &mut Cursor<'_>) -> Result<DeSet, Fault> {
    let mut words = [0_u64; MAX_BITMAPS];
    for (word, nth) in words.iter_mut().zip(1..) {
        let offset = cursor.at;
        *word = read_bitmap(dialect.bitmap, cursor, nth)?;
        // The first bit of the primary bitmap announces the secondary one, and so on.
        if *word >> 63 == 0 {
            break;
        }
        if nth == 2 && !dialect.tertiary {
            let got = "bit 65 set";
            return Err(fault(Part::Content(65), offset, "no tertiary bitmap", got));
        }
    }
    Ok(DeSet::from_words(words))
}

fn read_bitmap(encoding: BitmapEncoding, cursor: &mut Cursor<'_>, nth: u8) -> Result<u64, Fault> {
    let part = Part::Bitmap(nth);
    let offset = cursor.at;
    let raw = cursor.take(encoding.wire_bytes(), part)?;
    match encoding {
        BitmapEncoding::Binary => Ok(raw
            .iter()
            .fold(0, |word, byte| word << 8 | u64::from(*byte))),
        BitmapEncoding::Hex => match first_outside(raw, HEX) {
            Some(at) => {
                let got = format!("0x{:02X}", raw.get(at).copied().unwrap_or(0));
                Err(fault(part, offset + at, "a hexadecimal digit", got))
            }
            None => Ok(raw.iter().fold(0, |word, byte| {
                word << 4 | u64::from(hex::nibble(*byte).unwrap_or(0))
            })),
        },
    }
}

/// Reads the fields that the bitmaps announce. When it fails, the message has those that are fine.
fn read_fields(message: &mut Message<'_>, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let mut first_fault = None;
    for de in message.fields.iter() {
        if is_bitmap(de) {
            continue;
        }
        match read_field(message.dialect, de, cursor) {
            Ok(Ok(span)) => {
                if let Some(place) = message.spans.get_mut(usize::from(de)) {
                    *place = span;
                }
            }
            // The content is wrong but its end is known: go on, so that a format error can be
            // matched by the fields that follow.
            Ok(Err(fault)) => {
                message.fields.remove(de);
                first_fault.get_or_insert(fault);
            }
            Err(fault) => {
                message.fields.remove_from(de);
                return Err(first_fault.unwrap_or(fault));
            }
        }
    }
    let left = cursor.bytes.len().saturating_sub(cursor.at);
    message.is_aligned = left == 0;
    match first_fault {
        Some(fault) => Err(fault),
        None if left == 0 => {
            message.is_whole = true;
            Ok(())
        }
        None => Err(fault(
            Part::Trailer,
            cursor.at,
            "the end",
            format!("{left} more bytes"),
        )),
    }
}

/// Reads one field. The outer error means that the end of the field isn't known, the inner one
/// that its content is wrong.
fn read_field(
    dialect: &Dialect,
    de: u8,
    cursor: &mut Cursor<'_>,
) -> Result<Result<Span, Fault>, Fault> {
    let Some(spec) = dialect.field(de) else {
        let expected = format!("a DE that {} defines", dialect.name());
        return Err(fault(
            Part::Content(de),
            cursor.at,
            expected,
            format!("bit {de} set"),
        ));
    };
    let units = match spec.length {
        LengthRule::Fixed => usize::from(spec.max_units),
        _ => read_length(spec, de, cursor)?,
    };
    let start = cursor.at;
    let raw = cursor.take(spec.wire_bytes(units), Part::Content(de))?;
    Ok(match content::check(spec, raw, units, dialect.code_page) {
        // A length in bytes can hide one digit more than there may be.
        Ok(units) if units > usize::from(spec.max_units) => {
            let expected = format!("at most {} {}", spec.max_units, spec.format.unit());
            Err(fault(Part::Length(de), start, expected, units.to_string()))
        }
        // Neither number can exceed what a message or a field can hold, so both fit.
        Ok(units) => Ok(Span {
            start: u16::try_from(start).unwrap_or(u16::MAX),
            units: u16::try_from(units).unwrap_or(u16::MAX),
        }),
        Err(wrong) => {
            let got = format!("0x{:02X}", wrong.got);
            Err(fault(
                Part::Content(de),
                start + wrong.at,
                wrong.expected,
                got,
            ))
        }
    })
}

/// Reads a length and turns it into units of content.
fn read_length(spec: &FieldSpec, de: u8, cursor: &mut Cursor<'_>) -> Result<usize, Fault> {
    let part = Part::Length(de);
    let offset = cursor.at;
    let raw = cursor.take(usize::from(spec.prefix_bytes), part)?;
    let stated = spec.length_encoding.parse(raw).ok_or_else(|| {
        let expected = format!("{} digits", spec.length.digits());
        fault(part, offset, expected, format!("0x{}", hex::encode(raw)))
    })?;
    let units = match (spec.counts, spec.encoding) {
        (LengthCounts::Wire, ContentEncoding::Hex) if stated % 2 == 0 => stated / 2,
        (LengthCounts::Wire, ContentEncoding::Hex) => {
            return Err(fault(
                part,
                offset,
                "an even number of digits",
                stated.to_string(),
            ));
        }
        // The most digits these bytes can hold; the pad nibble tells whether it is one less.
        (LengthCounts::Wire, _) if spec.is_bcd() => stated * 2,
        _ => stated,
    };
    let max = usize::from(spec.max_units);
    // An odd maximum fills its last byte with a pad nibble.
    let limit = if spec.counts == LengthCounts::Wire && spec.is_bcd() {
        max.next_multiple_of(2)
    } else {
        max
    };
    if units > limit {
        let expected = format!("at most {max} {}", spec.format.unit());
        return Err(fault(part, offset, expected, units.to_string()));
    }
    if units == 0 && spec.format == Format::Xn {
        return Err(fault(part, offset, "a sign", "0"));
    }
    Ok(units)
}
