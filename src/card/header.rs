//! The protected header of an envelope: clear for everyone, changed by no one (it is the associated
//! data of the encryption). Parsed strictly: what is not named here is refused.

use std::borrow::Cow;

use serde::Deserialize;

use super::fault::SealedCardFault;
use crate::payment::moment::UnixMillis;

/// The largest header, decoded, in bytes.
pub const MAX_HEADER_BYTES: usize = 2048;
/// The longest time from `iat` to `exp` of a sealed card, in seconds.
pub const MAX_CARD_LIFETIME_S: i64 = 300;
/// The longest time from `iat` to `exp` of a session key, in seconds.
pub const MAX_SESSION_LIFETIME_S: i64 = 3600;
/// How long after `iat` a session key may be set up, in seconds.
pub const MAX_SESSION_SETUP_AGE_S: i64 = 300;
/// How far `iat` may lie ahead of our clock, in seconds, because no two clocks agree. `exp` has no
/// such allowance: what has expired by our clock has expired.
pub const CLOCK_SKEW_S: i64 = 60;
/// Characters of a `jti`.
pub const JTI_CHARACTERS: std::ops::RangeInclusive<usize> = 16..=64;
/// The `typ` of a sealed card.
pub const CARD_TYPE: &str = "payswitch-card+jwe";
/// The `typ` of a sealed session key.
pub const SESSION_TYPE: &str = "payswitch-session+jwe";
/// The `typ` that any compact JWE may have (RFC 7516 section 4.1.11).
const GENERAL_TYPE: &str = "JOSE";
/// The `cty` of both payloads.
const CONTENT_TYPE: &str = "json";
/// The members that `crit` may name: those that are ours. An extension that we don't understand must
/// be refused (RFC 7516 section 4.1.13), and of the registered names none may stand there.
const OUR_MEMBERS: [&str; 7] = [
    "merchant",
    "order",
    "amount_minor",
    "currency",
    "jti",
    "iat",
    "exp",
];

/// How the content key is found (`alg`, RFC 7518 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Algorithm {
    /// Agreed upon with an ephemeral key on P-256 (RFC 7518 section 4.6).
    #[serde(rename = "ECDH-ES")]
    EcdhEs,
    /// Encrypted to an RSA key, OAEP with SHA-256 and MGF1 with SHA-256 (RFC 7518 section 4.3).
    #[serde(rename = "RSA-OAEP-256")]
    RsaOaep256,
    /// A session key that both sides have (RFC 7518 section 4.5).
    #[serde(rename = "dir")]
    Direct,
}

impl Algorithm {
    /// Its name in a header or a JWK.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdhEs => "ECDH-ES",
            Self::RsaOaep256 => "RSA-OAEP-256",
            Self::Direct => "dir",
        }
    }
}

/// How the content is encrypted (`enc`): one way only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Encryption {
    /// AES-256-GCM with a 96-bit nonce and a 128-bit tag (RFC 7518 section 5.3).
    A256GCM,
}

/// The sender's ephemeral public key (RFC 7518 section 4.6.1.1).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EphemeralKey<'a> {
    /// `EC`.
    #[serde(borrow)]
    pub kty: Cow<'a, str>,
    /// `P-256`.
    #[serde(borrow)]
    pub crv: Cow<'a, str>,
    /// The point's x, 32 bytes in base64url.
    #[serde(borrow)]
    pub x: Cow<'a, str>,
    /// The point's y, 32 bytes in base64url.
    #[serde(borrow)]
    pub y: Cow<'a, str>,
}

/// A protected header. A JSON member that is not listed here, or that comes twice, is an error.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header<'a> {
    /// How the content key is found.
    pub alg: Algorithm,
    /// How the content is encrypted.
    pub enc: Encryption,
    /// The key it is sealed to.
    #[serde(borrow)]
    pub kid: Cow<'a, str>,
    /// What it is: [`CARD_TYPE`] or [`SESSION_TYPE`]; may be left out.
    #[serde(borrow, default)]
    pub typ: Option<Cow<'a, str>>,
    /// What is inside: `json`; may be left out.
    #[serde(borrow, default)]
    pub cty: Option<Cow<'a, str>>,
    /// Extensions that must be understood.
    #[serde(borrow, default)]
    pub crit: Option<Vec<Cow<'a, str>>>,
    /// ECDH-ES only: the sender's ephemeral public key.
    #[serde(borrow, default)]
    pub epk: Option<EphemeralKey<'a>>,
    /// ECDH-ES only: about the sender, in base64url; part of the key derivation.
    #[serde(borrow, default)]
    pub apu: Option<Cow<'a, str>>,
    /// ECDH-ES only: about the receiver, in base64url; part of the key derivation.
    #[serde(borrow, default)]
    pub apv: Option<Cow<'a, str>>,
    /// The merchant it is for.
    #[serde(borrow)]
    pub merchant: Cow<'a, str>,
    /// The merchant's reference of the order that the card pays. Not with a session key.
    #[serde(borrow, default)]
    pub order: Option<Cow<'a, str>>,
    /// The amount it pays, in minor units. Not with a session key.
    #[serde(default)]
    pub amount_minor: Option<i64>,
    /// The amount's ISO 4217 code. Not with a session key.
    #[serde(borrow, default)]
    pub currency: Option<Cow<'a, str>>,
    /// Its own name, used once: 16 to 64 characters of base64url.
    #[serde(borrow)]
    pub jti: Cow<'a, str>,
    /// When it was sealed, in seconds since 1970 (RFC 7519 NumericDate).
    pub iat: i64,
    /// When it expires, in seconds since 1970 (RFC 7519 NumericDate).
    pub exp: i64,
}

/// What an envelope is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A card.
    Card,
    /// A session key.
    Session,
}

impl<'a> Header<'a> {
    /// Parses a decoded header; `None` when it is anything else than we take.
    pub(super) fn parse(json: &'a [u8], kind: Kind) -> Option<Self> {
        // serde takes an array for a struct, too; a header is an object.
        if json.len() > MAX_HEADER_BYTES || json.first() != Some(&b'{') {
            return None;
        }
        let header: Self = serde_json::from_slice(json).ok()?;
        header.is_well_formed(kind).then_some(header)
    }

    fn is_well_formed(&self, kind: Kind) -> bool {
        let (own_type, algorithm_fits, bound) = match kind {
            Kind::Card => (
                CARD_TYPE,
                true,
                self.order.is_some() && self.amount_minor.is_some() && self.currency.is_some(),
            ),
            Kind::Session => (
                SESSION_TYPE,
                self.alg != Algorithm::Direct,
                self.order.is_none() && self.amount_minor.is_none() && self.currency.is_none(),
            ),
        };
        let typed = self
            .typ
            .as_deref()
            .is_none_or(|typ| typ == own_type || typ == GENERAL_TYPE)
            && self.cty.as_deref().is_none_or(|cty| cty == CONTENT_TYPE);
        let agreement = match self.alg {
            Algorithm::EcdhEs => self
                .epk
                .as_ref()
                .is_some_and(|epk| epk.kty == "EC" && epk.crv == "P-256"),
            Algorithm::RsaOaep256 | Algorithm::Direct => {
                self.epk.is_none() && self.apu.is_none() && self.apv.is_none()
            }
        };
        typed && agreement && algorithm_fits && bound && self.critical_members_are_ours(kind)
    }

    fn critical_members_are_ours(&self, kind: Kind) -> bool {
        let Some(critical) = &self.crit else {
            return true;
        };
        let present = |name: &str| match kind {
            Kind::Card => OUR_MEMBERS.contains(&name),
            Kind::Session => matches!(name, "merchant" | "jti" | "iat" | "exp"),
        };
        !critical.is_empty()
            && critical.len() <= OUR_MEMBERS.len()
            && critical.iter().all(|name| present(name))
            && (1..critical.len()).all(|place| {
                let (before, rest) = critical.split_at(place);
                rest.first().is_none_or(|name| !before.contains(name))
            })
    }

    /// Checks `jti`, `iat` and `exp` at `now`, for a lifetime of at most `max_lifetime_s`.
    pub(super) fn check_time(
        &self,
        now: UnixMillis,
        max_lifetime_s: i64,
    ) -> Result<(), SealedCardFault> {
        let now_s = now.as_i64().div_euclid(1000);
        let jti_is_a_name = JTI_CHARACTERS.contains(&self.jti.len())
            && self
                .jti
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !jti_is_a_name {
            return Err(SealedCardFault::Jti);
        }
        let lifetime_s = self.exp.saturating_sub(self.iat);
        if self.iat < 0 || !(1..=max_lifetime_s).contains(&lifetime_s) {
            return Err(SealedCardFault::Lifetime);
        }
        if self.iat > now_s.saturating_add(CLOCK_SKEW_S) {
            return Err(SealedCardFault::ClockAhead);
        }
        if self.exp <= now_s {
            return Err(SealedCardFault::Expired);
        }
        Ok(())
    }

    /// Checks that it was not sealed before this moment. An envelope that has expired as well was sealed before it all
    /// the same: so this comes first, and the merchant is told what matters more.
    pub(super) fn check_sealed_since(&self, moment: UnixMillis) -> Result<(), SealedCardFault> {
        if self.iat.saturating_mul(1000) < moment.as_i64() {
            return Err(SealedCardFault::Restored);
        }
        Ok(())
    }

    /// When it expires.
    pub(super) fn expires_at(&self) -> UnixMillis {
        UnixMillis::new(self.exp.saturating_mul(1000))
    }
}
