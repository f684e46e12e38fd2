//! The wire of issuer-b as a table: how long each data element is, and what it is made of. Tests hold it
//! against `spec.yaml`, which the child reads, and against the dialect `iso1987-ascii-binary`, which the
//! acquirer speaks on its link.

use std::fmt;

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

/// The extent of a data element; `None` for one that `spec.yaml` does not define.
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

/// The characters or bytes of a data element (ISO 8583:1987, clause 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    /// n
    Digits,
    /// x+n: `C` or `D`, then digits.
    SignedDigits,
    /// an, with spaces that pad.
    LettersAndDigits,
    /// ns
    DigitsAndSpecial,
    /// ans
    Printable,
    /// z: digits and the separators `=` and `D`.
    Track,
    /// b
    Bytes,
}

impl Attribute {
    /// Whether a byte may stand at a position of the content.
    pub(super) fn allows(self, position: usize, byte: u8) -> bool {
        match self {
            Self::Digits => byte.is_ascii_digit(),
            Self::SignedDigits if position == 0 => matches!(byte, b'C' | b'D'),
            Self::SignedDigits => byte.is_ascii_digit(),
            Self::LettersAndDigits => byte.is_ascii_alphanumeric() || byte == b' ',
            Self::DigitsAndSpecial => matches!(byte, b' '..=b'~') && !byte.is_ascii_alphabetic(),
            Self::Printable => matches!(byte, b' '..=b'~'),
            Self::Track => byte.is_ascii_digit() || matches!(byte, b'=' | b'D'),
            Self::Bytes => true,
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Digits => "a digit",
            Self::SignedDigits => "a sign, then digits",
            Self::LettersAndDigits => "a letter, a digit or a space",
            Self::DigitsAndSpecial => "a digit or a special character",
            Self::Printable => "a printable ASCII character",
            Self::Track => "a digit or a separator",
            Self::Bytes => "a byte",
        })
    }
}

/// The attribute of a data element.
pub(super) const fn attribute(de: u8) -> Attribute {
    match de {
        28..=31 | 97 => Attribute::SignedDigits,
        37..=40 | 49..=51 | 54 | 91..=95 => Attribute::LettersAndDigits,
        34 => Attribute::DigitsAndSpecial,
        35 | 36 => Attribute::Track,
        41..=48 | 56..=63 | 98 | 101..=127 => Attribute::Printable,
        52 | 55 | 64 | 96 | 128 => Attribute::Bytes,
        _ => Attribute::Digits,
    }
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
    fn the_table_and_the_dialect_agree_on_what_is_in_a_data_element() {
        use iso8583::field::Format;
        let dialect = iso8583::Dialect::builtin("iso1987-ascii-binary").unwrap();
        for de in (2..=128).filter(|de| *de != 65) {
            let Some(field) = dialect.field(de) else {
                continue;
            };
            let theirs = match field.format() {
                Format::N => Attribute::Digits,
                Format::Xn => Attribute::SignedDigits,
                Format::An => Attribute::LettersAndDigits,
                Format::Ns => Attribute::DigitsAndSpecial,
                Format::Ans => Attribute::Printable,
                Format::Z => Attribute::Track,
                Format::B => Attribute::Bytes,
                format @ (Format::A | Format::As) => panic!("DE {de} is {format:?}"),
            };
            assert_eq!(attribute(de), theirs, "DE {de}");
        }
    }
}
