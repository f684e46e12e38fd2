//! The lines of a file that somebody else wrote: counted, and bounded.

use std::io::{self, BufRead, BufReader, Read};

use super::position::Position;

/// The longest line, in bytes. A line of a bank has some hundred.
pub const MOST_BYTES: usize = 64 * 1024;

/// A line of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its bytes, without its end (`\n` or `\r\n`).
    Whole(&'a [u8]),
    /// It has more than [`MOST_BYTES`]; what follows in it was skipped.
    TooLong,
}

/// The lines of a file, one at a time.
pub struct Lines<R> {
    from: BufReader<R>,
    number: u64,
    offset: u64,
    next_offset: u64,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    /// Reads the lines of a file.
    pub fn new(from: R) -> Self {
        Self {
            from: BufReader::new(from),
            number: 0,
            offset: 0,
            next_offset: 0,
            line: Vec::new(),
        }
    }

    /// The number of the line that was read last: 1 for the first; 0 before any was read.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Where the line that was read last begins.
    pub const fn position(&self) -> Position {
        Position {
            line: self.number,
            column: 1,
            offset: self.offset,
        }
    }

    /// The next line; none at the end.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        // The end of the line, `\r\n`, is not counted.
        let most = MOST_BYTES.saturating_add(2);
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        let mut beginning = self.from.by_ref().take(most);
        let count = beginning.read_until(b'\n', &mut self.line)?;
        if count == 0 {
            return Ok(None);
        }
        self.number = self.number.saturating_add(1);
        let ended = self.line.strip_suffix(b"\n");
        let is_whole = ended.is_some() || self.line.len() <= MOST_BYTES;
        let skipped = match is_whole {
            true => 0,
            false => self.from.skip_until(b'\n')?,
        };
        self.offset = self.next_offset;
        let length = count.saturating_add(skipped);
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        self.next_offset = self.offset.saturating_add(length);
        let line = ended.map_or(&*self.line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        Ok(Some(if is_whole && line.len() <= MOST_BYTES {
            Line::Whole(line)
        } else {
            Line::TooLong
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_either_way_and_long_ones_are_skipped() {
        let longest = "x".repeat(MOST_BYTES);
        let too_long = "x".repeat(MOST_BYTES + 1);
        let much_too_long = "x".repeat(3 * MOST_BYTES);
        let text = format!("a\nb\r\n\n{longest}\r\n{too_long}\n{much_too_long}\r\nc\r");
        let mut lines = Lines::new(text.as_bytes());
        let whole = |text| Some(Line::Whole(text));
        let last = u64::try_from(text.len() - 2).unwrap();
        for (number, expected) in [
            (1, whole("a".as_bytes())),
            (2, whole(b"b")),
            (3, whole(b"")),
            (4, whole(longest.as_bytes())),
            (5, Some(Line::TooLong)),
            (6, Some(Line::TooLong)),
            (7, whole(b"c\r")),
            (7, None),
        ] {
            assert_eq!(lines.next_line().unwrap(), expected, "{number}");
            assert_eq!(lines.number(), number);
            assert_eq!(lines.position().line, number);
        }
        assert_eq!(lines.position().offset, last);
    }
}
