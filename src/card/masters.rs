//! The master keys of one installation that are in use at one moment: one, or two while it is rotated.

use std::path::{Path, PathBuf};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::derived_key::{DerivedKey, KEY_BYTES, Wrapping};
use super::key_files::KeyFileError;
use super::master_file::{MasterFile, next_path, previous_path};
use crate::random::NoEntropy;

/// The environment variable that holds the master key in development: 32 bytes in base64.
pub const MASTER_KEY_VARIABLE: &str = "PAYSWITCH_MASTER_KEY";
/// The label of a private key in PKCS #8 (RFC 7468 section 10).
pub(super) const PLAIN_LABEL: &str = "PRIVATE KEY";
/// The label of a private key wrapped under the master key.
pub(super) const WRAPPED_LABEL: &str = "PAYSWITCH WRAPPED KEY";
pub(super) const NONCE_BYTES: usize = 12;

/// What went wrong with a key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// Neither the environment nor the configuration names a master key.
    #[error("no master key: set `card.master_key_file`, or {MASTER_KEY_VARIABLE} in development")]
    NoMasterKey,
    /// The master key is not 32 bytes in base64.
    #[error("{place}: expected a master key of {KEY_BYTES} bytes in base64 (44 characters)")]
    MalformedMasterKey {
        /// The file or the variable.
        place: String,
    },
    /// The file holds a master key, but not the one that was rotated into it.
    #[error(
        "`{path}` is not of this installation: expected its master key, or one that `payswitch master rotate` has made \
         of it"
    )]
    Another {
        /// The file.
        path: PathBuf,
    },
    /// A key file can't be read or written.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The file holds no private key.
    #[error(
        "`{path}`: expected one PEM section, \"{PLAIN_LABEL}\" (PKCS #8) or \"{WRAPPED_LABEL}\"; a key in another form \
         is converted by `openssl pkcs8 -topk8 -nocrypt -in {path} -out NEW`"
    )]
    NotAPrivateKey {
        /// The file.
        path: PathBuf,
    },
    /// The wrapped key does not open: another master key, another file's key, or changed bytes.
    #[error("`{path}` does not open under this master key and this file name")]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The operating system gave no randomness.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// A cryptographic operation that can't fail did.
    #[error("the cryptographic library refused to {0}")]
    Refused(&'static str),
}

/// The master key under which is wrapped, and those under which is unwrapped.
pub(super) struct Masters {
    /// Under this one is wrapped.
    pub(super) current: MasterFile,
    /// Under these is unwrapped, too: the next one, and the previous one.
    pub(super) others: Vec<MasterFile>,
}

/// A secret that was wrapped.
pub(super) struct Unwrapped {
    pub(super) secret: Zeroizing<Vec<u8>>,
    /// Whether it is wrapped under the current master key.
    pub(super) is_current: bool,
}

impl Masters {
    /// The master key at `path` and those beside it. A rotation moves them in the order in which they are read: none is
    /// missed.
    pub(super) fn read(path: &Path) -> Result<Self, MasterKeyError> {
        let next = read_if_there(&next_path(path))?;
        let current = read_master(path)?;
        let previous = read_if_there(&previous_path(path))?;
        for (other, other_path) in [(&next, next_path(path)), (&previous, previous_path(path))] {
            if other
                .as_ref()
                .is_some_and(|other| !other.is_of_the_same(&current))
            {
                return Err(MasterKeyError::Another { path: other_path });
            }
        }
        Ok(Self {
            current,
            others: next.into_iter().chain(previous).collect(),
        })
    }

    /// What was wrapped under one of them: nonce, content and tag. `None` when it opens under none.
    pub(super) fn unwrap(
        &self,
        what: Wrapping,
        aad: &[u8],
        wrapped: &[u8],
    ) -> Result<Option<Unwrapped>, MasterKeyError> {
        let others = self.others.iter().map(|master| (master, false));
        for (master, is_current) in std::iter::once((&self.current, true)).chain(others) {
            let key = master.wrapping_key(what)?;
            let mut content = Zeroizing::new(wrapped.to_vec());
            let Some((nonce, sealed)) = content.split_at_mut_checked(NONCE_BYTES) else {
                return Ok(None);
            };
            let Ok(nonce) = Nonce::try_assume_unique_for_key(nonce) else {
                return Ok(None);
            };
            if let Ok(opened) = key.open_in_place(nonce, Aad::from(aad), sealed) {
                let secret = Zeroizing::new(opened.to_vec());
                return Ok(Some(Unwrapped { secret, is_current }));
            }
        }
        Ok(None)
    }
}

impl MasterFile {
    /// The key that wraps.
    pub(super) fn wrapping_key(&self, what: Wrapping) -> Result<LessSafeKey, MasterKeyError> {
        let key = DerivedKey::of(&self.bytes, what.label());
        aead_key(&key.ok_or(MasterKeyError::Refused("derive a key"))?)
    }
}

/// A derived key, ready for AES-256-GCM.
pub(super) fn aead_key(key: &DerivedKey) -> Result<LessSafeKey, MasterKeyError> {
    UnboundKey::new(&AES_256_GCM, key.as_bytes())
        .map(LessSafeKey::new)
        .map_err(|_| MasterKeyError::Refused("take a derived key"))
}

/// Reads the file of a master key.
pub(super) fn read_master(path: &Path) -> Result<MasterFile, MasterKeyError> {
    MasterFile::read(path)?.ok_or_else(|| MasterKeyError::MalformedMasterKey {
        place: format!("`{}`", path.display()),
    })
}

fn read_if_there(path: &Path) -> Result<Option<MasterFile>, MasterKeyError> {
    match read_master(path) {
        Err(_) if !path.exists() => Ok(None),
        read => read.map(Some),
    }
}
