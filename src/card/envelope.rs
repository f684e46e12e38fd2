//! A sealed card, and opening it.
//!
//! Every way in which an envelope can be bad ends in the same error after the same work: where the
//! key is unknown, the point is not on the curve or the header makes no sense, a decoy takes its
//! place (`content_key`), and the claims are looked at only after the decryption.

mod content_key;

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use super::fault::SealedCardFault;
use super::header::{
    Algorithm, CLOCK_SKEW_S, Header, Kind, MAX_CARD_LIFETIME_S, MAX_SESSION_LIFETIME_S,
    MAX_SESSION_SETUP_AGE_S,
};
use super::jwe::Compact;
use super::key_folder::{KeyFolder, LOOK_EVERY};
use super::keys::{SealingKeys, SealingKeysError};
use super::master_key::MasterKey;
use super::pan::Card;
use super::payload::{parse_card, parse_session_key};
use super::session::SealingSession;
use crate::payment::ids::MerchantId;
use crate::payment::moment::UnixMillis;
use crate::payment::money::Money;
use crate::random::Random;
use crate::stack;
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

/// Opens envelopes.
#[derive(Debug)]
pub struct Opener {
    keys: ContentKeys,
    /// What was sealed before this is refused.
    not_before: UnixMillis,
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
            keys: ContentKeys::new(keys, None, master_key, random)?,
            not_before: UnixMillis::new(i64::MIN),
        })
    }

    /// The same, with the folder that the keys came from: it is looked at again when a card names another key.
    ///
    /// # Errors
    /// When the cryptographic library makes no decoy key.
    pub fn watching(
        keys: SealingKeys,
        folder: KeyFolder,
        master_key: &MasterKey,
        random: &Random,
    ) -> Result<Self, SealingKeysError> {
        Ok(Self {
            keys: ContentKeys::new(keys, Some(folder), master_key, random)?,
            not_before: UnixMillis::new(i64::MIN),
        })
    }

    /// The same, which refuses what may have been sealed before the database was restored at this moment. Until then
    /// `iat` was allowed to be ahead of the clock.
    #[must_use]
    pub fn restored_at(mut self, moment: UnixMillis) -> Self {
        if moment > UnixMillis::new(0) {
            self.not_before = moment.plus_ms(CLOCK_SKEW_S * 1000);
        }
        self
    }

    /// The public keys to seal to, as a JWK Set (RFC 7517).
    #[must_use]
    pub fn jwks(&self) -> String {
        self.keys.sealing_keys().jwks()
    }

    /// The sealing keys as they are in use.
    #[must_use]
    pub fn sealing_keys(&self) -> Arc<SealingKeys> {
        self.keys.sealing_keys()
    }

    /// Reads the sealing keys again now, and writes the public ones where merchants find them. What can't be read
    /// leaves the keys as they are. It takes some milliseconds for each key.
    ///
    /// # Errors
    /// When the folder or a file can't be read, no key would be published, or the public ones can't be written.
    pub fn reload_keys(&self) -> Result<(), SealingKeysError> {
        self.keys.reload()
    }

    /// Looks every few seconds whether the sealing keys have changed, until `stop`, and takes them then.
    pub async fn watch_keys_until(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let opener = Arc::clone(&self);
            // Files, and numbers of thousands of bits: no work for a thread that payments share.
            if let Err(error) = tokio::task::spawn_blocking(move || opener.keys.look()).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "The look at the sealing keys has failed");
            }
        }
    }

    /// Opens a sealed card that must be bound to `binding`.
    ///
    /// # Errors
    /// In which way it is bad, after the same work for every way. Only a test environment tells its caller.
    pub fn open(
        &self,
        sealed: &SealedCard,
        binding: &Binding<'_>,
        now: UnixMillis,
    ) -> Result<Opened, SealedCardFault> {
        stack::wiped_after_shallow(|| self.open_card(sealed.as_str(), binding, now))
    }

    /// Sets up a session key that `merchant_id` has sealed: the ticket under which it then seals
    /// cards. The same sealed key gives the same ticket.
    ///
    /// # Errors
    /// In which way it is bad, after the same work for every way. Only a test environment tells its caller.
    pub fn open_session(
        &self,
        sealed: &str,
        merchant_id: &MerchantId,
        now: UnixMillis,
    ) -> Result<SealingSession, SealedCardFault> {
        stack::wiped_after_shallow(|| self.open_session_key(sealed, merchant_id, now))
    }

    fn open_card(
        &self,
        sealed: &str,
        binding: &Binding<'_>,
        now: UnixMillis,
    ) -> Result<Opened, SealedCardFault> {
        let mut envelope = self.parse(sealed)?;
        let header_json = std::mem::take(&mut envelope.header);
        let header = self.parse_header(&header_json, Kind::Card)?;
        let (key, is_found) = self.keys.find(&header, &envelope, binding.merchant_id, now);
        let card = envelope
            .decrypt(key.key())
            .ok_or(SealedCardFault::Content)
            .and_then(|content| parse_card(content).ok_or(SealedCardFault::Payload));
        if !is_found {
            return Err(SealedCardFault::Key);
        }
        let card = card?;
        check_binding(&header, binding)?;
        header.check_sealed_since(self.not_before)?;
        header.check_time(now, MAX_CARD_LIFETIME_S)?;
        if let ContentKey::Session(session) = &key
            && !session.count()
        {
            return Err(SealedCardFault::SessionUsedUp);
        }
        self.keys.note_use(&header, now);
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
    ) -> Result<SealingSession, SealedCardFault> {
        let mut envelope = self.parse(sealed)?;
        let header_json = std::mem::take(&mut envelope.header);
        let header = self.parse_header(&header_json, Kind::Session)?;
        let (key, is_found) = self.keys.find(&header, &envelope, merchant_id, now);
        let session_key = envelope
            .decrypt(key.key())
            .ok_or(SealedCardFault::Content)
            .and_then(|content| parse_session_key(content).ok_or(SealedCardFault::Payload));
        if !is_found {
            return Err(SealedCardFault::Key);
        }
        let session_key = session_key?;
        if header.merchant != merchant_id.as_str() {
            return Err(SealedCardFault::Merchant);
        }
        header.check_sealed_since(self.not_before)?;
        let setup_ends = UnixMillis::new(
            header
                .iat
                .saturating_add(MAX_SESSION_SETUP_AGE_S)
                .saturating_mul(1000),
        );
        header.check_time(now, MAX_SESSION_LIFETIME_S)?;
        if now >= setup_ends {
            return Err(SealedCardFault::Expired);
        }
        self.keys.note_use(&header, now);
        self.keys
            .issue_ticket(&session_key, merchant_id, header.expires_at())
            .ok_or(SealedCardFault::Key)
    }

    fn parse<'a>(&self, sealed: &'a str) -> Result<Compact<'a>, SealedCardFault> {
        Compact::parse(sealed).ok_or_else(|| {
            self.keys.spend_an_agreement();
            SealedCardFault::NotAnEnvelope
        })
    }

    fn parse_header<'a>(&self, json: &'a [u8], kind: Kind) -> Result<Header<'a>, SealedCardFault> {
        Header::parse(json, kind).ok_or_else(|| {
            self.keys.spend_an_agreement();
            SealedCardFault::Header
        })
    }
}

/// What an envelope says in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClearParts {
    /// The key that it is sealed to, or the session.
    pub kid: String,
    /// How.
    pub algorithm: Algorithm,
    /// When it expires.
    pub expires_at: UnixMillis,
}

/// Checks everything about a sealed card but its content, which only a private key opens, and whether it was
/// used before.
///
/// # Errors
/// In which way it is bad.
pub fn check_clear_parts(
    sealed: &SealedCard,
    binding: &Binding<'_>,
    now: UnixMillis,
) -> Result<ClearParts, SealedCardFault> {
    let envelope = Compact::parse(sealed.as_str()).ok_or(SealedCardFault::NotAnEnvelope)?;
    let header = Header::parse(&envelope.header, Kind::Card).ok_or(SealedCardFault::Header)?;
    check_binding(&header, binding)?;
    header.check_time(now, MAX_CARD_LIFETIME_S)?;
    Ok(ClearParts {
        kid: header.kid.to_string(),
        algorithm: header.alg,
        expires_at: header.expires_at(),
    })
}

fn check_binding(header: &Header<'_>, binding: &Binding<'_>) -> Result<(), SealedCardFault> {
    if header.merchant != binding.merchant_id.as_str() {
        return Err(SealedCardFault::Merchant);
    }
    if header.order.as_deref() != Some(binding.merchant_reference) {
        return Err(SealedCardFault::Order);
    }
    if header.amount_minor != Some(binding.amount.amount_minor())
        || header.currency.as_deref() != Some(binding.amount.currency().code())
    {
        return Err(SealedCardFault::Amount);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
