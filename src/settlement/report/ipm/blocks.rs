//! The bytes of a clearing file: as they are, or in blocks of 1014 bytes, of which the last two are filler.

use std::io::{self, BufReader, Read};

/// A block, and the data in it.
const BLOCK: usize = 1014;
const DATA: usize = 1012;
/// What fills a block up (a space in EBCDIC), and what some fill the rest of the last block up with.
const FILLER: u8 = 0x40;
const OTHER_FILLER: u8 = 0;

/// How much of a file is looked at to see whether it has blocks: several records of any length.
pub(super) const MOST_LOOKED_AT: usize = 64 * BLOCK;

/// A byte that is not what it should be.
#[derive(Debug)]
pub(super) struct Unexpected {
    pub(super) offset: u64,
    pub(super) expected: &'static str,
    /// None at the end of the file.
    pub(super) got: Option<u8>,
}

/// Why no bytes can be had.
#[derive(Debug)]
pub(super) enum BlockError {
    Read(io::Error),
    Filler(Unexpected),
}

/// The data of a file, without what fills its blocks up.
pub(super) struct Blocks<R> {
    from: BufReader<R>,
    is_blocked: bool,
    /// The bytes of data that were read.
    count: u64,
}

impl<R: Read> Blocks<R> {
    pub(super) fn new(from: R, is_blocked: bool) -> Self {
        Self {
            from: BufReader::new(from),
            is_blocked,
            count: 0,
        }
    }

    /// The bytes of data that were read.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Where in the file the byte of data stands before which there are so many.
    pub(super) const fn offset_of(&self, count: u64) -> u64 {
        match self.is_blocked {
            true => count.saturating_add(count / DATA as u64 * (BLOCK - DATA) as u64),
            false => count,
        }
    }

    /// The data that is left in this block.
    fn left(&self) -> usize {
        let in_block = usize::try_from(self.count % DATA as u64).unwrap_or(0);
        DATA.saturating_sub(in_block)
    }

    /// Fills the buffer; with less only where the file ends.
    pub(super) fn read(&mut self, mut buffer: &mut [u8]) -> Result<usize, BlockError> {
        let mut total = 0_usize;
        while !buffer.is_empty() {
            let most = if self.is_blocked {
                self.left()
            } else {
                buffer.len()
            };
            let room = buffer.len().min(most);
            let Some((part, rest)) = buffer.split_at_mut_checked(room) else {
                break;
            };
            let count = self.fill(part)?;
            total = total.saturating_add(count);
            if count < room {
                break;
            }
            if self.is_blocked && self.left() == DATA {
                self.filler()?;
            }
            buffer = rest;
        }
        Ok(total)
    }

    fn fill(&mut self, mut part: &mut [u8]) -> Result<usize, BlockError> {
        let mut total = 0_usize;
        while !part.is_empty() {
            let count = match self.from.read(part) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(BlockError::Read(error)),
            };
            if count == 0 {
                break;
            }
            total = total.saturating_add(count);
            self.count = self.count.saturating_add(count as u64);
            part = part.get_mut(count..).unwrap_or_default();
        }
        Ok(total)
    }

    /// The two bytes after the data of a block, which was read just now.
    fn filler(&mut self) -> Result<(), BlockError> {
        let after = self.offset_of(self.count);
        for back in [2, 1] {
            let mut byte = [0];
            let got = match self.from.read_exact(&mut byte) {
                Ok(()) => Some(byte),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
                Err(error) => return Err(BlockError::Read(error)),
            };
            if got != Some([FILLER]) {
                return Err(BlockError::Filler(Unexpected {
                    offset: after.saturating_sub(back),
                    expected: "two bytes 40 that end a block of 1014 bytes",
                    got: got.map(|[byte]| byte),
                }));
            }
        }
        Ok(())
    }

    /// Reads what follows the last record: what fills its block up, and nothing else.
    pub(super) fn end(&mut self) -> Result<(), BlockError> {
        let begins_block = self.left() == DATA;
        if self.is_blocked && !begins_block {
            let mut rest = vec![FILLER; self.left()];
            let before = self.count;
            let count = self.read(&mut rest)?;
            let is_filler = |byte: &u8| matches!(*byte, FILLER | OTHER_FILLER);
            let wrong = rest.iter().position(|byte| !is_filler(byte));
            let wrong = wrong.or((count < rest.len()).then_some(count));
            if let Some(place) = wrong {
                return Err(BlockError::Filler(Unexpected {
                    offset: self.offset_of(before.saturating_add(place as u64)),
                    expected: "bytes 40 to the end of the block of 1014 bytes",
                    got: rest.get(place).copied().filter(|_| place < count),
                }));
            }
        }
        let offset = self.offset_of(self.count);
        let mut more = [0];
        match self.fill(&mut more)? {
            0 => Ok(()),
            _ => Err(BlockError::Filler(Unexpected {
                offset,
                expected: "nothing after the record of length 0",
                got: more.first().copied(),
            })),
        }
    }
}

/// Whether the file that begins like this has blocks: what its records say of their lengths is so either with them or
/// without. `beginning` has [`MOST_LOOKED_AT`] bytes, or all of the file.
pub(super) fn is_blocked(beginning: &[u8], most_record: usize) -> bool {
    let mut data = Vec::with_capacity(beginning.len());
    let mut ends_blocks = !beginning.is_empty();
    for block in beginning.chunks(BLOCK) {
        let (own, filler) = block.split_at(block.len().min(DATA));
        data.extend_from_slice(own);
        ends_blocks &= filler == [FILLER; BLOCK - DATA];
    }
    match (
        plausible(beginning, most_record),
        plausible(&data, most_record),
    ) {
        (None, Some(_)) => false,
        (Some(_), None) => true,
        // All of a small file is in its first block; of two wrong ways, the one that goes on for longer.
        (None, None) => ends_blocks,
        (Some(without), Some(with)) => with > without && data.len() < beginning.len(),
    }
}

/// Where the first record begins whose length or message type can't be; none where all can be.
fn plausible(data: &[u8], most_record: usize) -> Option<usize> {
    let mut begin = 0_usize;
    loop {
        let rest = data.get(begin..).unwrap_or_default();
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length == 0 {
            return None;
        }
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | 0xF0..=0xF9);
        if length > most_record || !rest.iter().take(4).all(is_digit) {
            return Some(begin);
        }
        begin = begin.saturating_add(length).saturating_add(4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], is_blocked: bool) -> Result<Vec<u8>, BlockError> {
        let mut blocks = Blocks::new(bytes, is_blocked);
        let mut data = vec![0; 5_000];
        let mut count = 0;
        // In parts that do not end where blocks do.
        for part in data.chunks_mut(700) {
            count += blocks.read(part)?;
        }
        data.truncate(count);
        Ok(data)
    }

    #[test]
    fn blocks_are_taken_away_and_offsets_are_those_of_the_file() {
        let data: Vec<u8> = (0..DATA * 2).map(|it| it.to_le_bytes()[0]).collect();
        let (one, two) = data.split_at(DATA);
        let file = [one, &[0x40; 2], two, &[0x40; 2]].concat();
        assert_eq!(read(&file, true).unwrap(), data);
        assert_eq!(read(&file, false).unwrap(), file);
        let blocks = Blocks::new(&file[..], true);
        for (count, offset) in [(0, 0), (1011, 1011), (1012, 1014), (2024, 2028)] {
            assert_eq!(blocks.offset_of(count), offset);
        }
        let mut wrong = file.clone();
        wrong[1013] = 0x41;
        for (file, expected) in [
            (&wrong[..], (1013, Some(0x41))),
            (&file[..2027], (2027, None)),
        ] {
            let Err(BlockError::Filler(found)) = read(file, true) else {
                panic!("filler");
            };
            assert_eq!((found.offset, found.got), expected);
        }
    }

    #[test]
    fn the_end_is_filled_up_and_nothing_follows() {
        let mut file = vec![0; 4];
        file.resize(BLOCK, 0x40);
        let ends = |file: &[u8], is_blocked| {
            let mut blocks = Blocks::new(file, is_blocked);
            blocks.read(&mut [0; 4]).unwrap();
            match blocks.end() {
                Ok(()) => None,
                Err(BlockError::Filler(found)) => Some((found.offset, found.got)),
                Err(BlockError::Read(error)) => panic!("{error}"),
            }
        };
        assert_eq!(ends(&file, true), None);
        assert_eq!(ends(&file[..4], false), None);
        assert_eq!(ends(&file[..900], true), Some((900, None)));
        assert_eq!(ends(&file, false), Some((4, Some(0x40))));
        let more = [&file[..], b"x"].concat();
        assert_eq!(ends(&more, true), Some((1014, Some(b'x'))));
        file[500] = b'x';
        assert_eq!(ends(&file, true), Some((500, Some(b'x'))));
    }
}
