//! A message that was read: a table of where each field lies in the bytes it was read from.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::bitmap::{DeSet, MAX_DE, is_bitmap};
use crate::content::Content;
use crate::dialect::Dialect;
use crate::field::{FieldSpec, Format};
use crate::mti::Mti;

/// The longest message, in bytes: offsets are kept in 16 bits.
pub const MAX_MESSAGE_BYTES: usize = 0xFFFF;

/// Where the content of a field lies.
#[derive(Clone, Copy, Default)]
pub(crate) struct Span {
    /// The offset of the first byte of content.
    pub(crate) start: u16,
    /// The length in units, from which the table knows the bytes.
    pub(crate) units: u16,
}

/// A message, borrowed from the bytes and the dialect it was read with.
///
/// Content was checked when the message was read, so every field that is there can be looked at.
/// `Debug` names the fields and shows the content of none.
#[derive(Clone)]
pub struct Message<'a> {
    pub(crate) dialect: &'a Dialect,
    pub(crate) bytes: &'a [u8],
    pub(crate) mti: Mti,
    /// Where the fields begin.
    pub(crate) preamble: u16,
    /// Whether all of the message was read, so that each field surely began where it seemed to.
    pub(crate) is_whole: bool,
    /// Whether the fields that the bitmaps announce end where the message ends, whatever they hold.
    pub(crate) is_aligned: bool,
    /// The fields that the bitmaps announce.
    pub(crate) announced: DeSet,
    /// The fields that were read, and DE 1 and DE 65 where there are further bitmaps.
    pub(crate) fields: DeSet,
    pub(crate) spans: [Span; MAX_DE as usize + 1],
}

impl<'a> Message<'a> {
    pub(crate) fn new(dialect: &'a Dialect, bytes: &'a [u8], mti: Mti) -> Self {
        Self {
            dialect,
            bytes,
            mti,
            preamble: 0,
            is_whole: false,
            is_aligned: false,
            announced: DeSet::default(),
            fields: DeSet::default(),
            spans: [Span::default(); MAX_DE as usize + 1],
        }
    }

    /// The message type indicator.
    #[must_use]
    pub fn mti(&self) -> Mti {
        self.mti
    }

    /// The bytes in front of the MTI; empty when the dialect has no header.
    #[must_use]
    pub fn header(&self) -> &'a [u8] {
        self.bytes
            .get(..self.dialect.header_bytes)
            .unwrap_or_default()
    }

    /// All the bytes of the message.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The dialect the message was read with.
    #[must_use]
    pub fn dialect(&self) -> &'a Dialect {
        self.dialect
    }

    /// Whether the field is there. For DE 1 and DE 65: whether there is a secondary or a tertiary
    /// bitmap.
    #[must_use]
    pub fn has(&self, de: u8) -> bool {
        self.fields.contains(de)
    }

    /// Whether the bitmaps announce the field, even where its content could not be read. What they do not
    /// announce is certainly not there.
    #[must_use]
    pub fn announces(&self, de: u8) -> bool {
        self.announced.contains(de)
    }

    /// Whether each announced field has an end and the last one ends the message: of a message with a fault,
    /// only contents are wrong then, and the fields that could be read are where they should be.
    #[must_use]
    pub fn is_aligned(&self) -> bool {
        self.is_aligned
    }

    /// The fields that are there, in ascending order; the bitmaps, DE 1 and DE 65, are not listed.
    pub fn iter_des(&self) -> impl Iterator<Item = u8> + Clone + use<> {
        self.fields.iter().filter(|de| !is_bitmap(*de))
    }

    /// The content as it is on the wire, without its length.
    #[must_use]
    pub fn raw(&self, de: u8) -> Option<&'a [u8]> {
        self.content(de).map(|content| content.raw)
    }

    /// The content as text: BCD as digits (a track's separator as `=`), EBCDIC as ASCII, ASCII
    /// borrowed. Spaces that pad are kept. `None` for format b.
    #[must_use]
    pub fn text(&self, de: u8) -> Option<Cow<'a, str>> {
        self.content(de)?.text()
    }

    /// Like [`text`](Self::text), without the spaces at the end.
    #[must_use]
    pub fn text_trimmed(&self, de: u8) -> Option<Cow<'a, str>> {
        match self.text(de)? {
            Cow::Borrowed(text) => Some(Cow::Borrowed(text.trim_end_matches(' '))),
            Cow::Owned(mut text) => {
                text.truncate(text.trim_end_matches(' ').len());
                Some(Cow::Owned(text))
            }
        }
    }

    /// The content as bytes: format b decoded where it is written in hex, other formats as the
    /// ASCII bytes of their text.
    #[must_use]
    pub fn bytes(&self, de: u8) -> Option<Cow<'a, [u8]>> {
        self.content(de)?.bytes()
    }

    /// Appends what [`bytes`](Self::bytes) gives to `out`, which needs no allocation while `out` has
    /// room, but for format b in hex. Returns whether the field is there.
    pub fn append_bytes(&self, de: u8, out: &mut Vec<u8>) -> bool {
        self.content(de)
            .is_some_and(|content| content.append_bytes(out))
    }

    /// The content as a number, whatever the format, as long as it is digits only and fits 64 bits.
    #[must_use]
    pub fn number(&self, de: u8) -> Option<u64> {
        self.content(de)?.number()
    }

    /// An amount of format x+n: positive for `C` (credit), negative for `D` (debit).
    #[must_use]
    pub fn signed(&self, de: u8) -> Option<i64> {
        let content = self
            .content(de)
            .filter(|content| content.spec.format == Format::Xn)?;
        let text = content.text()?;
        let digits: i64 = text.get(1..)?.parse().ok()?;
        Some(if text.starts_with('D') {
            -digits
        } else {
            digits
        })
    }

    /// The offset of the field from the first byte of the message, its length included.
    #[must_use]
    pub fn offset(&self, de: u8) -> Option<usize> {
        self.field_range(de).map(|range| range.start)
    }

    /// The bytes of the message that the field takes: its length, then its content.
    #[must_use]
    pub fn field_range(&self, de: u8) -> Option<Range<usize>> {
        let (spec, range) = self.located(de)?;
        Some(range.start.saturating_sub(usize::from(spec.prefix_bytes))..range.end)
    }

    /// The bytes of the message that the field's content takes.
    #[must_use]
    pub fn content_range(&self, de: u8) -> Option<Range<usize>> {
        self.located(de).map(|(_, range)| range)
    }

    /// How many bytes header, MTI and bitmaps take, as far as they were read.
    pub(crate) fn preamble_bytes(&self) -> usize {
        usize::from(self.preamble)
    }

    /// The row of a field that is there, and the bytes of its content.
    fn located(&self, de: u8) -> Option<(&'a FieldSpec, Range<usize>)> {
        if !self.has(de) || is_bitmap(de) {
            return None;
        }
        let span = self.spans.get(usize::from(de))?;
        let spec = self.dialect.field(de)?;
        let start = usize::from(span.start);
        Some((
            spec,
            start..start + spec.wire_bytes(usize::from(span.units)),
        ))
    }

    pub(crate) fn content(&self, de: u8) -> Option<Content<'a>> {
        let (spec, range) = self.located(de)?;
        let units = usize::from(self.spans.get(usize::from(de))?.units);
        let raw = self.bytes.get(range)?;
        Some(Content {
            spec,
            raw,
            units,
            code_page: self.dialect.code_page,
        })
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("dialect", &self.dialect.name())
            .field("mti", &self.mti)
            .field("des", &self.iter_des().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
