//! Files of keys, certificates and whatever else holds a secret or must never be read half: written
//! whole or not at all, and who may read them.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use zeroize::Zeroizing;

/// The largest key file that is read, in bytes.
const MAX_KEY_FILE_BYTES: u64 = 64 * 1024;

/// What went wrong with a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Others than the owner may read the file.
    #[error("`{path}` has mode {mode:04o}: expected 0600 or 0400, so that only its owner reads it")]
    ReadableByOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file can't be read or written, or its folder can't be made.
    #[error("`{path}` can't be {action}")]
    File {
        /// The file.
        path: PathBuf,
        /// "read", "written" or, of a folder, "made".
        action: &'static str,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Another user owns the file or folder.
    #[error(
        "expected to run as the user who owns `{path}` (uid {owner}), got uid {got}: a gateway of that user could not read \
         what is written"
    )]
    OtherOwner {
        /// The file or folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who runs this.
        got: u32,
    },
    /// The file is there already and must not be overwritten.
    #[error("`{path}` is there already")]
    AlreadyThere {
        /// The file.
        path: PathBuf,
    },
}

/// What happens to a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and writing is an error.
    Refuse,
    /// It is replaced.
    Replace,
    /// It is replaced by one of the same time.
    ReplaceInItsTime,
}

/// Writes a file that only its owner may read, whole or not at all.
///
/// # Errors
/// When it is there already and `existing` says so, or can't be written.
pub fn write_private_file(
    path: &Path,
    contents: &[u8],
    existing: Existing,
) -> Result<(), KeyFileError> {
    write_file(path, contents, existing, 0o600)
}

/// Writes a file that everybody may read, whole or not at all.
///
/// # Errors
/// When it is there already and `existing` says so, or can't be written.
pub fn write_public_file(
    path: &Path,
    contents: &[u8],
    existing: Existing,
) -> Result<(), KeyFileError> {
    write_file(path, contents, existing, 0o644)
}

fn write_file(
    path: &Path,
    contents: &[u8],
    existing: Existing,
    mode: u32,
) -> Result<(), KeyFileError> {
    let failed = |source| KeyFileError::File {
        path: path.into(),
        action: "written",
        source,
    };
    if existing == Existing::Refuse && path.try_exists().map_err(failed)? {
        return Err(KeyFileError::AlreadyThere { path: path.into() });
    }
    // A crash while writing must not leave half a key under the real name.
    let mut new_name = path.as_os_str().to_owned();
    new_name.push(".new");
    let new = PathBuf::from(new_name);
    // What such a crash left behind may be readable by others, and would stay so.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(&new).map_err(failed)?;
    file.write_all(contents).map_err(failed)?;
    if existing == Existing::ReplaceInItsTime {
        let before = fs::metadata(path).and_then(|before| before.modified());
        before
            .and_then(|before| file.set_modified(before))
            .map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    fs::rename(&new, path).map_err(failed)?;
    sync_folder(match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    })
}

/// That this process runs as the owner of a file or folder: what another user writes beside it, its readers may not be able
/// to read.
///
/// # Errors
/// When it has another owner, or can't be looked at.
pub fn check_owner(path: &Path) -> Result<(), KeyFileError> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(path).map_err(|source| KeyFileError::File {
        path: path.into(),
        action: "read",
        source,
    })?;
    let (owner, got) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner == got {
        return Ok(());
    }
    Err(KeyFileError::OtherOwner {
        path: path.into(),
        owner,
        got,
    })
}

/// When a file was written, by its own time.
///
/// # Errors
/// When it can't be told.
pub(super) fn modified(path: &Path) -> Result<SystemTime, KeyFileError> {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.map_err(|source| KeyFileError::File {
        path: path.into(),
        action: "read",
        source,
    })
}

/// Sets a file's own time.
///
/// # Errors
/// When it can't be set.
pub(super) fn set_modified(path: &Path, to: SystemTime) -> Result<(), KeyFileError> {
    let set = fs::File::open(path).and_then(|file| file.set_modified(to));
    set.map_err(|source| KeyFileError::File {
        path: path.into(),
        action: "written",
        source,
    })
}

/// Makes sure that what was moved into or out of `folder` is so after a power cut, too.
///
/// # Errors
/// When the system does not say so.
pub(super) fn sync_folder(folder: &Path) -> Result<(), KeyFileError> {
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| KeyFileError::File {
        path: folder.into(),
        action: "written",
        source,
    })
}

/// A key file's text, of which no more than [`MAX_KEY_FILE_BYTES`] are read.
pub(super) fn read_text(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let failed = |source| KeyFileError::File {
        path: path.into(),
        action: "read",
        source,
    };
    let mut text = Zeroizing::new(String::with_capacity(4096));
    fs::File::open(path)
        .and_then(|file| file.take(MAX_KEY_FILE_BYTES).read_to_string(&mut text))
        .map_err(failed)?;
    Ok(text)
}

#[cfg(unix)]
pub(super) fn refuse_readable_by_others(path: &Path) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path)
        .map_err(|source| KeyFileError::File {
            path: path.into(),
            action: "read",
            source,
        })?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o177 == 0 {
        Ok(())
    } else {
        Err(KeyFileError::ReadableByOthers {
            path: path.into(),
            mode,
        })
    }
}

#[cfg(not(unix))]
pub(super) fn refuse_readable_by_others(_path: &Path) -> Result<(), KeyFileError> {
    Ok(())
}

/// The permission bits of a file that not its owner alone may open; `None` where they can't be told.
#[cfg(unix)]
#[must_use]
pub fn mode_readable_by_others(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
#[must_use]
pub fn mode_readable_by_others(_path: &Path) -> Option<u32> {
    None
}
