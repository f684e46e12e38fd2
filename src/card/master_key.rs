//! The master key: what everything secret at rest hangs on, and private key files wrapped under it.
//!
//! The master key lies apart from what it protects: a copy of the database or of the key folder
//! alone opens nothing. It is never used itself; each purpose has a key of its own, derived by
//! HKDF-SHA256 (RFC 5869).

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf;
use tracing::warn;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::key_files::{
    Existing, KeyFileError, mode_readable_by_others, read_text, refuse_readable_by_others,
    write_private_file,
};
use crate::random::{NoEntropy, Random};

/// The environment variable that holds the master key in development: 32 bytes in base64.
pub const MASTER_KEY_VARIABLE: &str = "PAYSWITCH_MASTER_KEY";
/// Bytes of the master key and of every key derived from it.
pub const KEY_BYTES: usize = 32;
/// The label of a private key in PKCS #8 (RFC 7468 section 10).
const PLAIN_LABEL: &str = "PRIVATE KEY";
/// The label of a private key wrapped under the master key.
const WRAPPED_LABEL: &str = "PAYSWITCH WRAPPED KEY";
const NONCE_BYTES: usize = 12;

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

/// What a derived key is for. A key for one purpose says nothing about another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The pepper under which API keys are stored (HMAC-SHA256).
    ApiKeyPepper,
    /// Encrypts the tickets that carry session keys (AES-256-GCM).
    SessionTickets,
    /// Makes the nonces of the tickets (HMAC-SHA256).
    SessionTicketNonces,
    /// Wraps private key files (AES-256-GCM).
    KeyWrapping,
    /// Wraps the data keys of cards in custody (AES-256-GCM).
    DataKeyWrapping,
    /// Makes the hashes by which a merchant knows a card again (HMAC-SHA256).
    CardFingerprints,
    /// Makes the hashes by which the installation knows a card again (HMAC-SHA256).
    CardVelocity,
    /// Signs the seals of the ledger (the seed of an Ed25519 key).
    LedgerSeals,
    /// Encrypts the cursors of events (AES-256-GCM).
    EventCursors,
    /// Makes the nonces of the cursors, and the names of events (HMAC-SHA256).
    EventCursorNonces,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::ApiKeyPepper => b"payswitch v1 api key pepper",
            Self::SessionTickets => b"payswitch v1 session tickets",
            Self::SessionTicketNonces => b"payswitch v1 session ticket nonces",
            Self::KeyWrapping => b"payswitch v1 key wrapping",
            Self::DataKeyWrapping => b"payswitch v1 data key wrapping",
            Self::CardFingerprints => b"payswitch v1 card fingerprints",
            Self::CardVelocity => b"payswitch v1 card velocity",
            Self::LedgerSeals => b"payswitch v1 ledger seals",
            Self::EventCursors => b"payswitch v1 event cursors",
            Self::EventCursorNonces => b"payswitch v1 event cursor nonces",
        }
    }
}

/// 32 secret bytes, derived from the master key for one purpose.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct DerivedKey([u8; KEY_BYTES]);

impl DerivedKey {
    /// The bytes, for the cryptographic library.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivedKey(masked)")
    }
}

/// The key that all others at rest hang on. A clone is for whoever reads a wrapped key later.
#[derive(Clone)]
pub struct MasterKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
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
        Self::decode(text, MasterKeyTier::Environment, random).ok_or_else(|| {
            MasterKeyError::MalformedMasterKey {
                place: MASTER_KEY_VARIABLE.into(),
            }
        })
    }

    /// The master key in `path`: 32 bytes in base64, perhaps with a newline.
    ///
    /// # Errors
    /// When it can't be read, is malformed, or others than its owner may read it.
    pub fn read_file(path: &Path, random: &Random) -> Result<Self, MasterKeyError> {
        refuse_readable_by_others(path)?;
        let text = read_text(path)?;
        Self::decode(&text, MasterKeyTier::File, random).ok_or_else(|| {
            MasterKeyError::MalformedMasterKey {
                place: format!("`{}`", path.display()),
            }
        })
    }

    /// Makes a new master key and writes it to `path`, readable by its owner only.
    ///
    /// # Errors
    /// When the file is there already or can't be written.
    pub fn create_file(path: &Path, random: &Random) -> Result<Self, MasterKeyError> {
        let bytes = Zeroizing::new(random.bytes::<KEY_BYTES>()?);
        let mut text = Zeroizing::new(STANDARD.encode(*bytes));
        text.push('\n');
        write_private_file(path, text.as_bytes(), Existing::Refuse)?;
        Ok(Self {
            bytes,
            tier: MasterKeyTier::File,
            random: random.clone(),
        })
    }

    /// Where it came from: for the log at start.
    #[must_use]
    pub fn tier(&self) -> MasterKeyTier {
        self.tier
    }

    /// The key for `purpose`.
    ///
    /// # Errors
    /// When the cryptographic library refuses, which it has no reason to.
    pub fn derive(&self, purpose: Purpose) -> Result<DerivedKey, MasterKeyError> {
        let mut key = DerivedKey([0; KEY_BYTES]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"payswitch master key")
            .extract(&*self.bytes)
            .expand(&[purpose.label()], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut key.0))
            .map_err(|_| MasterKeyError::Refused("derive a key"))?;
        Ok(key)
    }

    fn decode(text: &str, tier: MasterKeyTier, random: &Random) -> Option<Self> {
        let decoded = Zeroizing::new(STANDARD.decode(text.trim_end()).ok()?);
        let bytes = Zeroizing::new(<[u8; KEY_BYTES]>::try_from(decoded.as_slice()).ok()?);
        Some(Self {
            bytes,
            tier,
            random: random.clone(),
        })
    }

    /// The key for one purpose, ready for AES-256-GCM.
    ///
    /// # Errors
    /// When the cryptographic library refuses, which it has no reason to.
    pub(super) fn aead_key(&self, purpose: Purpose) -> Result<LessSafeKey, MasterKeyError> {
        let key = self.derive(purpose)?;
        UnboundKey::new(&AES_256_GCM, key.as_bytes())
            .map(LessSafeKey::new)
            .map_err(|_| MasterKeyError::Refused("take a derived key"))
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
        if let Some(mode) = mode_readable_by_others(path) {
            warn!(
                file = %path.display(),
                mode = %format_args!("{mode:04o}"),
                "a private key in clear is readable by others than its owner: expected mode 0600, or a \
                 wrapped key"
            );
        }
        return Ok(der);
    }
    let mut wrapped = decode_pem(&text, WRAPPED_LABEL).ok_or_else(not_a_key)?;
    let (nonce, sealed) = wrapped
        .split_at_mut_checked(NONCE_BYTES)
        .ok_or_else(not_a_key)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| not_a_key())?;
    let opened = master_key
        .aead_key(Purpose::KeyWrapping)?
        .open_in_place(nonce, Aad::from(file_name(path)), sealed)
        .map_err(|_| MasterKeyError::NotOurs { path: path.into() })?;
    Ok(Zeroizing::new(opened.to_vec()))
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
    let nonce = master_key.random.bytes::<NONCE_BYTES>()?;
    let mut sealed = Zeroizing::new(pkcs8.to_vec());
    let tag = master_key
        .aead_key(Purpose::KeyWrapping)?
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(file_name(path)),
            &mut sealed,
        )
        .map_err(|_| MasterKeyError::Refused("wrap a key"))?;
    let wrapped = [nonce.as_slice(), &sealed, tag.as_ref()].concat();
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
