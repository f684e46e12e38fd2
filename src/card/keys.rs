//! The private keys that open envelopes: several at a time, each with one algorithm, each named by
//! the thumbprint of its public half (RFC 7638).
//!
//! Rotation: a new key is put beside the old one and both are published; when every merchant has
//! fetched the new one, the old file moves to the folder `retiring`, where it still opens envelopes
//! but is no longer published; when nobody seals to it any more, the file is deleted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::header::Algorithm;
use super::key_files::{Existing, KeyFileError, write_public_file};
use super::master_key::{self, MasterKey, MasterKeyError};
use super::sealing_key::{KeyNotMade, KeyState, MIN_RSA_BITS, PublicJwk, SealingKey};

/// The most sealing keys at once, active and retiring.
pub const MAX_SEALING_KEYS: usize = 16;
/// The folder, within the folder of keys, of those that are no longer published.
pub const RETIRING_FOLDER: &str = "retiring";
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
    #[error("`{path}` holds more than {MAX_SEALING_KEYS} sealing keys")]
    TooMany {
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

    /// The keys in `folder` and its folder `retiring`. When there is no active P-256 key, one is made
    /// and written there, wrapped under the master key; an RSA key likewise when `rsa` is set. The folder is
    /// locked meanwhile, so that gateways which start together make one key and not one each. Whoever holds
    /// the lock only reads and makes keys, and the system gives it back when its holder dies.
    ///
    /// # Errors
    /// When the folder or a file can't be used, or a file holds something else.
    pub fn load_or_generate(
        folder: &Path,
        rsa: bool,
        master_key: &MasterKey,
    ) -> Result<Self, SealingKeysError> {
        let failed = |source| SealingKeysError::Folder {
            path: folder.into(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let lock = std::fs::File::open(folder).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut keys = read_folder(folder, KeyState::Active, master_key)?;
        let has =
            |keys: &[SealingKey], algorithm| keys.iter().any(|key| key.algorithm() == algorithm);
        if !has(&keys, Algorithm::EcdhEs) {
            let (key, pkcs8) = SealingKey::generate_p256()?;
            write_key(folder, "p256", &key, &pkcs8, master_key)?;
            keys.push(key);
        }
        if rsa && !has(&keys, Algorithm::RsaOaep256) {
            let (key, pkcs8) = SealingKey::generate_rsa()?;
            write_key(folder, "rsa", &key, &pkcs8, master_key)?;
            keys.push(key);
        }
        keys.extend(read_retiring(folder, master_key)?);
        if keys.len() > MAX_SEALING_KEYS {
            return Err(SealingKeysError::TooMany {
                path: folder.into(),
            });
        }
        Ok(Self::new(keys))
    }

    /// The keys in `folder` and its folder `retiring`, as they are.
    ///
    /// # Errors
    /// When the folder or a file can't be used, or a file holds something else.
    pub fn load(folder: &Path, master_key: &MasterKey) -> Result<Self, SealingKeysError> {
        let mut keys = read_folder(folder, KeyState::Active, master_key)?;
        keys.extend(read_retiring(folder, master_key)?);
        Ok(Self::new(keys))
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

    /// The active keys' public halves as a JWK Set (RFC 7517 section 5).
    #[must_use]
    pub fn jwks(&self) -> String {
        #[derive(Serialize)]
        struct JwkSet<'a> {
            keys: Vec<&'a PublicJwk>,
        }
        let keys = self
            .keys
            .values()
            .filter(|key| key.state() == KeyState::Active)
            .map(SealingKey::public)
            .collect();
        // Strings and a list of them can't fail to become JSON.
        serde_json::to_string_pretty(&JwkSet { keys }).unwrap_or_default()
    }

    /// Writes [`Self::jwks`] to `path`, in place of what was there.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write_jwks(&self, path: &Path) -> Result<(), SealingKeysError> {
        let text = self.jwks() + "\n";
        Ok(write_public_file(path, text.as_bytes(), Existing::Replace)?)
    }
}

fn read_retiring(
    folder: &Path,
    master_key: &MasterKey,
) -> Result<Vec<SealingKey>, SealingKeysError> {
    let retiring = folder.join(RETIRING_FOLDER);
    if retiring.is_dir() {
        read_folder(&retiring, KeyState::Retiring, master_key)
    } else {
        Ok(Vec::new())
    }
}

fn read_folder(
    folder: &Path,
    state: KeyState,
    master_key: &MasterKey,
) -> Result<Vec<SealingKey>, SealingKeysError> {
    let failed = |source| SealingKeysError::Folder {
        path: folder.into(),
        source,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == KEY_FILE_EXTENSION)
        {
            paths.push(path);
        }
        if paths.len() > MAX_SEALING_KEYS {
            return Err(SealingKeysError::TooMany {
                path: folder.into(),
            });
        }
    }
    paths
        .into_iter()
        .map(|path| {
            let pkcs8 = master_key::read_private_key(&path, master_key)?;
            SealingKey::from_pkcs8(&pkcs8, state).ok_or(SealingKeysError::Unsuitable { path })
        })
        .collect()
}

fn write_key(
    folder: &Path,
    prefix: &str,
    key: &SealingKey,
    pkcs8: &[u8],
    master_key: &MasterKey,
) -> Result<(), SealingKeysError> {
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
