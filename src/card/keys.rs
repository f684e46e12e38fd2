//! The private keys that open envelopes: several at a time, each with one algorithm, each named by
//! the thumbprint of its public half (RFC 7638).
//!
//! Of each algorithm one key is published: the active one. A new key lies in the folder `upcoming` until every node
//! knows it, then in the folder of keys itself; the one before it goes to the folder `retiring`, where it still opens
//! envelopes ([`key_rotation`](super::key_rotation)). Keys move in this direction only, and the folders are read in
//! this order: so a key that moves while they are read may be met twice, and is never missed.

use std::collections::BTreeMap;
use std::fs::TryLockError;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::header::Algorithm;
use super::key_files::{Existing, KeyFileError, write_public_file};
use super::master_key::{self, MasterKey};
use super::masters::MasterKeyError;
use super::sealing_key::{KeyNotMade, KeyState, MIN_RSA_BITS, PublicJwk, SealingKey};
use crate::fault_points::FaultPoint;
use crate::payment::moment::UnixMillis;

/// The most sealing keys in a folder, and in all of them together.
pub const MAX_SEALING_KEYS: usize = 16;
/// The folder, within the folder of keys, of those that are not published yet.
pub const UPCOMING_FOLDER: &str = "upcoming";
/// The folder, within the folder of keys, of those that are no longer published.
pub const RETIRING_FOLDER: &str = "retiring";
/// How often the public keys are written where another node writes them at the same moment.
const PUBLISH_ATTEMPTS: u32 = 5;
/// How the files of private keys end.
const KEY_FILE_EXTENSION: &str = "pem";

/// What went wrong with the sealing keys.
#[derive(Debug, thiserror::Error)]
pub enum SealingKeysError {
    /// A key can't be read, or wrapped and written.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The JWKS can't be written.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The folder can't be read or made.
    #[error("the folder of sealing keys `{path}` can't be used")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file holds a private key that no envelope can be sealed to.
    #[error("`{path}`: expected a private key on P-256, or RSA of {MIN_RSA_BITS} bits or more")]
    Unsuitable {
        /// The file.
        path: PathBuf,
    },
    /// More keys than [`MAX_SEALING_KEYS`].
    #[error(
        "`{path}` holds more than {MAX_SEALING_KEYS} sealing keys; `payswitch sealing-keys retire` removes one that is \
         no longer used"
    )]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
    /// No key is published.
    #[error("`{path}`: expected an active sealing key on P-256, and there is none")]
    NoneActive {
        /// The folder.
        path: PathBuf,
    },
    /// A key can't be made.
    #[error(transparent)]
    NotMade(#[from] KeyNotMade),
}

/// All sealing keys of this gateway, by kid.
#[derive(Debug)]
pub struct SealingKeys {
    keys: BTreeMap<String, SealingKey>,
}

impl SealingKeys {
    /// These keys.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = SealingKey>) -> Self {
        let keys = keys
            .into_iter()
            .map(|key| (key.kid().to_owned(), key))
            .collect();
        Self { keys }
    }

    /// The keys in `folder`. When there is no active P-256 key, one is made and written there, wrapped under the
    /// master key; an RSA key likewise when `rsa` is set. The folder is locked meanwhile, so that gateways which start
    /// together make one key and not one each.
    ///
    /// # Errors
    /// When the folder or a file can't be used, or a file holds something else.
    pub fn load_or_generate(
        folder: &Path,
        rsa: bool,
        master_key: &MasterKey,
    ) -> Result<Self, SealingKeysError> {
        let lock = FolderLock::take(folder)?;
        let found = read_key_files(folder, master_key)?;
        let mut keys: Vec<_> = found.into_iter().map(|file| file.key).collect();
        let wanted = [(Algorithm::EcdhEs, true), (Algorithm::RsaOaep256, rsa)];
        for (algorithm, is_wanted) in wanted {
            let is_there = keys
                .iter()
                .any(|key| key.algorithm() == algorithm && key.state() == KeyState::Active);
            if is_wanted && !is_there {
                let (key, pkcs8) = generate(algorithm)?;
                write_key(folder, &key, &pkcs8, master_key)?;
                keys.push(key);
            }
        }
        drop(lock);
        expect_room(folder, keys.len())?;
        Ok(Self::new(keys))
    }

    /// The keys in `folder`, as they are.
    ///
    /// # Errors
    /// When the folder or a file can't be used, or a file holds something else.
    pub fn load(folder: &Path, master_key: &MasterKey) -> Result<Self, SealingKeysError> {
        let found = read_key_files(folder, master_key)?;
        Ok(Self::new(found.into_iter().map(|file| file.key)))
    }

    /// The key named `kid`, if it is one for `algorithm`.
    pub(super) fn find(&self, kid: &str, algorithm: Algorithm) -> Option<&SealingKey> {
        self.keys
            .get(kid)
            .filter(|key| key.algorithm() == algorithm)
    }

    /// Any key for `algorithm`: what is used in place of one that is not there, so that its absence
    /// takes as long.
    pub(super) fn any(&self, algorithm: Algorithm) -> Option<&SealingKey> {
        self.keys.values().find(|key| key.algorithm() == algorithm)
    }

    /// Every key, by kid.
    pub fn iter(&self) -> impl Iterator<Item = &SealingKey> {
        self.keys.values()
    }

    /// The active keys.
    pub(super) fn active(&self) -> impl Iterator<Item = &SealingKey> {
        self.iter().filter(|key| key.state() == KeyState::Active)
    }

    /// The active keys' public halves as a JWK Set (RFC 7517 section 5), the P-256 one first.
    #[must_use]
    pub fn jwks(&self) -> String {
        #[derive(Serialize)]
        struct JwkSet<'a> {
            keys: Vec<&'a PublicJwk>,
        }
        let mut active: Vec<_> = self.active().collect();
        active.sort_by_key(|key| key.algorithm() != Algorithm::EcdhEs);
        let keys = active.into_iter().map(SealingKey::public).collect();
        // Strings and a list of them can't fail to become JSON.
        serde_json::to_string_pretty(&JwkSet { keys }).unwrap_or_default()
    }

    /// Makes [`Self::jwks`] the content of the file at `path`. One that holds it already is left alone, so that nodes
    /// which share it don't write all at once. Where two do, the one whose new file the other has taken tries again.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write_jwks(&self, path: &Path) -> Result<(), SealingKeysError> {
        let text = self.jwks() + "\n";
        let is_there = || std::fs::read(path).is_ok_and(|there| there == text.as_bytes());
        let mut attempts = 0;
        while !is_there() {
            attempts += 1;
            match write_public_file(path, text.as_bytes(), Existing::Replace) {
                Ok(()) => break,
                Err(error) if attempts >= PUBLISH_ATTEMPTS && !is_there() => {
                    return Err(error.into());
                }
                Err(_) => {}
            }
        }
        Ok(())
    }
}

/// A sealing key and the file that it is in.
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    pub(super) key: SealingKey,
    /// When it was made or published: the file's own time, which a copy may keep.
    pub(super) modified: UnixMillis,
    /// When the file was last moved or written, which nothing can set back.
    pub(super) changed: UnixMillis,
}

/// The lock of a folder of keys: whoever holds it makes, moves or removes keys, or records what was done so. The system
/// gives it back when its holder dies.
#[derive(Debug)]
pub struct FolderLock {
    _file: std::fs::File,
}

impl FolderLock {
    /// Makes `folder` when it is missing, and waits until nobody else holds its lock.
    ///
    /// # Errors
    /// When the folder can't be made or locked.
    pub fn take(folder: &Path) -> Result<Self, SealingKeysError> {
        let file = Self::open(folder)?;
        file.lock().map_err(|source| Self::failed(folder, source))?;
        Ok(Self { _file: file })
    }

    /// The same without waiting: none when somebody else holds it.
    ///
    /// # Errors
    /// When the folder can't be made or locked.
    pub fn take_if_free(folder: &Path) -> Result<Option<Self>, SealingKeysError> {
        let file = Self::open(folder)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(Self::failed(folder, source)),
        }
    }

    fn open(folder: &Path) -> Result<std::fs::File, SealingKeysError> {
        std::fs::create_dir_all(folder).map_err(|source| Self::failed(folder, source))?;
        std::fs::File::open(folder).map_err(|source| Self::failed(folder, source))
    }

    fn failed(folder: &Path, source: std::io::Error) -> SealingKeysError {
        SealingKeysError::Folder {
            path: folder.into(),
            source,
        }
    }
}

/// Refuses more keys than there may be.
pub(super) fn expect_room(folder: &Path, count: usize) -> Result<(), SealingKeysError> {
    if count > MAX_SEALING_KEYS {
        return Err(SealingKeysError::TooMany {
            path: folder.into(),
        });
    }
    Ok(())
}

/// The keys in `folder` and the folders in it, each once. Of several of one algorithm that lie in `folder` itself the
/// newest is the active one: so it is until a rotation that was cut short is finished, and where keys were put there by
/// hand.
pub(super) fn read_key_files(
    folder: &Path,
    master_key: &MasterKey,
) -> Result<Vec<KeyFile>, SealingKeysError> {
    let mut found = BTreeMap::new();
    for (path, state) in key_paths(folder)? {
        let (modified, changed) = times(&path);
        let pkcs8 = match master_key::read_private_key(&path, master_key) {
            // It has moved on: it is met again, unless it was removed.
            Err(_) if !path.exists() => continue,
            read => read?,
        };
        let Some(key) = SealingKey::from_pkcs8(&pkcs8, state) else {
            return Err(SealingKeysError::Unsuitable { path });
        };
        let file = KeyFile {
            path,
            key,
            modified,
            changed,
        };
        found.insert(file.key.kid().to_owned(), file);
    }
    expect_room(folder, found.len())?;
    let mut files: Vec<_> = found.into_values().collect();
    for algorithm in [Algorithm::EcdhEs, Algorithm::RsaOaep256] {
        let mut published: Vec<_> = files
            .iter_mut()
            .filter(|file| {
                file.key.algorithm() == algorithm && file.key.state() == KeyState::Active
            })
            .collect();
        // They are in the order of their kids, so that of two of one moment all nodes publish the same.
        published.sort_by_key(|file| file.modified);
        published.pop();
        for older in published {
            older.key.set_state(KeyState::Retiring);
        }
    }
    Ok(files)
}

/// The files of private keys in `folder` and the folders in it, in the direction in which keys move.
pub(super) fn key_paths(folder: &Path) -> Result<Vec<(PathBuf, KeyState)>, SealingKeysError> {
    let mut paths = Vec::new();
    for (place, state) in [
        (folder.join(UPCOMING_FOLDER), KeyState::Upcoming),
        (folder.to_owned(), KeyState::Active),
        (folder.join(RETIRING_FOLDER), KeyState::Retiring),
    ] {
        let entries = match std::fs::read_dir(&place) {
            Err(error)
                if state != KeyState::Active && error.kind() == std::io::ErrorKind::NotFound =>
            {
                continue;
            }
            entries => entries,
        };
        let failed = |source| SealingKeysError::Folder {
            path: place.clone(),
            source,
        };
        let mut count = 0;
        for entry in entries.map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == KEY_FILE_EXTENSION)
            {
                paths.push((path, state));
                count += 1;
                expect_room(&place, count)?;
            }
        }
    }
    Ok(paths)
}

/// Wraps the keys anew under the current master key: how many had to be. Nobody moves one meanwhile.
///
/// # Errors
/// When the folder or a file can't be used, or a key opens under no master key.
pub fn rewrap_keys(folder: &Path, master_key: &MasterKey) -> Result<usize, SealingKeysError> {
    let _lock = FolderLock::take(folder)?;
    let mut count = 0;
    for (path, _) in key_paths(folder)? {
        if master_key::rewrap_file(&path, master_key)? {
            count += 1;
            FaultPoint::MasterRotation.pass();
        }
    }
    Ok(count)
}

/// When a file was written, and when it was last written or moved. Of one that is not there: never.
fn times(path: &Path) -> (UnixMillis, UnixMillis) {
    let Ok(metadata) = std::fs::metadata(path) else {
        return (UnixMillis::new(0), UnixMillis::new(0));
    };
    let millis = |seconds: i64, nanoseconds: i64| {
        UnixMillis::new(
            seconds
                .saturating_mul(1000)
                .saturating_add(nanoseconds / 1_000_000),
        )
    };
    let modified = millis(metadata.mtime(), metadata.mtime_nsec());
    let changed = millis(metadata.ctime(), metadata.ctime_nsec());
    (modified, changed.max(modified))
}

/// Makes a key, and its PKCS #8 DER.
pub(super) fn generate(
    algorithm: Algorithm,
) -> Result<(SealingKey, zeroize::Zeroizing<Vec<u8>>), KeyNotMade> {
    match algorithm {
        Algorithm::RsaOaep256 => SealingKey::generate_rsa(),
        Algorithm::EcdhEs | Algorithm::Direct => SealingKey::generate_p256(),
    }
}

/// Writes a new key into `folder`, wrapped.
pub(super) fn write_key(
    folder: &Path,
    key: &SealingKey,
    pkcs8: &[u8],
    master_key: &MasterKey,
) -> Result<(), SealingKeysError> {
    let prefix = match key.algorithm() {
        Algorithm::RsaOaep256 => "rsa",
        Algorithm::EcdhEs | Algorithm::Direct => "p256",
    };
    let path = folder.join(format!("{prefix}-{}.{KEY_FILE_EXTENSION}", key.kid()));
    Ok(master_key::write_wrapped(
        &path,
        pkcs8,
        master_key,
        Existing::Refuse,
    )?)
}

#[cfg(test)]
mod tests;
