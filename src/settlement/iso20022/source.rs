//! The bytes of a file: counted, so that every error says where, and bounded.

use std::io::{self, BufRead, Read};

use super::limits::MAX_EVENT_BYTES;
use crate::settlement::position::Position;

/// A file that has more of something than is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Bound {
    #[error("expected a file of at most {0} bytes, got more")]
    File(u64),
    #[error("expected a tag or text of at most {MAX_EVENT_BYTES} bytes, got more")]
    Event,
}

/// A source that knows where it is.
#[derive(Debug)]
pub(super) struct Source<R> {
    input: R,
    position: Position,
    event_offset: u64,
    most_bytes: u64,
}

impl<R: BufRead> Source<R> {
    pub(super) const fn new(input: R, most_bytes: u64) -> Self {
        Self {
            input,
            position: Position::BEGIN,
            event_offset: 0,
            most_bytes,
        }
    }

    /// Where the next tag or text begins.
    pub(super) const fn begin_event(&mut self) -> Position {
        self.event_offset = self.position.offset;
        self.position
    }
}

impl<R: BufRead> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let mut taken = available;
        let count = taken.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let offset = self.position.offset;
        let of_file = self.most_bytes.saturating_sub(offset);
        let of_event = MAX_EVENT_BYTES.saturating_sub(offset - self.event_offset);
        let available = self.input.fill_buf()?;
        let bound = match (available, of_file, of_event) {
            ([], _, _) => return Ok(available),
            (_, 0, _) => Bound::File(self.most_bytes),
            (_, _, 0) => Bound::Event,
            (_, _, _) => {
                let most = usize::try_from(of_file.min(of_event)).unwrap_or(usize::MAX);
                return Ok(available.get(..most).unwrap_or(available));
            }
        };
        Err(io::Error::other(bound))
    }

    fn consume(&mut self, count: usize) {
        // What is buffered is given again, so the bytes can be counted before they are gone.
        let buffered = self.input.fill_buf().unwrap_or(&[]);
        let consumed = buffered.get(..count).unwrap_or(buffered);
        let last_line = consumed.rsplit(|byte| *byte == b'\n').next();
        let newlines = consumed.iter().filter(|byte| **byte == b'\n').count();
        let position = &mut self.position;
        position.offset += to_u64(consumed.len());
        position.line += to_u64(newlines);
        position.column = to_u64(last_line.map_or(0, <[u8]>::len))
            + if newlines > 0 { 1 } else { position.column };
        self.input.consume(count);
    }
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
