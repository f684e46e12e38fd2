//! Rotation of sealing keys, as moves of files in their folder: `upcoming`, then the folder itself, then `retiring`,
//! then gone. Nodes that run find each move by themselves ([`key_folder`](super::key_folder)).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::header::Algorithm;
use super::key_files::{set_modified, sync_folder};
use super::keys::{
    FolderLock, KeyFile, MAX_SEALING_KEYS, RETIRING_FOLDER, SealingKeysError, UPCOMING_FOLDER,
    generate, read_key_files, write_key,
};
use super::master_key::MasterKey;
use super::sealing_key::KeyState;
use crate::payment::moment::UnixMillis;

/// A key is published this long after it was made at the earliest, in milliseconds. Nodes look every five seconds
/// ([`LOOK_EVERY`](super::key_folder::LOOK_EVERY)), and a network file system may show them a folder as it was a
/// minute ago.
pub const KNOWN_AFTER_MS: i64 = 90_000;
/// A key goes on opening this long after it is no longer published, at least, in milliseconds: merchants fetch the
/// keys daily (docs/sealing.md), what they sealed last is good for some minutes, and clocks differ by less than the
/// rest of an hour.
pub const RETIRES_FOR_MS: i64 = 25 * 3_600_000;

/// Why a key was not added, published or retired.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The folder, a key, or the master key.
    #[error(transparent)]
    Keys(#[from] SealingKeysError),
    /// A file can't be moved or removed.
    #[error("`{path}` can't be moved or removed")]
    NotMoved {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// No key has this name.
    #[error("there is no sealing key {kid} in `{path}`: `payswitch sealing-keys list` names them")]
    Unknown {
        /// The name.
        kid: String,
        /// The folder.
        path: PathBuf,
    },
    /// Only an upcoming key is activated.
    #[error("sealing key {kid} is {}: expected one that is UPCOMING", state.name())]
    NotUpcoming {
        /// Its name.
        kid: String,
        /// Where it is in its life.
        state: KeyState,
    },
    /// Other nodes may not know the key yet.
    #[error(
        "sealing key {kid} was made a moment ago, and a node may not know it yet: it can be activated from {} on",
        from.to_second()
    )]
    NotKnownYet {
        /// Its name.
        kid: String,
        /// From when on it may be published.
        from: UnixMillis,
    },
    /// Nothing would be published in its place.
    #[error(
        "sealing key {kid} is the one that merchants seal to ({}): add another, and activate that one first",
        algorithm.name()
    )]
    Published {
        /// Its name.
        kid: String,
        /// What it is for.
        algorithm: Algorithm,
    },
    /// Cards that are sealed to the key may still come.
    #[error(
        "sealing key {kid} may still be used: cards that are sealed to it may come until {}; with --anyway it is \
         removed now, and such cards are refused from then on",
        until.to_second()
    )]
    StillUsed {
        /// Its name.
        kid: String,
        /// From then on it can be removed.
        until: UnixMillis,
    },
}

/// A key as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// Its name, as it is published.
    pub kid: String,
    /// What it is for.
    pub algorithm: Algorithm,
    /// Where it is in its life.
    pub state: KeyState,
    /// Since when it is there: when it was made, published, or no longer published.
    pub since: UnixMillis,
    /// From when on it may go on to the next state: be activated, or be removed. None for an active one.
    pub next_from: Option<UnixMillis>,
}

/// What `retire` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retired {
    /// It is no longer published, and still opens.
    Unpublished,
    /// Its file is removed.
    Removed,
}

/// The folder of sealing keys, to be changed.
#[derive(Debug)]
pub struct Rotation<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// What the keys are wrapped under.
    pub master_key: &'a MasterKey,
    /// Now.
    pub now: UnixMillis,
    /// The lock of the folder, where the caller holds it. Otherwise each change takes it.
    pub lock: Option<&'a FolderLock>,
}

impl Rotation<'_> {
    /// Every key, in the order in which they are published.
    ///
    /// # Errors
    /// When the folder or a file can't be read.
    pub fn list(&self) -> Result<Vec<ListedKey>, RotationError> {
        let files = read_key_files(self.folder, self.master_key)?;
        let mut keys: Vec<_> = files.iter().map(listed).collect();
        keys.sort_by_key(|key| {
            let place = match key.state {
                KeyState::Upcoming => 0,
                KeyState::Active => 1,
                KeyState::Retiring => 2,
            };
            (place, key.algorithm != Algorithm::EcdhEs, key.since)
        });
        Ok(keys)
    }

    /// Makes a key that is not published yet.
    ///
    /// # Errors
    /// When there is no room for it, or it can't be written.
    pub fn add(&self, algorithm: Algorithm) -> Result<ListedKey, RotationError> {
        let (_lock, files) = self.locked()?;
        if files.len() >= MAX_SEALING_KEYS {
            let path = self.folder.into();
            return Err(SealingKeysError::TooMany { path }.into());
        }
        let (key, pkcs8) = generate(algorithm).map_err(SealingKeysError::from)?;
        let upcoming = self.place(UPCOMING_FOLDER)?;
        write_key(&upcoming, &key, &pkcs8, self.master_key)?;
        self.find(key.kid())
    }

    /// Publishes an upcoming key in place of the active one of its algorithm, which retires.
    ///
    /// # Errors
    /// When it is none, or was made so short a time ago that a node may not know it.
    pub fn activate(&self, kid: &str) -> Result<ListedKey, RotationError> {
        let (_lock, files) = self.locked()?;
        let file = self.named(&files, kid)?;
        let state = file.key.state();
        if state != KeyState::Upcoming {
            let kid = kid.to_owned();
            return Err(RotationError::NotUpcoming { kid, state });
        }
        let from = file.modified.plus_ms(KNOWN_AFTER_MS);
        if self.now < from {
            let kid = kid.to_owned();
            return Err(RotationError::NotKnownYet { kid, from });
        }
        // Later than all others there, whatever clock they have their times from: the newest is the active one.
        let published = files.iter().filter(|file| self.is_published_place(file));
        let last = published.map(|file| file.modified.plus_ms(1)).max();
        let at = last.map_or(self.now, |last| last.max(self.now));
        // This move happens whole. What is left to do after it, the next command does where this one is cut short.
        self.move_to(&file.path, self.folder, at)?;
        self.read_tidied()?;
        self.find(kid)
    }

    /// Removes a key that nobody seals to any more, or that was never published. The active RSA key is taken out of
    /// publication where the installation `keeps_rsa` no more.
    ///
    /// # Errors
    /// When it is published, or cards may still come that are sealed to it, unless they are to be refused (`anyway`).
    pub fn retire(
        &self,
        kid: &str,
        keeps_rsa: bool,
        anyway: bool,
    ) -> Result<Retired, RotationError> {
        let (_lock, files) = self.locked()?;
        let file = self.named(&files, kid)?;
        let algorithm = file.key.algorithm();
        match file.key.state() {
            KeyState::Active if algorithm == Algorithm::RsaOaep256 && !keeps_rsa => {
                let retiring = self.place(RETIRING_FOLDER)?;
                self.move_to(&file.path, &retiring, self.now)?;
                return Ok(Retired::Unpublished);
            }
            KeyState::Active => {
                let kid = kid.to_owned();
                return Err(RotationError::Published { kid, algorithm });
            }
            KeyState::Retiring if !anyway => {
                let until = file.changed.plus_ms(RETIRES_FOR_MS);
                if self.now < until {
                    let kid = kid.to_owned();
                    return Err(RotationError::StillUsed { kid, until });
                }
            }
            KeyState::Upcoming | KeyState::Retiring => {}
        }
        let path = &file.path;
        fs::remove_file(path).map_err(|source| RotationError::NotMoved {
            path: path.clone(),
            source,
        })?;
        sync_folder(path.parent().unwrap_or(self.folder)).map_err(SealingKeysError::from)?;
        Ok(Retired::Removed)
    }

    fn locked(&self) -> Result<(Option<FolderLock>, Vec<KeyFile>), RotationError> {
        let lock = match self.lock {
            Some(_) => None,
            None => Some(FolderLock::take(self.folder)?),
        };
        Ok((lock, self.read_tidied()?))
    }

    /// The keys, once those that another has replaced are where they belong.
    fn read_tidied(&self) -> Result<Vec<KeyFile>, RotationError> {
        let files = read_key_files(self.folder, self.master_key)?;
        let is_replaced = |file: &&KeyFile| {
            file.key.state() == KeyState::Retiring && self.is_published_place(file)
        };
        let replaced: Vec<_> = files.iter().filter(is_replaced).collect();
        if replaced.is_empty() {
            return Ok(files);
        }
        let retiring = self.place(RETIRING_FOLDER)?;
        for file in replaced {
            self.move_to(&file.path, &retiring, self.now)?;
        }
        Ok(read_key_files(self.folder, self.master_key)?)
    }

    fn is_published_place(&self, file: &KeyFile) -> bool {
        file.path.parent() == Some(self.folder)
    }

    fn named<'f>(&self, files: &'f [KeyFile], kid: &str) -> Result<&'f KeyFile, RotationError> {
        let named = files.iter().find(|file| file.key.kid() == kid);
        named.ok_or_else(|| RotationError::Unknown {
            kid: kid.to_owned(),
            path: self.folder.into(),
        })
    }

    fn find(&self, kid: &str) -> Result<ListedKey, RotationError> {
        let files = read_key_files(self.folder, self.master_key)?;
        Ok(listed(self.named(&files, kid)?))
    }

    /// A folder in the folder of keys, made when it is missing.
    fn place(&self, name: &str) -> Result<PathBuf, SealingKeysError> {
        let path = self.folder.join(name);
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(SealingKeysError::Folder { path, source }),
        }
    }

    /// Moves a file to another folder under its own name, and sets its time.
    fn move_to(&self, path: &Path, folder: &Path, at: UnixMillis) -> Result<(), RotationError> {
        let failed = |source| RotationError::NotMoved {
            path: path.into(),
            source,
        };
        let since_epoch = Duration::from_millis(u64::try_from(at.as_i64()).unwrap_or(0));
        set_modified(path, SystemTime::UNIX_EPOCH + since_epoch).map_err(SealingKeysError::from)?;
        let name = path.file_name().unwrap_or_default();
        fs::rename(path, folder.join(name)).map_err(failed)?;
        sync_folder(folder).map_err(SealingKeysError::from)?;
        Ok(())
    }
}

fn listed(file: &KeyFile) -> ListedKey {
    let state = file.key.state();
    let (since, next_from) = match state {
        KeyState::Upcoming => (file.modified, Some(file.modified.plus_ms(KNOWN_AFTER_MS))),
        KeyState::Active => (file.modified, None),
        KeyState::Retiring => (file.changed, Some(file.changed.plus_ms(RETIRES_FOR_MS))),
    };
    ListedKey {
        kid: file.key.kid().to_owned(),
        algorithm: file.key.algorithm(),
        state,
        since,
        next_from,
    }
}

#[cfg(test)]
mod tests;
