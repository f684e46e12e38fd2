//! A message of a clearing file: read by its dialect, and what stands in its private data.

use iso8583::{Dialect, DialectError, Message};

/// The elements that hold private data (PDS), in the order in which they are filled.
const PRIVATE: [u8; 5] = [48, 62, 123, 124, 125];

const ELEMENTS: &str = include_str!("dialect.toml");

/// The two ways in which the same messages are written.
pub(super) struct Dialects {
    ascii: Dialect,
    ebcdic: Dialect,
}

impl Dialects {
    pub(super) fn read() -> Result<Self, DialectError> {
        let with = |name: &str, settings: &str| {
            Dialect::from_toml(&format!("name = \"{name}\"\n{ELEMENTS}\n{settings}"))
        };
        Ok(Self {
            ascii: with("ipm-ascii", "[encodings]\nlength_counts = \"content\"")?,
            ebcdic: with(
                "ipm-ebcdic",
                "[mti]\nencoding = \"ebcdic\"\n[encodings]\nnumeric = \"ebcdic\"\ntext = \"ebcdic\"\n\
                 track = \"ebcdic\"\nlength = \"ebcdic\"\nlength_counts = \"content\"\ncode_page = \"500\"",
            )?,
        })
    }

    /// That of a record, by the first digit of its message type.
    pub(super) fn of(&self, record: &[u8]) -> &Dialect {
        match record.first() {
            Some(0xF0..=0xF9) => &self.ebcdic,
            _ => &self.ascii,
        }
    }
}

/// Private data that can't be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PrivateFault {
    /// The element.
    pub(super) de: u8,
    /// The byte of the message.
    pub(super) offset: usize,
    pub(super) expected: &'static str,
}

/// The private data with this tag, where it is there: its digits and letters, `?` for all else. Each has a tag of four
/// digits, a length of three, and so many characters.
pub(super) fn private(message: &Message<'_>, tag: &str) -> Result<Option<String>, PrivateFault> {
    for de in PRIVATE {
        let (Some(content), Some(range)) = (message.raw(de), message.content_range(de)) else {
            continue;
        };
        let fault = |rest: &[u8], expected| PrivateFault {
            de,
            offset: range.end.saturating_sub(rest.len()),
            expected,
        };
        let mut rest = content;
        while !rest.is_empty() {
            let header = rest.split_at_checked(7).and_then(|(header, after)| {
                let text: String = header.iter().map(|byte| character(*byte)).collect();
                let (own, length) = text.split_at_checked(4)?;
                let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
                let length: usize = length.parse().ok().filter(|_| is_number)?;
                Some((own == tag, length, after))
            });
            let Some((is_it, length, after)) = header else {
                return Err(fault(rest, "a tag of four digits and a length of three"));
            };
            let Some((value, after)) = after.split_at_checked(length) else {
                return Err(fault(rest, "as many characters as its length says"));
            };
            if is_it {
                return Ok(Some(value.iter().map(|byte| character(*byte)).collect()));
            }
            rest = after;
        }
    }
    Ok(None)
}

/// A digit or a capital letter, of ASCII or EBCDIC: their codes are apart. `?` for all else.
fn character(byte: u8) -> char {
    char::from(match byte {
        b'0'..=b'9' | b'A'..=b'Z' => byte,
        0xF0..=0xF9 => byte.wrapping_sub(0xF0 - b'0'),
        0xC1..=0xC9 => byte.wrapping_sub(0xC1 - b'A'),
        0xD1..=0xD9 => byte.wrapping_sub(0xD1 - b'J'),
        0xE2..=0xE9 => byte.wrapping_sub(0xE2 - b'S'),
        _ => b'?',
    })
}

#[cfg(test)]
mod tests {
    use iso8583::MessageBuilder;

    use super::*;

    fn found(content: &[u8], tag: &str) -> Result<Option<String>, PrivateFault> {
        let dialects = Dialects::read().unwrap();
        let mut message = MessageBuilder::new("1240".parse().unwrap());
        message.bytes(48, content).bytes(62, b"01480049782");
        let mut bytes = Vec::new();
        dialects.ascii.encode(&message, &mut bytes).unwrap();
        let message = dialects.ascii.decode(&bytes).unwrap();
        private(&message, tag)
    }

    #[test]
    fn private_data_is_found_by_its_tag_in_any_of_its_elements() {
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(found(b"0023003CT100250071R24101", "0023"), some("CT1"));
        assert_eq!(found(b"0023000", "0023"), some(""));
        assert_eq!(found(b"0023003a b", "0023"), some("???"));
        assert_eq!(found(b"0023003CT1", "0148"), some("9782"));
        assert_eq!(found(b"0023003CT1", "0306"), Ok(None));
        let ebcdic = [0xF0, 0xF0, 0xF2, 0xF5, 0xF0, 0xF0, 0xF2, 0xD9, 0xE9];
        assert_eq!(found(&ebcdic, "0025"), some("RZ"));
    }

    #[test]
    fn private_data_without_an_end_is_a_fault() {
        for (content, at) in [
            (&b"0023003CT"[..], 0),
            (b"0023003CT100", 10),
            (b"002x003CT1", 0),
            (b"00230+3CT1", 0),
        ] {
            let fault = found(content, "0306").unwrap_err();
            // The message type, the bitmaps and the length of DE 48 come first.
            assert_eq!(
                (fault.de, fault.offset),
                (48, 4 + 8 + 3 + at),
                "{content:?}"
            );
        }
    }
}
