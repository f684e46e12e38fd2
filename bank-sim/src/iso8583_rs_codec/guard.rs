//! Checks bytes before `iso8583_rs` sees them, which panics on what it does not expect: lengths that
//! are no digits, bits without a field, an MTI that is no text. It also takes trailing bytes and wrong
//! lengths without a word. A walk over lengths finds all of these.

use std::ops::Range;

use thiserror::Error;

/// The extent of a data element on the wire of `spec.yaml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// As many bytes.
    Fixed(usize),
    /// As many ASCII digits of length, then at most `max` bytes.
    Variable {
        /// Digits of the length.
        digits: usize,
        /// The longest content in bytes.
        max: usize,
    },
}

/// The extent of a data element; `None` for one that `spec.yaml` does not define. A test holds this
/// table against `spec.yaml` and against the dialect `iso1987-ascii-binary`.
pub(super) const fn extent(de: u8) -> Option<Extent> {
    use Extent::{Fixed, Variable};
    Some(match de {
        2 => Variable { digits: 2, max: 19 },
        3 | 11..=12 | 38 | 73 => Fixed(6),
        4..=6 | 37 | 82..=85 => Fixed(12),
        7 | 74..=81 => Fixed(10),
        8..=10 | 41 | 52 | 64 | 96 | 128 => Fixed(8),
        13..=18 | 71..=72 => Fixed(4),
        19..=24 | 40 | 49..=51 | 68..=70 => Fixed(3),
        25..=26 | 39 | 67 | 92 => Fixed(2),
        27 | 66 | 91 => Fixed(1),
        28..=31 => Fixed(9),
        32..=33 | 99..=100 => Variable { digits: 2, max: 11 },
        34 | 102..=103 => Variable { digits: 2, max: 28 },
        35 => Variable { digits: 2, max: 37 },
        36 => Variable {
            digits: 3,
            max: 104,
        },
        42 => Fixed(15),
        43 => Fixed(40),
        44 => Variable { digits: 2, max: 25 },
        45 => Variable { digits: 2, max: 76 },
        46..=48 | 56..=63 | 105..=127 => Variable {
            digits: 3,
            max: 999,
        },
        55 => Variable {
            digits: 3,
            max: 255,
        },
        53 | 86..=89 => Fixed(16),
        54 => Variable {
            digits: 3,
            max: 120,
        },
        90 | 95 => Fixed(42),
        93 => Fixed(5),
        94 => Fixed(7),
        97 => Fixed(17),
        98 => Fixed(25),
        101 => Variable { digits: 2, max: 17 },
        104 => Variable {
            digits: 3,
            max: 100,
        },
        _ => return None,
    })
}

/// What is wrong with bytes that were not handed in.
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
    /// Where each data element's content is.
    pub(super) contents: Vec<(u8, Range<usize>)>,
    /// What ended the walk before the end of the frame.
    pub(super) fault: Option<Fault>,
}

/// The bytes of an MTI and of one bitmap.
const MTI_BYTES: usize = 4;
const BITMAP_BYTES: usize = 8;

/// Walks over a frame from length to length.
pub(super) fn walk(frame: &[u8]) -> Walk {
    let mut walk = Walk::default();
    walk.fault = walk_into(frame, &mut walk.contents).err();
    walk
}

fn walk_into(frame: &[u8], contents: &mut Vec<(u8, Range<usize>)>) -> Result<(), Fault> {
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
        contents.push((de, content));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of `spec.yaml` such as `- { name: "2", id: 2, type: Variable, len: 2, ... }`.
    fn extents_of_the_spec() -> Vec<(u8, &'static str, usize)> {
        let value = |line: &'static str, key: &str| {
            let rest = line.split_once(key)?.1;
            rest.split([',', ' ', '}']).next()
        };
        include_str!("spec.yaml")
            .lines()
            .filter_map(|line| {
                let de = value(line, "position: ")?.parse().ok()?;
                Some((
                    de,
                    value(line, "type: ")?,
                    value(line, " len: ")?.parse().ok()?,
                ))
            })
            .collect()
    }

    #[test]
    fn the_guard_and_the_spec_define_the_same_wire() {
        let spec = extents_of_the_spec();
        let mut defined = 0;
        for de in 0..=128 {
            let in_spec = spec.iter().find(|(number, ..)| *number == de);
            match (extent(de), in_spec) {
                (None, None) => continue,
                (Some(Extent::Fixed(bytes)), Some((_, "Fixed", len))) => assert_eq!(bytes, *len),
                (Some(Extent::Variable { digits, .. }), Some((_, "Variable", len))) => {
                    assert_eq!(digits, *len);
                }
                (ours, theirs) => panic!("DE {de}: {ours:?}, {theirs:?}"),
            }
            defined += 1;
        }
        assert_eq!(defined, spec.len());
    }

    #[test]
    fn the_guard_and_the_dialect_define_the_same_wire() {
        use iso8583::field::LengthRule;
        let dialect = iso8583::Dialect::builtin("iso1987-ascii-binary").unwrap();
        // DE 1 and DE 65 are bitmaps, which the guard knows apart from data elements.
        for de in (2..=128).filter(|de| *de != 65) {
            let theirs = dialect.field(de).map(|field| {
                let units = usize::from(field.max_units());
                match field.length() {
                    LengthRule::Fixed => Extent::Fixed(units),
                    LengthRule::Ll => Extent::Variable {
                        digits: 2,
                        max: units,
                    },
                    LengthRule::Lll => Extent::Variable {
                        digits: 3,
                        max: units,
                    },
                    LengthRule::Llll => Extent::Variable {
                        digits: 4,
                        max: units,
                    },
                }
            });
            assert_eq!(extent(de), theirs, "DE {de}");
        }
    }

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
