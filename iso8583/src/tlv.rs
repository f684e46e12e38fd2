//! BER-TLV, as chip data (DE 55) is written: EMV Book 3, Annex B; ISO/IEC 8825-1.
//!
//! Lengths are definite. Tags that no table lists are read like any other, and written again as
//! they were. Filler bytes between elements (EMV allows 00) are an error here.

pub mod builder;

use std::fmt;

/// The longest tag, in bytes.
pub const MAX_TAG_BYTES: usize = 4;

/// The longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 0xFFFF;

/// How deep constructed elements may stand in one another.
pub const MAX_DEPTH: usize = 8;

/// A tag, its bytes read as one big-endian number: `Tag(0x9F26)`, `Tag(0x82)`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u32);

impl Tag {
    /// 5A: PAN.
    pub const PAN: Tag = Tag(0x5A);
    /// 82: application interchange profile.
    pub const INTERCHANGE_PROFILE: Tag = Tag(0x82);
    /// 95: terminal verification results.
    pub const VERIFICATION_RESULTS: Tag = Tag(0x95);
    /// 9F10: issuer application data.
    pub const ISSUER_APPLICATION: Tag = Tag(0x9F10);
    /// 9F26: application cryptogram.
    pub const CRYPTOGRAM: Tag = Tag(0x9F26);
    /// 9F27: cryptogram information data.
    pub const CRYPTOGRAM_INFORMATION: Tag = Tag(0x9F27);
    /// 9F36: application transaction counter.
    pub const TRANSACTION_COUNTER: Tag = Tag(0x9F36);
    /// 9F37: unpredictable number.
    pub const UNPREDICTABLE_NUMBER: Tag = Tag(0x9F37);

    /// Whether the value is itself a list of elements.
    #[must_use]
    pub fn is_constructed(self) -> bool {
        let bytes = self.0.to_be_bytes();
        bytes
            .iter()
            .find(|byte| **byte != 0)
            .is_some_and(|first| first & 0x20 != 0)
    }

    /// Whether the bytes of this number are one well-formed tag.
    #[must_use]
    pub fn is_valid(self) -> bool {
        let bytes = self.0.to_be_bytes();
        let tag = bytes.get(self.leading_zeros()..).unwrap_or_default();
        read_tag(tag).is_some_and(|(_, length)| length == tag.len())
    }

    fn leading_zeros(self) -> usize {
        (self.0.leading_zeros() / 8) as usize
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}", self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}

/// One element. `Debug` shows the length of its value, not the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The tag.
    pub tag: Tag,
    /// The value.
    pub value: &'a [u8],
    /// Where the tag begins, in bytes from the start of the outermost list.
    pub offset: usize,
    raw: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// Tag, length and value as they were read.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The elements within; `None` when the tag is primitive.
    #[must_use]
    pub fn children(&self) -> Option<Tlvs<'a>> {
        let header_bytes = self.raw.len().saturating_sub(self.value.len());
        self.tag.is_constructed().then(|| Tlvs {
            bytes: self.value,
            at: 0,
            base: self.offset + header_bytes,
        })
    }
}

impl fmt::Debug for Tlv<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tlv")
            .field("tag", &self.tag)
            .field("offset", &self.offset)
            .field("value_bytes", &self.value.len())
            .finish_non_exhaustive()
    }
}

/// Why bytes are no BER-TLV, or an element can't be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlvError {
    /// The bytes at the offset begin no tag.
    #[error(
        "TLV at offset {offset}: expected a tag of at most {MAX_TAG_BYTES} bytes, got 0x{got:02X}"
    )]
    Tag {
        /// The offset from the start of the outermost list.
        offset: usize,
        /// The first byte there.
        got: u8,
    },
    /// The length is missing, indefinite, or longer than allowed.
    #[error(
        "TLV {tag} at offset {offset}: expected a definite length of at most {MAX_VALUE_BYTES}"
    )]
    Length {
        /// The tag.
        tag: Tag,
        /// Where the length begins.
        offset: usize,
    },
    /// The list ends before the value does.
    #[error("TLV {tag} at offset {offset}: expected {expected} bytes of value, got {got}")]
    Truncated {
        /// The tag.
        tag: Tag,
        /// Where the value begins.
        offset: usize,
        /// The length stated.
        expected: usize,
        /// The bytes left.
        got: usize,
    },
    /// Elements stand deeper in one another than allowed.
    #[error("TLV at offset {offset}: expected at most {MAX_DEPTH} elements in one another")]
    Depth {
        /// The offset of the element that is too deep.
        offset: usize,
    },
    /// A number that is no tag was to be written.
    #[error("TLV: expected a tag, got {got}")]
    NotATag {
        /// The number.
        got: Tag,
    },
    /// A value that is too long was to be written.
    #[error("TLV {tag}: expected at most {MAX_VALUE_BYTES} bytes of value, got {got}")]
    TooLong {
        /// The tag.
        tag: Tag,
        /// Its length in bytes.
        got: usize,
    },
}

/// The tag at the start of `bytes`, and how many bytes it takes.
fn read_tag(bytes: &[u8]) -> Option<(Tag, usize)> {
    let (&first, rest) = bytes.split_first()?;
    if first == 0 {
        return None;
    }
    if first & 0x1F != 0x1F {
        return Some((Tag(u32::from(first)), 1));
    }
    // The number goes on in bytes whose top bit says whether another follows.
    let mut tag = u32::from(first);
    for (byte, length) in rest.iter().zip(2..=MAX_TAG_BYTES) {
        tag = tag << 8 | u32::from(*byte);
        if byte & 0x80 == 0 {
            return Some((Tag(tag), length));
        }
    }
    None
}

/// The length at the start of `bytes`, and how many bytes it takes.
fn read_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), 1));
    }
    let count = usize::from(first & 0x7F);
    // 0x80 is the indefinite form. Four bytes are more than any value here needs.
    if count == 0 || count > 4 {
        return None;
    }
    let length = rest
        .get(..count)?
        .iter()
        .fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    (length <= MAX_VALUE_BYTES).then_some((length, 1 + count))
}

/// Goes through a list of elements. After an error it ends.
#[derive(Clone)]
pub struct Tlvs<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The offset of `bytes` in the outermost list.
    base: usize,
}

impl<'a> Tlvs<'a> {
    /// Goes through `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Tlvs<'a> {
        Tlvs {
            bytes,
            at: 0,
            base: 0,
        }
    }

    /// The first element with this tag at the top of the list; `None` when there is none before
    /// the end or the first error.
    #[must_use]
    pub fn find(bytes: &'a [u8], tag: Tag) -> Option<Tlv<'a>> {
        Tlvs::new(bytes)
            .map_while(Result::ok)
            .find(|tlv| tlv.tag == tag)
    }

    fn read(&mut self) -> Result<Tlv<'a>, TlvError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let offset = self.base + self.at;
        let got = rest.first().copied().unwrap_or(0);
        let (tag, tag_bytes) = read_tag(rest).ok_or(TlvError::Tag { offset, got })?;
        let (length, length_bytes) =
            rest.get(tag_bytes..)
                .and_then(read_length)
                .ok_or(TlvError::Length {
                    tag,
                    offset: offset + tag_bytes,
                })?;
        let start = tag_bytes + length_bytes;
        let end = start + length;
        let (Some(value), Some(raw)) = (rest.get(start..end), rest.get(..end)) else {
            return Err(TlvError::Truncated {
                tag,
                offset: offset + start,
                expected: length,
                got: rest.len().saturating_sub(start),
            });
        };
        self.at += end;
        Ok(Tlv {
            tag,
            value,
            offset,
            raw,
        })
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<Tlv<'a>, TlvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.at = self.bytes.len();
        }
        Some(read)
    }
}

/// Checks a list and all that is within it, and counts the elements.
///
/// # Errors
/// The first thing that is wrong, at any depth.
pub fn check(bytes: &[u8]) -> Result<usize, TlvError> {
    let mut open: [Option<Tlvs<'_>>; MAX_DEPTH] = [const { None }; MAX_DEPTH];
    let mut depth = 0;
    let mut count = 0;
    let mut list = Tlvs::new(bytes);
    loop {
        match list.next().transpose()? {
            Some(tlv) => {
                count += 1;
                if let Some(children) = tlv.children() {
                    let place = open
                        .get_mut(depth)
                        .ok_or(TlvError::Depth { offset: tlv.offset })?;
                    *place = Some(std::mem::replace(&mut list, children));
                    depth += 1;
                }
            }
            None if depth == 0 => return Ok(count),
            None => {
                depth -= 1;
                let Some(outer) = open.get_mut(depth).and_then(Option::take) else {
                    return Ok(count);
                };
                list = outer;
            }
        }
    }
}
