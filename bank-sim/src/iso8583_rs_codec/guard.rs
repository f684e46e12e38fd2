//! Checks bytes before `iso8583_rs` sees them, which panics on what it does not expect: lengths that
//! are no digits, bits without a field, an MTI that is no text. It also takes trailing bytes and wrong
//! lengths without a word. A walk over lengths finds all of these.

use std::ops::Range;

use thiserror::Error;

use super::wire_table::{Attribute, Extent, attribute, extent};

/// The fault in bytes that are not passed to `iso8583_rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Fault {
    #[error("MTI: expected four ASCII digits at offset 0")]
    Mti,
    #[error("bitmap: expected {expected} bytes, got {got}")]
    Bitmap {
        /// How many bytes the bitmaps take.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    #[error("DE {de}: expected a data element that the dialect defines")]
    Undefined {
        /// The data element.
        de: u8,
    },
    #[error("DE {de}: expected {expected} digits of length at offset {offset}")]
    Length {
        /// The data element.
        de: u8,
        /// How many digits.
        expected: usize,
        /// Where.
        offset: usize,
    },
    #[error("DE {de}: expected at most {expected} bytes, got a length of {got}")]
    TooLong {
        /// The data element.
        de: u8,
        /// The longest content.
        expected: usize,
        /// The stated length.
        got: usize,
    },
    #[error("DE {de}: expected {expected} bytes at offset {offset}, got fewer")]
    Short {
        /// The data element.
        de: u8,
        /// How many bytes.
        expected: usize,
        /// Where.
        offset: usize,
    },
    #[error("DE {de}: expected {expected} at offset {offset}")]
    Content {
        /// The data element.
        de: u8,
        /// The characters or bytes of its content.
        expected: Attribute,
        /// Where the first character is that does not belong.
        offset: usize,
    },
    #[error("expected the end of the message at offset {offset}, got {got} bytes more")]
    Trailing {
        /// Where the message ended.
        offset: usize,
        /// How many bytes follow.
        got: usize,
    },
}

/// The data elements of a frame, as far as they could be told apart.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Where each data element's content is; those whose content is wrong are left out.
    pub(super) contents: Vec<(u8, Range<usize>)>,
    /// The first fault. Wrong content does not end the walk, a wrong length does.
    pub(super) fault: Option<Fault>,
}

/// The bytes of an MTI and of one bitmap.
const MTI_BYTES: usize = 4;
const BITMAP_BYTES: usize = 8;

/// Walks over a frame from length to length.
pub(super) fn walk(frame: &[u8]) -> Walk {
    let mut walk = Walk::default();
    if let Err(fault) = walk_into(frame, &mut walk) {
        walk.fault.get_or_insert(fault);
    }
    walk
}

fn walk_into(frame: &[u8], walk: &mut Walk) -> Result<(), Fault> {
    let (mti, rest) = frame.split_at_checked(MTI_BYTES).ok_or(Fault::Mti)?;
    if !mti.iter().all(u8::is_ascii_digit) {
        return Err(Fault::Mti);
    }
    let has_secondary = rest.first().is_some_and(|byte| byte & 0x80 != 0);
    let bitmap_bytes = if has_secondary {
        2 * BITMAP_BYTES
    } else {
        BITMAP_BYTES
    };
    let bitmap = rest.get(..bitmap_bytes).ok_or(Fault::Bitmap {
        expected: bitmap_bytes,
        got: rest.len(),
    })?;
    let mut offset = MTI_BYTES + bitmap_bytes;
    for de in (2..=128_u8).filter(|de| has_bit(bitmap, *de)) {
        let content = content_of(frame, de, offset)?;
        offset = content.end;
        match first_misfit(frame, de, &content) {
            None => walk.contents.push((de, content)),
            Some(fault) => {
                walk.fault.get_or_insert(fault);
            }
        }
    }
    match frame.len().saturating_sub(offset) {
        0 => Ok(()),
        got => Err(Fault::Trailing { offset, got }),
    }
}

fn has_bit(bitmap: &[u8], de: u8) -> bool {
    let bit = usize::from(de).saturating_sub(1);
    bitmap
        .get(bit / 8)
        .is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0)
}

fn content_of(frame: &[u8], de: u8, offset: usize) -> Result<Range<usize>, Fault> {
    let (begin, length) = match extent(de).ok_or(Fault::Undefined { de })? {
        Extent::Fixed(length) => (offset, length),
        Extent::Variable { digits, max } => {
            let begin = offset + digits;
            let length = frame
                .get(offset..begin)
                .filter(|length| length.iter().all(u8::is_ascii_digit))
                .and_then(|length| str::from_utf8(length).ok()?.parse::<usize>().ok())
                .ok_or(Fault::Length {
                    de,
                    expected: digits,
                    offset,
                })?;
            if length > max {
                return Err(Fault::TooLong {
                    de,
                    expected: max,
                    got: length,
                });
            }
            (begin, length)
        }
    };
    let content = begin..begin + length;
    if content.end > frame.len() {
        return Err(Fault::Short {
            de,
            expected: length,
            offset: begin,
        });
    }
    Ok(content)
}

fn first_misfit(frame: &[u8], de: u8, content: &Range<usize>) -> Option<Fault> {
    let expected = attribute(de);
    let position = frame
        .get(content.clone())?
        .iter()
        .enumerate()
        .position(|(position, byte)| !expected.allows(position, *byte))?;
    Some(Fault::Content {
        de,
        expected,
        offset: content.start + position,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_names_what_is_wrong_and_keeps_what_came_before() {
        // 0800 with DE 11 (bit 11: 0x20 in the second byte) and DE 32 (last bit of the fourth).
        let head = [b"0800".as_slice(), &[0, 0x20, 0, 0x01, 0, 0, 0, 0]].concat();
        let with = |tail: &[u8]| [head.as_slice(), tail].concat();
        for (frame, fault, kept) in [
            (with(b"00000106400001"), None, 2),
            (b"08x0".to_vec(), Some(Fault::Mti), 0),
            (b"080".to_vec(), Some(Fault::Mti), 0),
            (
                b"0800\0".to_vec(),
                Some(Fault::Bitmap {
                    expected: 8,
                    got: 1,
                }),
                0,
            ),
            (
                b"0800\x80\0\0\0\0\0\0\0".to_vec(),
                Some(Fault::Bitmap {
                    expected: 16,
                    got: 8,
                }),
                0,
            ),
            (
                with(b"00000"),
                Some(Fault::Short {
                    de: 11,
                    expected: 6,
                    offset: 12,
                }),
                0,
            ),
            (
                with(b"000001+6400001"),
                Some(Fault::Length {
                    de: 32,
                    expected: 2,
                    offset: 18,
                }),
                1,
            ),
            (
                with(b"000001124000011"),
                Some(Fault::TooLong {
                    de: 32,
                    expected: 11,
                    got: 12,
                }),
                1,
            ),
            (
                with(b"0000010640000"),
                Some(Fault::Short {
                    de: 32,
                    expected: 6,
                    offset: 20,
                }),
                1,
            ),
            (
                with(b"00000106400001x"),
                Some(Fault::Trailing { offset: 26, got: 1 }),
                2,
            ),
            (
                b"0800\x80\0\0\0\0\0\0\0\x80\0\0\0\0\0\0\0".to_vec(),
                Some(Fault::Undefined { de: 65 }),
                0,
            ),
        ] {
            let walk = walk(&frame);
            assert_eq!(walk.fault, fault, "{frame:?}");
            assert_eq!(walk.contents.len(), kept, "{frame:?}");
        }
    }
}
