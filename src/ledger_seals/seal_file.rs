//! The file of the seals outside the database: a line for each, added in the order of their numbers.
//!
//! Other programs can write to it as well. So a line counts only by its signature, and no whole line is ever taken out.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ledger::seal::{Hash, Seal};

/// The longest line that is looked at, in bytes: a seal has about 450. Of a longer one only the beginning is seen.
const MAX_LINE: u64 = 2_000;
/// The end of a file that is looked at first: the last seals of this installation should be in it.
const TAIL: u64 = 64 * 1024;
/// The most of it that is looked at for a seal of this installation.
const MOST_TAIL: u64 = 64 * TAIL;

/// The file. Its functions wait for the disk.
#[derive(Debug, Clone)]
pub struct SealFile {
    path: PathBuf,
    seen: Arc<Mutex<Option<Seen>>>,
}

/// What was seen of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Where its whole lines end.
    bytes: u64,
    /// The seal of this installation with the highest number.
    pub last: Option<Seal>,
    /// Whether there is a line that is no such seal.
    pub foreign: bool,
}

impl Seen {
    /// The highest number of a seal of this installation; 0 where there is none.
    #[must_use]
    pub fn number(&self) -> i64 {
        self.last.as_ref().map_or(0, |seal| seal.sealed.number)
    }
}

/// Why a line is no seal of this installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// It can't be read as one.
    #[error("is no seal")]
    NoSeal,
    /// Its signature is not that of its key.
    #[error("is a seal with a wrong signature")]
    Unsigned,
    /// It is signed with another key.
    #[error("is a seal of another installation")]
    OtherKey,
}

/// The seal of a line, where the installation with `key` has signed it.
///
/// # Errors
/// When it is no such seal.
pub fn own_seal(line: &[u8], key: &Hash) -> Result<Seal, Foreign> {
    let seal = any_seal(line).ok_or(Foreign::NoSeal)?;
    if !seal.is_signed() {
        return Err(Foreign::Unsigned);
    }
    if seal.public_key != *key {
        return Err(Foreign::OtherKey);
    }
    Ok(seal)
}

/// The seal of a line, whoever wrote it.
#[must_use]
pub fn any_seal(line: &[u8]) -> Option<Seal> {
    std::str::from_utf8(line).ok()?.parse().ok()
}

impl SealFile {
    /// The file at `path`, which need not be there yet.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self {
            path,
            seen: Arc::default(),
        }
    }

    /// Reads its whole lines, in order, each without its line feed. A file that is not there has none.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn read(&self, line_read: impl FnMut(&[u8])) -> io::Result<()> {
        match File::open(&self.path) {
            Ok(file) => lines_of(BufReader::new(file), line_read).map(drop),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Looks at what is new in the file; at its end only, where it is looked at for the first time or became shorter.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn look(&self, key: &Hash) -> io::Result<Seen> {
        match File::open(&self.path) {
            Ok(file) => self.look_at(&file, key),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *self.seen() = None;
                Ok(Seen::default())
            }
            Err(error) => Err(error),
        }
    }

    /// Adds the lines of seals that it lacks, and waits until they are on the disk. A last line that was not written to
    /// its end is overwritten.
    ///
    /// # Errors
    /// When that fails.
    pub fn append(&self, lines: &[String], key: &Hash) -> io::Result<Seen> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&self.path)?;
        // Nobody who does as well adds lines between the look and the write. It is not waited for: others may never
        // end.
        file.try_lock()?;
        let seen = self.look_at(&file, key)?;
        let lacks = |line: &&String| {
            let seal = any_seal(line.as_bytes());
            seal.is_some_and(|seal| seal.sealed.number > seen.number())
        };
        let lacking = lines.iter().filter(lacks);
        let text: String = lacking.map(|line| format!("{line}\n")).collect();
        file.set_len(seen.bytes)?;
        file.seek(SeekFrom::Start(seen.bytes))?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        self.look_at(&file, key)
    }

    fn seen(&self) -> MutexGuard<'_, Option<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_at(&self, file: &File, key: &Hash) -> io::Result<Seen> {
        let length = file.metadata()?.len();
        let mut known = self.seen();
        let seen = match known.take() {
            Some(seen) if seen.bytes <= length => scan(file, seen, key)?,
            _ => end_of(file, length, key)?,
        };
        *known = Some(seen.clone());
        Ok(seen)
    }
}

/// What the end of a file has: so much of it that a seal of this installation is among it.
fn end_of(file: &File, length: u64, key: &Hash) -> io::Result<Seen> {
    let mut tail = TAIL;
    loop {
        let from = length.saturating_sub(tail);
        let mut begin = Seen {
            bytes: from,
            ..Seen::default()
        };
        if from > 0 {
            begin.bytes += rest_of_line(file, from)?;
        }
        let seen = scan(file, begin, key)?;
        if seen.last.is_some() || from == 0 {
            return Ok(seen);
        }
        if tail >= MOST_TAIL {
            let text = "its end has no seal of this installation";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        tail *= 8;
    }
}

/// The bytes up to the next line, where a line may begin in the middle.
fn rest_of_line(mut file: &File, from: u64) -> io::Result<u64> {
    file.seek(SeekFrom::Start(from - 1))?;
    let skipped = BufReader::new(file).skip_until(b'\n')?;
    Ok(u64::try_from(skipped).unwrap_or(u64::MAX).saturating_sub(1))
}

/// What was seen before, and the whole lines after it.
fn scan(mut file: &File, before: Seen, key: &Hash) -> io::Result<Seen> {
    file.seek(SeekFrom::Start(before.bytes))?;
    let mut seen = before;
    let read = lines_of(BufReader::new(file), |line| match own_seal(line, key) {
        Ok(seal) if seal.sealed.number > seen.number() => seen.last = Some(seal),
        Ok(_) => {}
        Err(_) => seen.foreign = true,
    });
    seen.bytes += read?;
    Ok(seen)
}

/// Reads whole lines, each without its line feed. Returns their bytes.
fn lines_of(mut from: impl io::BufRead, mut line_read: impl FnMut(&[u8])) -> io::Result<u64> {
    let (mut bytes, mut line, mut part) = (0, Vec::new(), Vec::new());
    loop {
        line.clear();
        let mut length = 0;
        while length == 0 || !part.ends_with(b"\n") {
            part.clear();
            let read = from.by_ref().take(MAX_LINE).read_until(b'\n', &mut part)?;
            if read == 0 {
                // The end, or a line that was not written to its end.
                return Ok(bytes);
            }
            if length == 0 {
                line.clone_from(&part);
            }
            length += u64::try_from(read).unwrap_or(u64::MAX);
        }
        bytes += length;
        line_read(line.strip_suffix(b"\n").unwrap_or(&line));
    }
}

#[cfg(test)]
mod tests;
