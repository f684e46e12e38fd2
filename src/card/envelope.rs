//! A sealed card, and opening it.
//!
//! Every way in which an envelope can be bad ends in the same error after the same work: where the
//! key is unknown, the point is not on the curve or the header makes no sense, a decoy takes its
//! place (`content_key`), and the claims are looked at only after the decryption.

mod content_key;

use std::fmt;

use super::custody::MasterKey;
use super::header::{
    Header, Kind, MAX_CARD_LIFETIME_S, MAX_SESSION_LIFETIME_S, MAX_SESSION_SETUP_AGE_S,
};
use super::jwe::Compact;
use super::keys::{SealingKeys, SealingKeysError};
use super::pan::Card;
use super::payload::{parse_card, parse_session_key};
use super::session::SealingSession;
use crate::payment::ids::MerchantId;
use crate::payment::moment::UnixMillis;
use crate::payment::money::Money;
use crate::random::Random;
use content_key::{ContentKey, ContentKeys};

/// A sealed card as the merchant sent it: a compact JWE, not yet looked at.
pub struct SealedCard(String);

impl SealedCard {
    /// The text as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for SealedCard {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// The length only: a merchant that made a mistake may have put a clear card here.
impl fmt::Debug for SealedCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedCard({} bytes)", self.0.len())
    }
}

/// What a sealed card must be bound to: who calls, and what the card is to pay.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// The authenticated caller.
    pub merchant_id: &'a MerchantId,
    /// The order that the request names.
    pub merchant_reference: &'a str,
    /// The amount that the request names.
    pub amount: Money,
}

/// An opened envelope. Its `jti` still has to be recorded as used, durably, before anything is done
/// with the card.
#[derive(Debug)]
pub struct Opened {
    /// The card.
    pub card: Card,
    /// The envelope's own name, 16 to 64 characters of base64url: it works once for a merchant.
    pub jti: String,
    /// When the envelope expires; until then its `jti` has to be remembered.
    pub expires_at: UnixMillis,
}

/// The envelope is bad. It is not said how, so that nobody can feel their way to a good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the sealed card was refused: it must be a JWE sealed to a current key of this gateway, \
     unexpired and bound to this merchant, order, amount and currency"
)]
pub struct SealedCardRefused;

/// In which way an envelope is bad: for our own log and tests, never for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    NotAnEnvelope,
    Header,
    Key,
    Content,
    Payload,
    Merchant,
    Order,
    Amount,
    Time,
    SessionUsedUp,
}

impl From<Refusal> for SealedCardRefused {
    fn from(refusal: Refusal) -> Self {
        tracing::debug!(reason = ?refusal, "an envelope was refused");
        Self
    }
}

/// Opens envelopes.
#[derive(Debug)]
pub struct Opener {
    keys: ContentKeys,
}

impl Opener {
    /// An opener with these keys; session tickets hang on the master key.
    ///
    /// # Errors
    /// When the cryptographic library makes no decoy key.
    pub fn new(
        keys: SealingKeys,
        master_key: &MasterKey,
        random: &Random,
    ) -> Result<Self, SealingKeysError> {
        Ok(Self {
            keys: ContentKeys::new(keys, master_key, random)?,
        })
    }

    /// The public keys to seal to, as a JWK Set (RFC 7517).
    #[must_use]
    pub fn jwks(&self) -> String {
        self.keys().jwks()
    }

    /// The keys that open envelopes.
    #[must_use]
    pub fn keys(&self) -> &SealingKeys {
        self.keys.sealing_keys()
    }

    /// Opens a sealed card that must be bound to `binding`.
    ///
    /// # Errors
    /// The same for every way in which it can be bad.
    pub fn open(
        &self,
        sealed: &SealedCard,
        binding: &Binding<'_>,
        now: UnixMillis,
    ) -> Result<Opened, SealedCardRefused> {
        Ok(self.open_card(sealed.as_str(), binding, now)?)
    }

    /// Sets up a session key that `merchant_id` has sealed: the ticket under which it then seals
    /// cards. The same sealed key gives the same ticket.
    ///
    /// # Errors
    /// The same for every way in which it can be bad.
    pub fn open_session(
        &self,
        sealed: &str,
        merchant_id: &MerchantId,
        now: UnixMillis,
    ) -> Result<SealingSession, SealedCardRefused> {
        Ok(self.open_session_key(sealed, merchant_id, now)?)
    }

    fn open_card(
        &self,
        sealed: &str,
        binding: &Binding<'_>,
        now: UnixMillis,
    ) -> Result<Opened, Refusal> {
        let mut envelope = self.parse(sealed)?;
        let header_json = std::mem::take(&mut envelope.header);
        let header = self.parse_header(&header_json, Kind::Card)?;
        let (key, is_found) = self.keys.find(&header, &envelope, binding.merchant_id, now);
        let card = envelope
            .decrypt(key.key())
            .ok_or(Refusal::Content)
            .and_then(|content| parse_card(content).ok_or(Refusal::Payload));
        if !is_found {
            return Err(Refusal::Key);
        }
        let card = card?;
        check_binding(&header, binding)?;
        if !header.is_current(now, MAX_CARD_LIFETIME_S) {
            return Err(Refusal::Time);
        }
        if let ContentKey::Session(session) = &key
            && !session.count()
        {
            return Err(Refusal::SessionUsedUp);
        }
        Ok(Opened {
            card,
            expires_at: header.expires_at(),
            jti: header.jti.into_owned(),
        })
    }

    fn open_session_key(
        &self,
        sealed: &str,
        merchant_id: &MerchantId,
        now: UnixMillis,
    ) -> Result<SealingSession, Refusal> {
        let mut envelope = self.parse(sealed)?;
        let header_json = std::mem::take(&mut envelope.header);
        let header = self.parse_header(&header_json, Kind::Session)?;
        let (key, is_found) = self.keys.find(&header, &envelope, merchant_id, now);
        let session_key = envelope
            .decrypt(key.key())
            .ok_or(Refusal::Content)
            .and_then(|content| parse_session_key(content).ok_or(Refusal::Payload));
        if !is_found {
            return Err(Refusal::Key);
        }
        let session_key = session_key?;
        if header.merchant != merchant_id.as_str() {
            return Err(Refusal::Merchant);
        }
        let setup_ends = UnixMillis::new(
            header
                .iat
                .saturating_add(MAX_SESSION_SETUP_AGE_S)
                .saturating_mul(1000),
        );
        if !header.is_current(now, MAX_SESSION_LIFETIME_S) || now >= setup_ends {
            return Err(Refusal::Time);
        }
        self.keys
            .issue_ticket(&session_key, merchant_id, header.expires_at())
            .ok_or(Refusal::Key)
    }

    fn parse<'a>(&self, sealed: &'a str) -> Result<Compact<'a>, Refusal> {
        Compact::parse(sealed).ok_or_else(|| {
            self.keys.spend_an_agreement();
            Refusal::NotAnEnvelope
        })
    }

    fn parse_header<'a>(&self, json: &'a [u8], kind: Kind) -> Result<Header<'a>, Refusal> {
        Header::parse(json, kind).ok_or_else(|| {
            self.keys.spend_an_agreement();
            Refusal::Header
        })
    }
}

fn check_binding(header: &Header<'_>, binding: &Binding<'_>) -> Result<(), Refusal> {
    if header.merchant != binding.merchant_id.as_str() {
        return Err(Refusal::Merchant);
    }
    if header.order.as_deref() != Some(binding.merchant_reference) {
        return Err(Refusal::Order);
    }
    if header.amount_minor != Some(binding.amount.amount_minor())
        || header.currency.as_deref() != Some(binding.amount.currency().code())
    {
        return Err(Refusal::Amount);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
