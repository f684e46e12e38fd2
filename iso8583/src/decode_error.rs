//! Errors of decoding: the first fault in a message, and the part of the message that could be read.

use std::borrow::Cow;
use std::fmt;

use crate::message::Message;

/// The part of a message in which something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The message as a whole.
    Whole,
    /// The header in front of the MTI.
    Header,
    /// The MTI.
    Mti,
    /// The primary (1), secondary (2) or tertiary (3) bitmap.
    Bitmap(u8),
    /// The length of a data element.
    Length(u8),
    /// The content of a data element, or its being there at all.
    Content(u8),
    /// The bytes after the last data element.
    Trailer,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Whole => f.write_str("message"),
            Part::Header => f.write_str("header"),
            Part::Mti => f.write_str("MTI"),
            Part::Bitmap(1) => f.write_str("primary bitmap"),
            Part::Bitmap(2) => f.write_str("secondary bitmap"),
            Part::Bitmap(_) => f.write_str("tertiary bitmap"),
            Part::Length(de) => write!(f, "length of DE {de}"),
            Part::Content(de) => write!(f, "DE {de}"),
            Part::Trailer => f.write_str("after the last DE"),
        }
    }
}

/// One fault in a message, and its place. Of the message it holds single bytes only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part} at offset {offset}: expected {expected}, got {got}")]
pub struct DecodeFault {
    /// The part of the message.
    pub part: Part,
    /// The offset from the first byte of the message.
    pub offset: usize,
    /// The values that are allowed there.
    pub expected: Cow<'static, str>,
    /// The value found.
    pub got: Cow<'static, str>,
}

impl DecodeFault {
    /// The data element in which, or at which, something is wrong.
    #[must_use]
    pub fn de(&self) -> Option<u8> {
        match self.part {
            Part::Length(de) | Part::Content(de) => Some(de),
            Part::Whole | Part::Header | Part::Mti | Part::Bitmap(_) | Part::Trailer => None,
        }
    }
}

/// A message that can't be read, with the part of it that can.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.fault)]
pub struct DecodeError<'a>(Box<Failure<'a>>);

#[derive(Debug)]
struct Failure<'a> {
    fault: DecodeFault,
    partial: Option<Message<'a>>,
}

impl<'a> DecodeError<'a> {
    #[cold]
    pub(crate) fn new(fault: DecodeFault, partial: Option<Message<'a>>) -> Self {
        Self(Box::new(Failure { fault, partial }))
    }

    /// The first thing that is wrong.
    #[must_use]
    pub fn fault(&self) -> &DecodeFault {
        &self.0.fault
    }

    /// The data element that is wrong; `None` when the fault is in no field.
    #[must_use]
    pub fn de(&self) -> Option<u8> {
        self.0.fault.de()
    }

    /// The offset from the first byte of the message.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.0.fault.offset
    }

    /// The values that are allowed there.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.0.fault.expected
    }

    /// The value found.
    #[must_use]
    pub fn got(&self) -> &str {
        &self.0.fault.got
    }

    /// The part that could be read, so that a format error can be answered and matched; `None`
    /// when not even the MTI could be.
    ///
    /// Where only content is wrong, the fields after it are there too. Where it is no longer known
    /// where fields begin (a bad length, an undefined DE), they are not.
    #[must_use]
    pub fn partial(&self) -> Option<&Message<'a>> {
        self.0.partial.as_ref()
    }
}

/// Faults are boxed, so that a `Result` on the way costs a pointer.
pub(crate) type Fault = Box<DecodeFault>;

/// A fault of `part`, `offset` bytes into the message.
#[cold]
pub(crate) fn fault(
    part: Part,
    offset: usize,
    expected: impl Into<Cow<'static, str>>,
    got: impl Into<Cow<'static, str>>,
) -> Fault {
    Box::new(DecodeFault {
        part,
        offset,
        expected: expected.into(),
        got: got.into(),
    })
}
