//! The private keys that open envelopes: several at a time, each with one algorithm, each named by
//! the thumbprint of its public half (RFC 7638).
//!
//! Rotation: a new key is put beside the old one and both are published; when every merchant has
//! fetched the new one, the old file moves to the folder `retiring`, where it still opens envelopes
//! but is no longer published; when nobody seals to it any more, the file is deleted.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::agreement::{self, ECDH_P256, UnparsedPublicKey};
use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPublicKeyUncompressedBin, Pkcs8V1Der};
use aws_lc_rs::rsa::{
    KeyPair, KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::KeyPair as _;
use ring::digest;
use serde::Serialize;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::RSAPublicKey;
use zeroize::Zeroizing;

use super::custody::{self, CustodyError, Existing, MasterKey};
use super::header::Algorithm;
use super::jwe::{CONTENT_KEY_BYTES, P256_BYTES, P256_POINT_BYTES, concat_kdf, encode};

/// The most sealing keys at once, active and retiring.
pub const MAX_SEALING_KEYS: usize = 16;
/// The smallest RSA key, in bits.
pub const MIN_RSA_BITS: usize = 3072;
/// The folder, within the folder of keys, of those that are no longer published.
pub const RETIRING_FOLDER: &str = "retiring";
/// How the files of private keys end.
const KEY_FILE_EXTENSION: &str = "pem";

/// What went wrong with the sealing keys.
#[derive(Debug, thiserror::Error)]
pub enum SealingKeysError {
    /// A key file can't be read or written.
    #[error(transparent)]
    Custody(#[from] CustodyError),
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
    #[error("the cryptographic library made no {0} key")]
    NotGenerated(&'static str),
}

/// Whether new envelopes may be sealed to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It is published, and opens.
    Active,
    /// It opens what was sealed to it, but is no longer published.
    Retiring,
}

enum Private {
    P256(agreement::PrivateKey),
    Rsa(OaepPrivateDecryptingKey),
}

/// One private key, with its only algorithm.
pub struct SealingKey {
    kid: String,
    state: KeyState,
    private: Private,
    public: PublicJwk,
}

/// The names only: a key's kid is public.
impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey")
            .field("kid", &self.kid)
            .field("alg", &self.algorithm().name())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// The public half as a JWK (RFC 7517 section 4, RFC 7518 section 6).
#[derive(Clone, Serialize)]
struct PublicJwk {
    kid: String,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    #[serde(flatten)]
    numbers: PublicNumbers,
}

#[derive(Clone, Serialize)]
#[serde(tag = "kty")]
enum PublicNumbers {
    #[serde(rename = "EC")]
    P256 {
        crv: &'static str,
        x: String,
        y: String,
    },
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
}

impl PublicNumbers {
    /// RFC 7638: the SHA-256 of the required members in order, without whitespace. All of them are
    /// base64url or fixed, so that nothing needs escaping.
    fn thumbprint(&self) -> String {
        let canonical = match self {
            Self::P256 { crv, x, y } => {
                format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        encode(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref())
    }

    fn into_jwk(self, algorithm: Algorithm) -> PublicJwk {
        PublicJwk {
            kid: self.thumbprint(),
            usage: "enc",
            alg: algorithm.name(),
            numbers: self,
        }
    }
}

impl SealingKey {
    /// Makes a new key on P-256, and its PKCS #8 DER.
    ///
    /// # Errors
    /// When the cryptographic library makes none.
    pub fn generate_p256() -> Result<(Self, Zeroizing<Vec<u8>>), SealingKeysError> {
        let failed = |_| SealingKeysError::NotGenerated("P-256");
        let private = agreement::PrivateKey::generate(&ECDH_P256).map_err(failed)?;
        let der: Pkcs8V1Der<'_> = private.as_der().map_err(failed)?;
        let pkcs8 = Zeroizing::new(der.as_ref().to_vec());
        let key = Self::from_p256(private, KeyState::Active)
            .ok_or(SealingKeysError::NotGenerated("P-256"))?;
        Ok((key, pkcs8))
    }

    /// Makes a new RSA key of 3072 bits, and its PKCS #8 DER. It takes a second or several.
    ///
    /// # Errors
    /// When the cryptographic library makes none.
    pub fn generate_rsa() -> Result<(Self, Zeroizing<Vec<u8>>), SealingKeysError> {
        let failed = |_| SealingKeysError::NotGenerated("RSA");
        let pair = KeyPair::generate(KeySize::Rsa3072).map_err(failed)?;
        let der = pair.as_der().map_err(failed)?;
        let pkcs8 = Zeroizing::new(der.as_ref().to_vec());
        let key = Self::from_pkcs8(&pkcs8, KeyState::Active)
            .ok_or(SealingKeysError::NotGenerated("RSA"))?;
        Ok((key, pkcs8))
    }

    /// The key in a PKCS #8 DER; `None` when no envelope can be sealed to it.
    #[must_use]
    pub fn from_pkcs8(pkcs8: &[u8], state: KeyState) -> Option<Self> {
        match agreement::PrivateKey::from_private_key_der(&ECDH_P256, pkcs8) {
            Ok(private) => Self::from_p256(private, state),
            Err(_) => Self::from_rsa(pkcs8, state),
        }
    }

    fn from_p256(private: agreement::PrivateKey, state: KeyState) -> Option<Self> {
        let point = uncompressed_point(&private)?;
        let (x, y) = point.get(1..)?.split_at_checked(P256_BYTES)?;
        let public = PublicNumbers::P256 {
            crv: "P-256",
            x: encode(x),
            y: encode(y),
        }
        .into_jwk(Algorithm::EcdhEs);
        Some(Self {
            kid: public.kid.clone(),
            state,
            private: Private::P256(private),
            public,
        })
    }

    fn from_rsa(pkcs8: &[u8], state: KeyState) -> Option<Self> {
        let pair = KeyPair::from_pkcs8(pkcs8).ok()?;
        let (_, numbers) = RSAPublicKey::from_der(pair.public_key().as_ref()).ok()?;
        let without_sign = |number: &[u8]| {
            let zeros = number.iter().take_while(|byte| **byte == 0).count();
            encode(number.get(zeros..).unwrap_or_default())
        };
        let public = PublicNumbers::Rsa {
            n: without_sign(numbers.modulus),
            e: without_sign(numbers.exponent),
        }
        .into_jwk(Algorithm::RsaOaep256);
        let private = PrivateDecryptingKey::from_pkcs8(pkcs8).ok()?;
        if private.key_size_bits() < MIN_RSA_BITS {
            return None;
        }
        Some(Self {
            kid: public.kid.clone(),
            state,
            private: Private::Rsa(OaepPrivateDecryptingKey::new(private).ok()?),
            public,
        })
    }

    /// The public point of a P-256 key, uncompressed.
    pub(super) fn p256_point(&self) -> Option<[u8; P256_POINT_BYTES]> {
        let Private::P256(private) = &self.private else {
            return None;
        };
        uncompressed_point(private)
    }

    /// Its name: the thumbprint of its public half (RFC 7638).
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The only algorithm that it opens.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.private {
            Private::P256(_) => Algorithm::EcdhEs,
            Private::Rsa(_) => Algorithm::RsaOaep256,
        }
    }

    /// Whether it is published.
    #[must_use]
    pub fn state(&self) -> KeyState {
        self.state
    }

    /// ECDH-ES: the content key agreed upon with the ephemeral public `point` (uncompressed); `None`
    /// when this is no P-256 key or the point is not on the curve.
    pub(super) fn agree(
        &self,
        point: &[u8; P256_POINT_BYTES],
        party_u: &[u8],
        party_v: &[u8],
    ) -> Option<Zeroizing<[u8; CONTENT_KEY_BYTES]>> {
        let Private::P256(private) = &self.private else {
            return None;
        };
        agreement::agree(
            private,
            UnparsedPublicKey::new(&ECDH_P256, point),
            (),
            |secret| concat_kdf(secret, "A256GCM", party_u, party_v).ok_or(()),
        )
        .ok()
    }

    /// RSA-OAEP-256: the content key in `encrypted_key`; `None` when this is no RSA key or it does
    /// not decrypt to 32 bytes.
    pub(super) fn decrypt_key(
        &self,
        encrypted_key: &[u8],
    ) -> Option<Zeroizing<[u8; CONTENT_KEY_BYTES]>> {
        let Private::Rsa(private) = &self.private else {
            return None;
        };
        let mut room = Zeroizing::new(vec![0; private.min_output_size()]);
        let decrypted = private
            .decrypt(&OAEP_SHA256_MGF1SHA256, encrypted_key, &mut room, None)
            .ok()?;
        let mut key = Zeroizing::new([0; CONTENT_KEY_BYTES]);
        (decrypted.len() == CONTENT_KEY_BYTES).then(|| key.copy_from_slice(decrypted))?;
        Some(key)
    }

    /// Bytes of an `encrypted_key` for it.
    pub(super) fn encrypted_key_bytes(&self) -> usize {
        match &self.private {
            Private::P256(_) => 0,
            Private::Rsa(private) => private.key_size_bytes(),
        }
    }
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
        let keys = keys.into_iter().map(|key| (key.kid.clone(), key)).collect();
        Self { keys }
    }

    /// The keys in `folder` and its folder `retiring`. When there is no active P-256 key, one is made
    /// and written there, wrapped under the master key; an RSA key likewise when `rsa` is set.
    ///
    /// # Errors
    /// When the folder or a file can't be used, or a file holds something else.
    pub fn load_or_generate(
        folder: &Path,
        rsa: bool,
        master_key: &MasterKey,
    ) -> Result<Self, SealingKeysError> {
        std::fs::create_dir_all(folder).map_err(|source| SealingKeysError::Folder {
            path: folder.into(),
            source,
        })?;
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
        let retiring = folder.join(RETIRING_FOLDER);
        if retiring.is_dir() {
            keys.extend(read_folder(&retiring, KeyState::Retiring, master_key)?);
        }
        if keys.len() > MAX_SEALING_KEYS {
            return Err(SealingKeysError::TooMany {
                path: folder.into(),
            });
        }
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
            .filter(|key| key.state == KeyState::Active)
            .map(|key| &key.public)
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
        Ok(custody::write_public_file(
            path,
            text.as_bytes(),
            Existing::Replace,
        )?)
    }
}

fn uncompressed_point(private: &agreement::PrivateKey) -> Option<[u8; P256_POINT_BYTES]> {
    let public = private.compute_public_key().ok()?;
    let point: EcPublicKeyUncompressedBin<'_> = public.as_be_bytes().ok()?;
    point.as_ref().try_into().ok()
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
            let pkcs8 = custody::read_private_key(&path, master_key)?;
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
    let path = folder.join(format!("{prefix}-{}.{KEY_FILE_EXTENSION}", key.kid));
    Ok(custody::write_wrapped(
        &path,
        pkcs8,
        master_key,
        Existing::Refuse,
    )?)
}

#[cfg(test)]
mod tests;
