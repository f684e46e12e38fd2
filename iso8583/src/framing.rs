//! The length in front of each message on a stream. Sans-I/O: it looks at bytes and says where a
//! message begins and ends.

use std::ops::Range;

use serde::Deserialize;

/// The payload limit of a [`Framing`] that names none, in bytes.
pub const DEFAULT_MAX_FRAME_BYTES: usize = 8 * 1024;

/// How the length is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prefix {
    /// Two bytes, big-endian: up to 65,535 bytes.
    #[serde(rename = "binary-2")]
    Binary2,
    /// Four bytes, big-endian.
    #[serde(rename = "binary-4")]
    Binary4,
    /// Four ASCII digits: up to 9,999 bytes.
    #[serde(rename = "ascii-4")]
    Ascii4,
}

impl Prefix {
    /// How many bytes the prefix takes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Prefix::Binary2 => 2,
            Prefix::Binary4 | Prefix::Ascii4 => 4,
        }
    }

    /// The greatest number that can be written.
    const fn capacity(self) -> usize {
        match self {
            Prefix::Binary2 => 0xFFFF,
            Prefix::Binary4 => 0xFFFF_FFFF,
            Prefix::Ascii4 => 9_999,
        }
    }
}

/// How messages are separated on a stream. In TOML:
///
/// ```toml
/// kind = "binary-2"       # binary-2, binary-4 or ascii-4
/// inclusive = false       # whether the length counts its own bytes
/// max_frame_bytes = 8192
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Framing {
    /// How the length is written; `kind` in TOML.
    #[serde(rename = "kind")]
    pub prefix: Prefix,
    /// Whether the length counts the bytes of the prefix too.
    #[serde(default)]
    pub inclusive: bool,
    /// The longest payload, in bytes, that is read or written. The prefix does not count.
    #[serde(default = "default_max_frame_bytes")]
    pub max_frame_bytes: usize,
}

const fn default_max_frame_bytes() -> usize {
    DEFAULT_MAX_FRAME_BYTES
}

/// Why a stream can't be split any further. The stream is out of step for good: close it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// A byte of an ASCII length is no digit.
    #[error("frame length: expected an ASCII digit at offset {offset}, got 0x{got:02X}")]
    Digit {
        /// Where the byte stands in the buffer.
        offset: usize,
        /// The byte.
        got: u8,
    },
    /// The length is said to count its own bytes, and is smaller than they are.
    #[error(
        "frame length: expected at least {expected}, the bytes of the length itself, got {got}"
    )]
    TooShort {
        /// The size of the prefix in bytes.
        expected: usize,
        /// The length read.
        got: usize,
    },
    /// The payload is longer than allowed.
    #[error("frame length: expected at most {expected} bytes of payload, got {got}")]
    TooLong {
        /// The limit in bytes.
        expected: usize,
        /// The length of the payload in bytes.
        got: usize,
    },
}

/// Why a frame was not written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameWriteError<E> {
    /// Writing the payload failed.
    #[error(transparent)]
    Payload(E),
    /// The payload is longer than the limit, or than the prefix can say.
    #[error("frame: expected at most {expected} bytes of payload, got {got}")]
    TooLong {
        /// The limit in bytes.
        expected: usize,
        /// The length of the payload in bytes.
        got: usize,
    },
}

impl Framing {
    /// Framing with this prefix, a length that does not count itself, and the default limit.
    #[must_use]
    pub const fn new(prefix: Prefix) -> Framing {
        Framing {
            prefix,
            inclusive: false,
            max_frame_bytes: DEFAULT_MAX_FRAME_BYTES,
        }
    }

    /// Finds the first message in `buf`: where its payload starts and ends. The next frame starts
    /// where the payload ends. `Ok(None)` means that more bytes are needed.
    ///
    /// An empty payload, which some hosts send to keep a line open, is a frame like any other.
    ///
    /// # Errors
    /// When the length is not a number, is too short to count itself, or is above the limit; this
    /// is known as soon as the prefix is there, before any of the payload.
    pub fn split(&self, buf: &[u8]) -> Result<Option<(usize, usize)>, FramingError> {
        let prefix_bytes = self.prefix.bytes();
        let Some(prefix) = buf.get(..prefix_bytes) else {
            return Ok(None);
        };
        let stated = self.stated_length(prefix)?;
        let payload_bytes = if self.inclusive {
            stated
                .checked_sub(prefix_bytes)
                .ok_or(FramingError::TooShort {
                    expected: prefix_bytes,
                    got: stated,
                })?
        } else {
            stated
        };
        if payload_bytes > self.max_frame_bytes {
            return Err(FramingError::TooLong {
                expected: self.max_frame_bytes,
                got: payload_bytes,
            });
        }
        let end = prefix_bytes.saturating_add(payload_bytes);
        Ok((end <= buf.len()).then_some((prefix_bytes, end)))
    }

    fn stated_length(&self, prefix: &[u8]) -> Result<usize, FramingError> {
        if self.prefix == Prefix::Ascii4
            && let Some((offset, got)) =
                prefix.iter().enumerate().find(|(_, b)| !b.is_ascii_digit())
        {
            return Err(FramingError::Digit { offset, got: *got });
        }
        let (base, mask) = match self.prefix {
            Prefix::Ascii4 => (10, 0x0F),
            Prefix::Binary2 | Prefix::Binary4 => (256, 0xFF),
        };
        Ok(prefix.iter().fold(0_usize, |length, byte| {
            length
                .saturating_mul(base)
                .saturating_add(usize::from(byte & mask))
        }))
    }

    /// Appends one frame to `out`: room for the length, then what `f` appends, then the length
    /// put in its place.
    ///
    /// # Errors
    /// The error of `f`, or that the payload is too long. `out` is then as it was before.
    pub fn write<E>(
        &self,
        out: &mut Vec<u8>,
        f: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), FrameWriteError<E>> {
        let start = out.len();
        let payload_start = start + self.prefix.bytes();
        out.resize(payload_start, 0);
        let written = f(out).map_err(FrameWriteError::Payload).and_then(|()| {
            let payload_bytes = out.len().saturating_sub(payload_start);
            self.patch_length(out, start..payload_start, payload_bytes)
        });
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn patch_length<E>(
        &self,
        out: &mut [u8],
        place: Range<usize>,
        payload_bytes: usize,
    ) -> Result<(), FrameWriteError<E>> {
        let own_bytes = if self.inclusive { place.len() } else { 0 };
        let limit = self.max_frame_bytes.min(self.prefix.capacity() - own_bytes);
        let too_long = FrameWriteError::TooLong {
            expected: limit,
            got: payload_bytes,
        };
        if payload_bytes > limit {
            return Err(too_long);
        }
        let Some(prefix) = out.get_mut(place) else {
            // Only a closure that shortens what it was given gets here.
            return Err(too_long);
        };
        let mut rest = payload_bytes + own_bytes;
        for byte in prefix.iter_mut().rev() {
            let (base, offset) = match self.prefix {
                Prefix::Ascii4 => (10, b'0'),
                Prefix::Binary2 | Prefix::Binary4 => (256, 0),
            };
            *byte = offset + u8::try_from(rest % base).unwrap_or(0);
            rest /= base;
        }
        Ok(())
    }
}
