//! One private key that opens envelopes, with its only algorithm, and its public half as a JWK.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

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

use crate::payment::moment::UnixMillis;
use crate::stack;

use super::header::Algorithm;
use super::jwe::{CONTENT_KEY_BYTES, P256_BYTES, P256_POINT_BYTES, concat_kdf, encode};

/// How exactly is known when a key was used last, in milliseconds: payments need not all write the same number.
const USE_NOTED_EVERY_MS: i64 = 1_000;

/// The smallest RSA key, in bits.
pub const MIN_RSA_BITS: usize = 3072;

/// The cryptographic library made no key, which it has no reason to refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library made no {kind} key")]
pub struct KeyNotMade {
    /// "P-256", "RSA" or "AES-256".
    pub kind: &'static str,
}

/// Where a key is in its life. In every state it opens what was sealed to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It is not published yet: every node has to know it first.
    Upcoming,
    /// It is published. Of each algorithm one key is.
    Active,
    /// It is no longer published.
    Retiring,
}

impl KeyState {
    /// Its name for people and programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upcoming => "UPCOMING",
            Self::Active => "ACTIVE",
            Self::Retiring => "RETIRING",
        }
    }
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
    /// When something that was sealed to it was opened last, in milliseconds since 1970; 0: not yet.
    used_ms: AtomicI64,
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
pub(super) struct PublicJwk {
    kid: String,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    #[serde(flatten)]
    numbers: PublicNumbers,
}

#[derive(Clone, Serialize)]
#[serde(tag = "kty")]
pub(super) enum PublicNumbers {
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
    pub(super) fn thumbprint(&self) -> String {
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
    pub fn generate_p256() -> Result<(Self, Zeroizing<Vec<u8>>), KeyNotMade> {
        let failed = |_| KeyNotMade { kind: "P-256" };
        let private = agreement::PrivateKey::generate(&ECDH_P256).map_err(failed)?;
        let der: Pkcs8V1Der<'_> = private.as_der().map_err(failed)?;
        let pkcs8 = Zeroizing::new(der.as_ref().to_vec());
        let key = Self::from_p256(private, KeyState::Active).ok_or(KeyNotMade { kind: "P-256" })?;
        Ok((key, pkcs8))
    }

    /// Makes a new RSA key of 3072 bits, and its PKCS #8 DER. It takes a second or several.
    ///
    /// # Errors
    /// When the cryptographic library makes none.
    pub fn generate_rsa() -> Result<(Self, Zeroizing<Vec<u8>>), KeyNotMade> {
        let failed = |_| KeyNotMade { kind: "RSA" };
        let pair = KeyPair::generate(KeySize::Rsa3072).map_err(failed)?;
        let der = pair.as_der().map_err(failed)?;
        let pkcs8 = Zeroizing::new(der.as_ref().to_vec());
        let key = Self::from_pkcs8(&pkcs8, KeyState::Active).ok_or(KeyNotMade { kind: "RSA" })?;
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
            used_ms: AtomicI64::new(0),
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
            used_ms: AtomicI64::new(0),
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

    /// Its public half.
    pub(super) fn public(&self) -> &PublicJwk {
        &self.public
    }

    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> KeyState {
        self.state
    }

    /// Takes it for one in another state.
    pub(super) fn set_state(&mut self, state: KeyState) {
        self.state = state;
    }

    /// When something that was sealed to it was opened last since this process has started, to the second.
    #[must_use]
    pub fn used_at(&self) -> Option<UnixMillis> {
        let used_ms = self.used_ms.load(Ordering::Relaxed);
        (used_ms != 0).then_some(UnixMillis::new(used_ms))
    }

    /// Notes that something that was sealed to it was opened.
    pub(super) fn note_use(&self, at: UnixMillis) {
        let before = self.used_ms.load(Ordering::Relaxed);
        if at.as_i64() >= before.saturating_add(USE_NOTED_EVERY_MS) {
            self.used_ms.fetch_max(at.as_i64(), Ordering::Relaxed);
        }
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
        let point = UnparsedPublicKey::new(&ECDH_P256, point);
        let derive = |secret: &[u8]| concat_kdf(secret, "A256GCM", party_u, party_v).ok_or(());
        stack::wiped_after(|| agreement::agree(private, point, (), derive)).ok()
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
        let decrypted = stack::wiped_after(|| {
            private.decrypt(&OAEP_SHA256_MGF1SHA256, encrypted_key, &mut room, None)
        })
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

fn uncompressed_point(private: &agreement::PrivateKey) -> Option<[u8; P256_POINT_BYTES]> {
    let public = private.compute_public_key().ok()?;
    let point: EcPublicKeyUncompressedBin<'_> = public.as_be_bytes().ok()?;
    point.as_ref().try_into().ok()
}
