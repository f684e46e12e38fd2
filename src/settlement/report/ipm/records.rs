//! Where each message of a clearing file begins and ends: its length comes first, in four bytes, the highest first. A length
//! of 0 ends the file.

use std::io::{self, Chain, Cursor, Read};

use super::blocks::{BlockError, Blocks, MOST_LOOKED_AT, Unexpected, is_blocked};

/// The longest record, in bytes. A message has some hundred, and each of its elements at most 999.
pub(super) const MOST_RECORD: usize = 16 * 1024;
/// The shortest one: a message type and 16 bytes of bitmaps.
const LEAST_RECORD: usize = 20;

/// What is wrong with a record. No record can be found after it.
#[derive(Debug)]
pub(super) struct Misframed {
    pub(super) offset: u64,
    pub(super) expected: String,
    pub(super) got: String,
}

/// Why there is no next record.
#[derive(Debug)]
pub(super) enum RecordError {
    Read(io::Error),
    Misframed(Misframed),
}

impl From<BlockError> for RecordError {
    fn from(error: BlockError) -> Self {
        let Unexpected {
            offset,
            expected,
            got,
        } = match error {
            BlockError::Read(error) => return Self::Read(error),
            BlockError::Filler(found) => found,
        };
        let end = || "the end of the file".to_owned();
        Self::Misframed(Misframed {
            offset,
            expected: expected.to_owned(),
            got: got.map_or_else(end, |byte| format!("{byte:02X}")),
        })
    }
}

/// The records of a file, one at a time.
pub(super) struct Records<R> {
    blocks: Blocks<Chain<Cursor<Vec<u8>>, R>>,
    number: u64,
    /// The bytes of data before the content of the record.
    begin: u64,
    record: Vec<u8>,
    has_ended: bool,
}

impl<R: Read> Records<R> {
    /// Looks at the beginning of the file to see whether it has blocks.
    ///
    /// # Errors
    /// When it can't be read.
    pub(super) fn new(mut from: R) -> io::Result<Self> {
        let mut beginning = Vec::new();
        let most = u64::try_from(MOST_LOOKED_AT).unwrap_or(u64::MAX);
        from.by_ref().take(most).read_to_end(&mut beginning)?;
        let is_blocked = is_blocked(&beginning, MOST_RECORD);
        Ok(Self {
            blocks: Blocks::new(Cursor::new(beginning).chain(from), is_blocked),
            number: 0,
            begin: 0,
            record: Vec::new(),
            has_ended: false,
        })
    }

    /// The number of the record that was read last: 1 for the first; 0 before any was read.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// The record that was read last.
    pub(super) fn record(&self) -> &[u8] {
        &self.record
    }

    /// Where in the file this byte of the record stands.
    pub(super) const fn offset_in_record(&self, byte: u64) -> u64 {
        self.blocks.offset_of(self.begin.saturating_add(byte))
    }

    /// Reads the next record; false at the end.
    ///
    /// # Errors
    /// When the file can't be read, or there is no record and no end.
    pub(super) fn advance(&mut self) -> Result<bool, RecordError> {
        if self.has_ended {
            return Ok(false);
        }
        let begin = self.blocks.offset_of(self.blocks.count());
        let mut length = [0; 4];
        let count = self.blocks.read(&mut length)?;
        let misframed = |expected: String, got: String| {
            Err(RecordError::Misframed(Misframed {
                offset: begin,
                expected,
                got,
            }))
        };
        if count < length.len() {
            self.has_ended = true;
            let expected = "the length of a record, or 0 at the end, in four bytes";
            return misframed(expected.to_owned(), format!("{count} bytes"));
        }
        let length_bytes = length;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length == 0 {
            self.has_ended = true;
            self.blocks.end()?;
            return Ok(false);
        }
        self.number = self.number.saturating_add(1);
        if !(LEAST_RECORD..=MOST_RECORD).contains(&length) {
            self.has_ended = true;
            let expected = format!("a record of {LEAST_RECORD} to {MOST_RECORD} bytes");
            let [a, b, c, d] = length_bytes;
            return misframed(expected, format!("{a:02X} {b:02X} {c:02X} {d:02X}"));
        }
        self.begin = self.blocks.count();
        self.record.resize(length, 0);
        let count = self.blocks.read(&mut self.record)?;
        if count < length {
            self.has_ended = true;
            return misframed(format!("a record of {length} bytes"), count.to_string());
        }
        Ok(true)
    }
}
