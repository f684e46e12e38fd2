//! The file of the seals outside the database: one line for each, from the first on.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The longest line that is looked at, in bytes: a seal has about 450.
const MAX_LINE: u64 = 2_000;

/// The file. Its functions wait for the disk.
#[derive(Debug, Clone)]
pub struct SealFile {
    path: PathBuf,
    whole: Arc<Mutex<Whole>>,
}

/// The lines that are written to their end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Whole {
    lines: u64,
    bytes: u64,
}

impl SealFile {
    /// The file at `path`, which need not be there yet.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self {
            path,
            whole: Arc::default(),
        }
    }

    /// Reads its whole lines, in order, each without its line feed. A file that is not there has none.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn read(&self, mut line_read: impl FnMut(&str)) -> io::Result<()> {
        let mut file = match File::open(&self.path) {
            Ok(file) => BufReader::new(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut line = String::new();
        loop {
            line.clear();
            file.by_ref().take(MAX_LINE).read_line(&mut line)?;
            match line.strip_suffix('\n') {
                Some(whole) => line_read(whole),
                // The end, or a line that was not written to its end.
                None => return Ok(()),
            }
        }
    }

    /// How many whole lines it has.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn lines(&self) -> io::Result<u64> {
        self.whole().map(|whole| whole.lines)
    }

    /// Adds lines, and waits until they are on the disk. A last line that was not written to its end is overwritten.
    ///
    /// # Errors
    /// When that fails.
    pub fn append(&self, lines: &[String]) -> io::Result<()> {
        let whole = self.whole()?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.path)?;
        file.set_len(whole.bytes)?;
        file.seek(io::SeekFrom::Start(whole.bytes))?;
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        file.write_all(text.as_bytes())?;
        file.sync_data()
    }

    /// The whole lines: those that are known, and those that came after them.
    fn whole(&self) -> io::Result<Whole> {
        let length = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let mut known = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        if known.bytes != length {
            let mut whole = Whole::default();
            self.read(|line| {
                whole.lines += 1;
                whole.bytes += u64::try_from(line.len()).unwrap_or(u64::MAX) + 1;
            })?;
            *known = whole;
        }
        Ok(*known)
    }
}
