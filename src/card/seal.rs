//! Sealing: the client's side, for `payswitch seal`, `payswitch load` and tests.
//!
//! docs/sealing.md specifies the same for clients in any language.

mod jwk;

use std::fmt;

use aws_lc_rs::agreement::{self, ECDH_P256, UnparsedPublicKey};
use aws_lc_rs::encoding::{AsBigEndian, EcPublicKeyUncompressedBin};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey};
use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use serde::Serialize;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::envelope::SealedCard;
use super::header::{Algorithm, CARD_TYPE, SESSION_TYPE};
use super::jwe::{
    CONTENT_KEY_BYTES, P256_BYTES, P256_POINT_BYTES, concat_kdf, content_key, encode,
};
use super::pan::Card;
use super::payload;
use crate::clock::Clock;
use crate::payment::moment::UnixMillis;
use crate::payment::money::Money;
use crate::random::{NoEntropy, Random};
use jwk::{Jwk, JwkSet};

/// Why a card could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The text is no JWK Set.
    #[error("expected a JSON Web Key Set (RFC 7517)")]
    NotAJwkSet(#[source] serde_json::Error),
    /// The set has no usable key for the algorithm.
    #[error("the key set has no usable {} key", .0.name())]
    NoKey(Algorithm),
    /// The operating system gave no randomness.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// A card or a header does not become JSON.
    #[error("the header or the payload does not become JSON")]
    Json(#[from] serde_json::Error),
    /// A cryptographic operation failed.
    #[error("the cryptographic library refused to {0}")]
    Refused(&'static str),
}

/// The keys of a JWK Set that cards can be sealed to: the name of each, and its algorithm.
///
/// # Errors
/// When the text is no JWK Set.
pub fn keys_of(jwks: &str) -> Result<Vec<(String, Algorithm)>, SealError> {
    let set: JwkSet = serde_json::from_str(jwks).map_err(SealError::NotAJwkSet)?;
    let keys = set.keys.into_iter();
    let keys = keys.filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    Ok(keys.map(|key| (key.kid, key.alg)).collect())
}

/// Enough for the microseconds of 2,000 years.
const TIME_LETTERS: u32 = 14;

/// What a sealed card is bound to.
#[derive(Debug, Clone, Copy)]
pub struct CardClaims<'a> {
    /// The merchant that will present it.
    pub merchant: &'a str,
    /// The merchant's reference of the order that it pays.
    pub order: &'a str,
    /// The amount that it pays.
    pub amount: Money,
    /// Its own name: 16 to 64 characters of base64url, used once.
    pub jti: &'a str,
    /// When it is sealed.
    pub issued_at: UnixMillis,
    /// For how long it is good, in seconds: 1 to 300.
    pub lifetime_s: i64,
}

/// What a sealed session key is bound to.
#[derive(Debug, Clone, Copy)]
pub struct SessionClaims<'a> {
    /// The merchant that will present it.
    pub merchant: &'a str,
    /// Its own name: 16 to 64 characters of base64url.
    pub jti: &'a str,
    /// When it is sealed.
    pub issued_at: UnixMillis,
    /// For how long the session lasts, in seconds: 1 to 3600.
    pub lifetime_s: i64,
}

/// A new `jti`: the time in microseconds, then 96 random bits in base64url. Names that grow are entered
/// at the end of the gateway's index of used envelopes, which costs a fraction of what entering them at
/// random places does.
///
/// The time is written in the letters `a` to `p` for 0 to 15, because digits of it and of the randomness
/// could together look like a card number where the name is used as a request's.
///
/// # Errors
/// When the operating system has no randomness.
pub fn new_jti(clock: &dyn Clock, random: &Random) -> Result<String, NoEntropy> {
    let random = random.bytes::<12>()?;
    let now_us = clock.now_us();
    let letter = |place: u32| {
        let digit = u8::try_from((now_us >> (4 * place)) & 15).unwrap_or(0);
        char::from(b'a' + digit)
    };
    let time: String = (0..TIME_LETTERS).rev().map(letter).collect();
    Ok(time + &encode(&random))
}

/// The card in a payload as docs/sealing.md specifies it; `None` when it is not one.
#[must_use]
pub fn card_from_json(json: &[u8]) -> Option<Card> {
    payload::parse_card(json)
}

/// A session key of the client's own choice.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SessionKey([u8; CONTENT_KEY_BYTES]);

impl SessionKey {
    /// A new one.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn generate(random: &Random) -> Result<Self, NoEntropy> {
        random.bytes().map(Self)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(masked)")
    }
}

enum Public {
    P256([u8; P256_POINT_BYTES]),
    Rsa(OaepPublicEncryptingKey),
    Session(Box<LessSafeKey>),
}

/// The key to seal to: a gateway's public key, or a session key.
pub struct Recipient {
    kid: String,
    public: Public,
    /// Where content keys and nonces come from.
    random: Random,
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipient")
            .field("kid", &self.kid)
            .field("alg", &self.algorithm().name())
            .finish_non_exhaustive()
    }
}

impl Recipient {
    /// The first key for `algorithm` in a JWK Set.
    ///
    /// # Errors
    /// When the text is no JWK Set, or has no usable key for the algorithm.
    pub fn from_jwks(json: &str, algorithm: Algorithm, random: &Random) -> Result<Self, SealError> {
        let set: JwkSet = serde_json::from_str(json).map_err(SealError::NotAJwkSet)?;
        set.keys
            .into_iter()
            .filter_map(|value| serde_json::from_value::<Jwk>(value).ok())
            .filter(|jwk| jwk.alg == algorithm)
            .find_map(|jwk| {
                let public = match algorithm {
                    Algorithm::EcdhEs => Public::P256(jwk.p256_point()?),
                    Algorithm::RsaOaep256 => Public::Rsa(jwk.rsa_key()?),
                    Algorithm::Direct => return None,
                };
                Some(Self {
                    kid: jwk.kid,
                    public,
                    random: random.clone(),
                })
            })
            .ok_or(SealError::NoKey(algorithm))
    }

    /// A session: its `kid` as the gateway gave it, and the key that was sealed for it.
    ///
    /// # Errors
    /// When the cryptographic library does not take the key.
    pub fn session(kid: String, key: &SessionKey, random: &Random) -> Result<Self, SealError> {
        let key = content_key(&key.0).ok_or(SealError::Refused("take a session key"))?;
        Ok(Self {
            kid,
            public: Public::Session(Box::new(key)),
            random: random.clone(),
        })
    }

    /// The algorithm that is sealed with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.public {
            Public::P256(_) => Algorithm::EcdhEs,
            Public::Rsa(_) => Algorithm::RsaOaep256,
            Public::Session(_) => Algorithm::Direct,
        }
    }

    /// Seals a card.
    ///
    /// # Errors
    /// When there is no randomness, or the cryptographic library refuses.
    pub fn seal_card(&self, card: &Card, claims: &CardClaims<'_>) -> Result<SealedCard, SealError> {
        #[derive(Serialize)]
        struct Payload<'a> {
            pan: &'a str,
            expiry: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            cvv: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            holder: Option<&'a str>,
        }
        let payload = Zeroizing::new(serde_json::to_vec(&Payload {
            pan: card.pan.digits(),
            expiry: card.expiry.yymm(),
            cvv: card.cvv.as_ref().map(|cvv| cvv.digits()),
            holder: card.holder.as_ref().map(|holder| holder.as_str()),
        })?);
        let issued_at_s = claims.issued_at.as_i64().div_euclid(1000);
        let header = NewHeader {
            typ: CARD_TYPE,
            order: Some(claims.order),
            amount_minor: Some(claims.amount.amount_minor()),
            currency: Some(claims.amount.currency().code()),
            ..self.header(claims.merchant, claims.jti, issued_at_s, claims.lifetime_s)
        };
        self.seal(header, &payload).map(SealedCard::from)
    }

    /// Seals a session key, to be set up with the gateway.
    ///
    /// # Errors
    /// When there is no randomness, or the cryptographic library refuses.
    pub fn seal_session_key(
        &self,
        key: &SessionKey,
        claims: &SessionClaims<'_>,
    ) -> Result<String, SealError> {
        let encoded = Zeroizing::new(encode(&key.0));
        let payload = Zeroizing::new(format!(r#"{{"k":"{}"}}"#, *encoded));
        let issued_at_s = claims.issued_at.as_i64().div_euclid(1000);
        let header = NewHeader {
            typ: SESSION_TYPE,
            ..self.header(claims.merchant, claims.jti, issued_at_s, claims.lifetime_s)
        };
        self.seal(header, payload.as_bytes())
    }

    fn header<'a>(
        &'a self,
        merchant: &'a str,
        jti: &'a str,
        issued_at_s: i64,
        lifetime_s: i64,
    ) -> NewHeader<'a> {
        NewHeader {
            alg: self.algorithm().name(),
            enc: "A256GCM",
            kid: &self.kid,
            typ: CARD_TYPE,
            epk: None,
            merchant,
            order: None,
            amount_minor: None,
            currency: None,
            jti,
            iat: issued_at_s,
            exp: issued_at_s.saturating_add(lifetime_s),
        }
    }

    fn seal(&self, mut header: NewHeader<'_>, payload: &[u8]) -> Result<String, SealError> {
        let (own_key, encrypted_key) = match &self.public {
            Public::P256(point) => {
                let (key, ephemeral) = agree(point)?;
                header.epk = Some(ephemeral);
                (Some(key), Vec::new())
            }
            Public::Rsa(public) => {
                let key = Zeroizing::new(self.random.bytes()?);
                let encrypted = encrypt_key(public, &key)?;
                (Some(key), encrypted)
            }
            Public::Session(_) => (None, Vec::new()),
        };
        let protected = encode(&serde_json::to_vec(&header)?);
        let nonce = self.random.bytes::<NONCE_LEN>()?;
        let mut content = Zeroizing::new(payload.to_vec());
        let own_key = own_key.and_then(|key| content_key(&key));
        let key = match (&own_key, &self.public) {
            (Some(key), _) => key,
            (None, Public::Session(key)) => key,
            (None, _) => return Err(SealError::Refused("take a content key")),
        };
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(protected.as_bytes()),
                &mut content,
            )
            .map_err(|_| SealError::Refused("encrypt"))?;
        Ok([
            protected,
            encode(&encrypted_key),
            encode(&nonce),
            encode(&content),
            encode(tag.as_ref()),
        ]
        .join("."))
    }
}

/// A protected header to be written; [`super::header::Header`] is the one that is read.
#[derive(Serialize)]
struct NewHeader<'a> {
    alg: &'static str,
    enc: &'static str,
    kid: &'a str,
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    epk: Option<NewEphemeralKey>,
    merchant: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount_minor: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'a str>,
    jti: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Serialize)]
struct NewEphemeralKey {
    kty: &'static str,
    crv: &'static str,
    x: String,
    y: String,
}

type AgreedKey = (Zeroizing<[u8; CONTENT_KEY_BYTES]>, NewEphemeralKey);

fn agree(point: &[u8; P256_POINT_BYTES]) -> Result<AgreedKey, SealError> {
    let refused = |_| SealError::Refused("agree on a key");
    let ephemeral = agreement::PrivateKey::generate(&ECDH_P256).map_err(refused)?;
    let public = ephemeral.compute_public_key().map_err(refused)?;
    let own_point: EcPublicKeyUncompressedBin<'_> = public.as_be_bytes().map_err(refused)?;
    let (x, y) = own_point
        .as_ref()
        .get(1..)
        .and_then(|both| both.split_at_checked(P256_BYTES))
        .ok_or(SealError::Refused("make an ephemeral key"))?;
    let key = agreement::agree(
        &ephemeral,
        UnparsedPublicKey::new(&ECDH_P256, point),
        SealError::Refused("agree on a key"),
        |secret| concat_kdf(secret, "A256GCM", b"", b"").ok_or(SealError::Refused("derive a key")),
    )?;
    let epk = NewEphemeralKey {
        kty: "EC",
        crv: "P-256",
        x: encode(x),
        y: encode(y),
    };
    Ok((key, epk))
}

fn encrypt_key(
    public: &OaepPublicEncryptingKey,
    key: &[u8; CONTENT_KEY_BYTES],
) -> Result<Vec<u8>, SealError> {
    let mut room = vec![0; public.ciphertext_size()];
    let length = public
        .encrypt(&OAEP_SHA256_MGF1SHA256, key, &mut room, None)
        .map_err(|_| SealError::Refused("encrypt a content key"))?
        .len();
    room.truncate(length);
    Ok(room)
}

#[cfg(test)]
mod tests;
