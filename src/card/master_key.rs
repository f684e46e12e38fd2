//! The master key: what everything secret at rest hangs on, and private key files wrapped under it.
//!
//! The master key lies apart from what it protects: a copy of the database or of the key folder
//! alone opens nothing. It is never used itself; each purpose has a key of its own, derived by
//! HKDF-SHA256 (RFC 5869). When it is rotated, what it wraps is wrapped anew, and what was derived from it for other
//! purposes is kept (docs/decisions/0032).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, LessSafeKey, Nonce};
use tracing::warn;
use zeroize::Zeroizing;

use super::derived_key::{DerivedKey, KEY_BYTES, Purpose, Wrapping};
use super::key_files::{Existing, mode_readable_by_others, read_text, write_private_file};
use super::master_file::{MasterFile, next_path, previous_path};
use super::masters::{
    MASTER_KEY_VARIABLE, MasterKeyError, Masters, NONCE_BYTES, PLAIN_LABEL, Unwrapped,
    WRAPPED_LABEL, aead_key,
};
use crate::random::Random;

/// Where the master key came from, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MasterKeyTier {
    /// An environment variable: development only, because the environment is easily read.
    Environment,
    /// A file that only its owner may read.
    File,
}

impl fmt::Display for MasterKeyTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "environment variable (development only)",
            Self::File => "master key file",
        })
    }
}

/// The master key of an installation, and what its keys at rest were or will be wrapped under while it is rotated
/// ([`master_rotation`](super::master_rotation)). A clone is the same one: it follows a rotation, too.
#[derive(Clone)]
pub struct MasterKey {
    masters: Arc<RwLock<Masters>>,
    /// Where it is read again; none where it came from elsewhere.
    path: Option<PathBuf>,
    tier: MasterKeyTier,
    /// Where the nonces of wrapped keys come from.
    random: Random,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey(masked, from {:?})", self.tier)
    }
}

impl MasterKey {
    /// The master key of this process: the variable [`MASTER_KEY_VARIABLE`] when set (development),
    /// else the file.
    ///
    /// # Errors
    /// When there is none, it is malformed, or others than its owner may read the file.
    pub fn load(file: Option<&Path>, random: &Random) -> Result<Self, MasterKeyError> {
        if let Ok(text) = std::env::var(MASTER_KEY_VARIABLE) {
            return Self::from_base64(&Zeroizing::new(text), random);
        }
        Self::read_file(file.ok_or(MasterKeyError::NoMasterKey)?, random)
    }

    /// A master key from base64, as the environment has it.
    ///
    /// # Errors
    /// When it is not 32 bytes in base64.
    pub fn from_base64(text: &str, random: &Random) -> Result<Self, MasterKeyError> {
        let place = || MASTER_KEY_VARIABLE.into();
        let current = MasterFile::parse(text)
            .ok_or_else(|| MasterKeyError::MalformedMasterKey { place: place() })?;
        let masters = Masters {
            current,
            others: Vec::new(),
        };
        Ok(Self::of(masters, None, MasterKeyTier::Environment, random))
    }

    /// The master key in `path`: 32 bytes in base64, perhaps with a newline, or as a rotation has written it. While it
    /// is rotated, the next or the previous one beside it is read too.
    ///
    /// # Errors
    /// When it can't be read, is malformed, or others than its owner may read it.
    pub fn read_file(path: &Path, random: &Random) -> Result<Self, MasterKeyError> {
        let masters = Masters::read(path)?;
        let path = Some(path.to_owned());
        Ok(Self::of(masters, path, MasterKeyTier::File, random))
    }

    /// Makes a new master key and writes it to `path`, readable by its owner only.
    ///
    /// # Errors
    /// When the file is there already or can't be written.
    pub fn create_file(path: &Path, random: &Random) -> Result<Self, MasterKeyError> {
        let made = MasterFile {
            bytes: Zeroizing::new(random.bytes::<KEY_BYTES>()?),
            kept: BTreeMap::new(),
        };
        made.write(path, Existing::Refuse)?;
        Self::read_file(path, random)
    }

    /// Reads it again where it came from a file: it may have been rotated.
    ///
    /// # Errors
    /// When it can't be read, or is the master key of another installation; what was read before stays then.
    pub fn reload(&self) -> Result<(), MasterKeyError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let found = Masters::read(path)?;
        let mut masters = self.masters.write().unwrap_or_else(PoisonError::into_inner);
        if !found.current.is_of_the_same(&masters.current) {
            return Err(MasterKeyError::Another { path: path.clone() });
        }
        *masters = found;
        Ok(())
    }

    /// The files that it is read from, in a rotation and out of one.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let path = self.path.as_deref();
        path.map_or_else(Vec::new, |path| {
            vec![next_path(path), path.to_owned(), previous_path(path)]
        })
    }

    /// Where it came from: for the log at start.
    #[must_use]
    pub fn tier(&self) -> MasterKeyTier {
        self.tier
    }

    /// The key for `purpose`, which a rotation does not change.
    ///
    /// # Errors
    /// When the cryptographic library refuses, which it has no reason to.
    pub fn derive(&self, purpose: Purpose) -> Result<DerivedKey, MasterKeyError> {
        let derived = self.masters().current.derive(purpose);
        derived.ok_or(MasterKeyError::Refused("derive a key"))
    }

    /// The key for one purpose, ready for AES-256-GCM.
    ///
    /// # Errors
    /// When the cryptographic library refuses, which it has no reason to.
    pub(super) fn aead_key(&self, purpose: Purpose) -> Result<LessSafeKey, MasterKeyError> {
        aead_key(&self.derive(purpose)?)
    }

    /// Wraps a secret, bound to `aad`: nonce, content and tag. A rotation that was not noticed yet is noticed now.
    ///
    /// # Errors
    /// When there is no randomness.
    pub(super) fn wrap(
        &self,
        what: Wrapping,
        aad: &[u8],
        secret: &[u8],
    ) -> Result<Vec<u8>, MasterKeyError> {
        if let Err(error) = self.reload() {
            let error = &error as &dyn std::error::Error;
            warn!(
                error,
                "The master key could not be read again; the one from before is used"
            );
        }
        let nonce = self.random.bytes::<NONCE_BYTES>()?;
        let mut sealed = Zeroizing::new(secret.to_vec());
        let tag = self
            .masters()
            .current
            .wrapping_key(what)?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad),
                &mut sealed,
            )
            .map_err(|_| MasterKeyError::Refused("wrap a key"))?;
        Ok([nonce.as_slice(), &sealed, tag.as_ref()].concat())
    }

    /// What [`Self::wrap`] wrapped; `None` when it does not open under this master key, nor under the one that it
    /// follows or that follows it.
    ///
    /// # Errors
    /// When the cryptographic library refuses, which it has no reason to.
    pub(super) fn unwrap(
        &self,
        what: Wrapping,
        aad: &[u8],
        wrapped: &[u8],
    ) -> Result<Option<Unwrapped>, MasterKeyError> {
        let opened = self.masters().unwrap(what, aad, wrapped)?;
        // It may be wrapped under one that was made a moment ago.
        if opened.is_some() || self.reload().is_err() {
            return Ok(opened);
        }
        self.masters().unwrap(what, aad, wrapped)
    }

    fn of(masters: Masters, path: Option<PathBuf>, tier: MasterKeyTier, random: &Random) -> Self {
        Self {
            masters: Arc::new(RwLock::new(masters)),
            path,
            tier,
            random: random.clone(),
        }
    }

    fn masters(&self) -> RwLockReadGuard<'_, Masters> {
        // Nothing panics while it is held.
        self.masters.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a private key: PKCS #8 in PEM, plain or wrapped under the master key. Gives the DER.
///
/// A plain one that others than its owner may read is taken, with a warning in the log that names the
/// file; a wrapped one may be readable, because it opens under the master key alone.
///
/// # Errors
/// When the file can't be read, holds something else, or was wrapped under another master key or
/// another file name.
pub fn read_private_key(
    path: &Path,
    master_key: &MasterKey,
) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
    let text = read_text(path)?;
    let not_a_key = || MasterKeyError::NotAPrivateKey { path: path.into() };
    if let Some(der) = decode_pem(&text, PLAIN_LABEL) {
        // Files are read again every few seconds.
        if let Some(mode) = mode_readable_by_others(path).filter(|_| is_first(path)) {
            warn!(
                file = %path.display(),
                mode = %format_args!("{mode:04o}"),
                "a private key in clear is readable by others than its owner: expected mode 0600, or a \
                 wrapped key"
            );
        }
        return Ok(der);
    }
    let wrapped = decode_pem(&text, WRAPPED_LABEL).ok_or_else(not_a_key)?;
    let opened = master_key.unwrap(Wrapping::KeyFiles, file_name(path), &wrapped)?;
    let opened = opened.ok_or_else(|| MasterKeyError::NotOurs { path: path.into() })?;
    Ok(opened.secret)
}

/// Whether a file has not been warned of before.
fn is_first(path: &Path) -> bool {
    static WARNED_OF: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut warned_of = WARNED_OF.lock().unwrap_or_else(PoisonError::into_inner);
    warned_of.insert(path.to_owned())
}

/// Wraps a private key file anew under the current master key. Whether that was needed: one in clear is left as it is.
///
/// # Errors
/// When it can't be read or written, holds something else, or opens under no master key.
pub fn rewrap_file(path: &Path, master_key: &MasterKey) -> Result<bool, MasterKeyError> {
    let text = read_text(path)?;
    if decode_pem(&text, PLAIN_LABEL).is_some() {
        return Ok(false);
    }
    let wrapped = decode_pem(&text, WRAPPED_LABEL)
        .ok_or_else(|| MasterKeyError::NotAPrivateKey { path: path.into() })?;
    let opened = master_key.unwrap(Wrapping::KeyFiles, file_name(path), &wrapped)?;
    let opened = opened.ok_or_else(|| MasterKeyError::NotOurs { path: path.into() })?;
    if !opened.is_current {
        // Of two keys the newer file is published: it keeps its time.
        write_wrapped(path, &opened.secret, master_key, Existing::ReplaceInItsTime)?;
    }
    Ok(!opened.is_current)
}

/// Reads a private key as [`read_private_key`] does, and gives it in PEM.
///
/// # Errors
/// When the file can't be read, holds something else, or was wrapped under another master key or
/// another file name.
pub fn read_private_key_pem(
    path: &Path,
    master_key: &MasterKey,
) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
    Ok(private_key_pem(&read_private_key(path, master_key)?))
}

/// A private key (PKCS #8 DER) in PEM (RFC 7468 section 10).
#[must_use]
pub fn private_key_pem(pkcs8: &[u8]) -> Zeroizing<Vec<u8>> {
    encode_pem(pkcs8, PLAIN_LABEL)
}

/// Writes a private key (PKCS #8 DER), wrapped under the master key and bound to the file's name.
///
/// # Errors
/// When the file is there already and `existing` says so, or can't be written.
pub fn write_wrapped(
    path: &Path,
    pkcs8: &[u8],
    master_key: &MasterKey,
    existing: Existing,
) -> Result<(), MasterKeyError> {
    let wrapped = master_key.wrap(Wrapping::KeyFiles, file_name(path), pkcs8)?;
    Ok(write_private_file(
        path,
        &encode_pem(&wrapped, WRAPPED_LABEL),
        existing,
    )?)
}

fn file_name(path: &Path) -> &[u8] {
    path.file_name().map_or(&[], |name| name.as_encoded_bytes())
}

fn decode_pem(text: &str, label: &str) -> Option<Zeroizing<Vec<u8>>> {
    let body = text
        .trim()
        .strip_prefix(&format!("-----BEGIN {label}-----"))?
        .strip_suffix(&format!("-----END {label}-----"))?;
    let mut joined = Zeroizing::new(String::with_capacity(body.len()));
    joined.extend(body.split_ascii_whitespace());
    STANDARD.decode(joined.as_bytes()).ok().map(Zeroizing::new)
}

fn encode_pem(bytes: &[u8], label: &str) -> Zeroizing<Vec<u8>> {
    let body = Zeroizing::new(STANDARD.encode(bytes));
    // Large enough for the line breaks and both labels, so that it is never moved and left behind.
    let mut text = Zeroizing::new(Vec::with_capacity(body.len() * 2 + 128));
    text.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in body.as_bytes().chunks(64) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    text
}

#[cfg(test)]
mod tests;
