//! Files for a bank: whole under their name, or not there, whatever crashes; and never changed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::hashing::{HashingReader, HashingWriter};
use crate::fault_points::FaultPoint;

/// How often the temporary file is opened again, where another process has just given it its name.
const MOST_OPENS: u32 = 5;

/// A file that is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DurableFile<T> {
    /// Where.
    pub path: PathBuf,
    /// How many bytes it has.
    pub bytes: u64,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Whether it was there already, with the same bytes.
    pub was_there: bool,
    /// What its writer returned.
    pub content: T,
}

/// Why a file was not written. Unless its folder could not be synced, there is nothing under its name then that was not
/// there before.
#[derive(Debug, thiserror::Error)]
pub enum DurableFileError<E> {
    /// The name is none of a file in the folder itself.
    #[error("expected the name of a file, without a folder and a dot in front, got {got:?}")]
    Name {
        /// The name.
        got: String,
    },
    /// Another process writes the same file now.
    #[error("`{path}` is being written by another process")]
    Busy {
        /// The temporary file.
        path: PathBuf,
    },
    /// A file of this name is there and has other bytes. It is not overwritten: the bank may have it.
    #[error("`{path}` is there already with other bytes, and is never overwritten")]
    OtherBytes {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("`{path}` can't be {action}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// "made", "opened", "written", "read", "renamed" or "synced".
        action: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Its writer failed.
    #[error(transparent)]
    Content(E),
}

/// Writes the file `name` in `dir`, which is made where it is missing: first under another name (`.NAME.new`), to the disk, and then under its own. It waits
/// for the disk. Only the owner may read the file, since it may hold card numbers.
///
/// A file with the same bytes that is there already is as good, so the same call can be made again after a crash. What a
/// crash left under the other name is replaced.
///
/// # Errors
/// [`DurableFileError`]: among others where a file with other bytes is there.
pub fn write_durably<T, E>(
    dir: &Path,
    name: &str,
    write: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<DurableFile<T>, DurableFileError<E>> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
        let got = name.to_owned();
        return Err(DurableFileError::Name { got });
    }
    make_folder(dir).map_err(|source| failed(dir, "made", source))?;
    let temporary = TemporaryFile::open(dir.join(format!(".{name}.new")))?;
    let written = temporary.write_to(dir, dir.join(name), write);
    // It has its own name now, or it is of no use any more. Where it stays, it is replaced next time.
    if is_at(&temporary.file, &temporary.path) {
        let _ = fs::remove_file(&temporary.path);
    }
    written
}

/// The file under its other name, which no other process writes as long as this one has it.
struct TemporaryFile {
    path: PathBuf,
    file: File,
}

impl TemporaryFile {
    fn open<E>(path: PathBuf) -> Result<Self, DurableFileError<E>> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        for _ in 0..MOST_OPENS {
            let file = options.open(&path);
            let file = file.map_err(|source| failed(&path, "opened", source))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(DurableFileError::Busy { path }),
                Err(TryLockError::Error(source)) => return Err(failed(&path, "opened", source)),
            }
            // Between the two lines above another process may have renamed the file, which must not be emptied then.
            if is_at(&file, &path) {
                let closed = close_to_others(&file);
                closed.map_err(|source| failed(&path, "opened", source))?;
                return Ok(Self { path, file });
            }
        }
        Err(DurableFileError::Busy { path })
    }

    fn write_to<T, E>(
        &self,
        dir: &Path,
        path: PathBuf,
        write: impl FnOnce(&mut dyn Write) -> Result<T, E>,
    ) -> Result<DurableFile<T>, DurableFileError<E>> {
        let failed_to_write = |source| failed(&self.path, "written", source);
        self.file.set_len(0).map_err(failed_to_write)?;
        FaultPoint::FileOpened.pass();
        let mut out = HashingWriter::new(BufWriter::new(&self.file));
        let content = write(&mut out).map_err(DurableFileError::Content)?;
        out.flush().map_err(failed_to_write)?;
        let (bytes, sha256) = (out.bytes(), out.sha256());
        drop(out);
        FaultPoint::FileWritten.pass();
        self.file.sync_all().map_err(failed_to_write)?;
        FaultPoint::FileSynced.pass();
        let was_there = match File::open(&path) {
            Ok(there) => {
                let same = has_bytes(&there, bytes, sha256);
                if !same.map_err(|source| failed(&path, "read", source))? {
                    return Err(DurableFileError::OtherBytes { path });
                }
                // Whoever wrote it may have been interrupted before it was on the disk.
                let synced = there.sync_all();
                synced.map_err(|source| failed(&path, "synced", source))?;
                true
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let renamed = fs::rename(&self.path, &path);
                renamed.map_err(|source| failed(&path, "renamed", source))?;
                FaultPoint::FileRenamed.pass();
                false
            }
            Err(source) => return Err(failed(&path, "read", source)),
        };
        sync_folder(dir).map_err(|source| failed(dir, "synced", source))?;
        FaultPoint::FileKept.pass();
        Ok(DurableFile {
            path,
            bytes,
            sha256,
            was_there,
            content,
        })
    }
}

fn failed<E>(path: &Path, action: &'static str, source: io::Error) -> DurableFileError<E> {
    let path = path.to_owned();
    DurableFileError::File {
        path,
        action,
        source,
    }
}

fn has_bytes(file: &File, bytes: u64, sha256: [u8; 32]) -> io::Result<bool> {
    if file.metadata()?.len() != bytes {
        return Ok(false);
    }
    let mut reader = HashingReader::new(file);
    io::copy(&mut reader, &mut io::sink())?;
    Ok(reader.sha256() == sha256)
}

/// Whether the file is still the one at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(own), Ok(there)) => (own.dev(), own.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

/// A file that was there may have been readable by others.
#[cfg(unix)]
fn close_to_others(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn close_to_others(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Makes a folder that is missing, with those above it, each for good.
fn make_folder(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or(Path::new("."));
    make_folder(above)?;
    match fs::create_dir(dir) {
        // Another process was first.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
        made => made?,
    }
    sync_folder(above)
}

/// A new name is on the disk when its folder is.
#[cfg(unix)]
fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_dir: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
