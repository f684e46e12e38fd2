//! Another master key takes the place of the one before, file by file: `.next`, then the file itself, while the one
//! before lies in `.previous`. Processes that run read all of them, so that at each moment everything opens.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::derived_key::KEY_BYTES;
use super::key_files::{Existing, KeyFileError, modified, sync_folder};
use super::master_file::{lock_path, next_path, previous_path};
use super::masters::MasterKeyError;
use super::masters::read_master;
use crate::fault_points::FaultPoint;
use crate::payment::moment::UnixMillis;
use crate::random::Random;

/// What the file that is locked holds once a rotation has finished.
const FINISHED: &[u8] = b"finished\n";

/// Why the master key is not rotated.
#[derive(Debug, thiserror::Error)]
pub enum MasterRotationError {
    /// A master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// A file of one.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// Somebody else does it.
    #[error("another `payswitch master rotate` works on `{path}`")]
    Busy {
        /// The file of the master key.
        path: PathBuf,
    },
    /// A file can't be moved, removed, locked or written.
    #[error("`{path}` can't be moved, removed, locked or written")]
    NotMoved {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// How far a rotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// There is none, and none was before.
    None,
    /// There is none. The last one has finished at this moment.
    Finished(UnixMillis),
    /// The next master key is there since this moment, for all nodes to read. Nothing is wrapped under it.
    Prepared(UnixMillis),
    /// It has taken the place of the one before at this moment. That one is there until nothing is wrapped under it.
    Replaced(UnixMillis),
}

/// A rotation of the master key in one file. While it is there, nobody else rotates it.
#[derive(Debug)]
pub struct MasterRotation<'a> {
    path: &'a Path,
    lock: File,
}

impl<'a> MasterRotation<'a> {
    /// Of the master key in the file at `path`.
    ///
    /// # Errors
    /// When somebody else rotates it, or the file beside it can't be locked.
    pub fn of(path: &'a Path) -> Result<Self, MasterRotationError> {
        let lock_path = lock_path(path);
        let failed = |source| MasterRotationError::NotMoved {
            path: lock_path.clone(),
            source,
        };
        // A file of its own: the folder may be that of the sealing keys, which is locked for each of their changes.
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(&lock_path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, lock }),
            Err(TryLockError::WouldBlock) => Err(MasterRotationError::Busy { path: path.into() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// How far it is.
    ///
    /// # Errors
    /// When a file is there whose time can't be told.
    pub fn stage(path: &Path) -> Result<Stage, MasterRotationError> {
        let (next, previous) = (next_path(path), previous_path(path));
        if next.exists() {
            return Ok(Stage::Prepared(moment(&next)?));
        }
        if previous.exists() {
            return Ok(Stage::Replaced(moment(&previous)?));
        }
        let lock = lock_path(path);
        if fs::read(&lock).is_ok_and(|text| text == FINISHED) {
            return Ok(Stage::Finished(moment(&lock)?));
        }
        Ok(Stage::None)
    }

    /// Makes the next master key. What was derived from the one before goes with it.
    ///
    /// # Errors
    /// When the file can't be read or written, or the next one is there.
    pub fn prepare(&self, random: &Random) -> Result<(), MasterRotationError> {
        let bytes = random.bytes::<KEY_BYTES>().map_err(MasterKeyError::from)?;
        let next = read_master(self.path)?
            .with_master_key(Zeroizing::new(bytes))
            .ok_or(MasterKeyError::Refused("derive a key"))?;
        next.write(&next_path(self.path), Existing::Refuse)?;
        Ok(sync_folder(folder(self.path))?)
    }

    /// Puts the next master key in the place of the one before, which stays beside it.
    ///
    /// # Errors
    /// When a file can't be read, written or moved.
    pub fn replace(&self) -> Result<(), MasterRotationError> {
        let (next, previous) = (next_path(self.path), previous_path(self.path));
        read_master(&next)?;
        read_master(self.path)?.write(&previous, Existing::Replace)?;
        sync_folder(folder(self.path))?;
        fs::rename(&next, self.path)
            .map_err(|source| MasterRotationError::NotMoved { path: next, source })?;
        Ok(sync_folder(folder(self.path))?)
    }

    /// Removes the master key from before, once nothing is wrapped under it. That it has finished, and when, stays in the
    /// file that was locked.
    ///
    /// # Errors
    /// When it can't be removed, or that can't be written.
    pub fn finish(&self) -> Result<(), MasterRotationError> {
        // First, so that no moment looks as if there had been none.
        let written = self.lock.set_len(0);
        let written = written.and_then(|()| self.lock.write_all_at(FINISHED, 0));
        let written = written.and_then(|()| self.lock.sync_all());
        written.map_err(|source| MasterRotationError::NotMoved {
            path: lock_path(self.path),
            source,
        })?;
        FaultPoint::MasterRotation.pass();
        let previous = previous_path(self.path);
        fs::remove_file(&previous).map_err(|source| MasterRotationError::NotMoved {
            path: previous,
            source,
        })?;
        Ok(sync_folder(folder(self.path))?)
    }
}

fn moment(path: &Path) -> Result<UnixMillis, KeyFileError> {
    let since = modified(path)?.duration_since(std::time::SystemTime::UNIX_EPOCH);
    Ok(UnixMillis::new(0).plus(since.unwrap_or_default()))
}

/// The folder that a file lies in.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
