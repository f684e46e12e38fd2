//! The key set of a gateway, as the client reads it.

use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents};
use serde::Deserialize;

use crate::card::header::Algorithm;
use crate::card::jwe::{P256_BYTES, P256_POINT_BYTES, decode};

/// A JWK Set as others write it: what we do not need is passed over (RFC 7517 section 5).
#[derive(Deserialize)]
pub(super) struct JwkSet {
    pub(super) keys: Vec<serde_json::Value>,
}

/// One key of it.
#[derive(Deserialize)]
pub(super) struct Jwk {
    pub(super) kid: String,
    pub(super) alg: Algorithm,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

impl Jwk {
    /// The point of an EC key on P-256, uncompressed (SEC 1).
    pub(super) fn p256_point(&self) -> Option<[u8; P256_POINT_BYTES]> {
        let x: [u8; P256_BYTES] = decode(&self.x)?.try_into().ok()?;
        let y: [u8; P256_BYTES] = decode(&self.y)?.try_into().ok()?;
        [[4].as_slice(), &x, &y].concat().try_into().ok()
    }

    /// The key of an RSA key.
    pub(super) fn rsa_key(&self) -> Option<OaepPublicEncryptingKey> {
        let public: PublicEncryptingKey = PublicKeyComponents {
            n: decode(&self.n)?,
            e: decode(&self.e)?,
        }
        .try_into()
        .ok()?;
        OaepPublicEncryptingKey::new(public).ok()
    }
}
