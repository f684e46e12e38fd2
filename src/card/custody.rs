//! Cards in custody: PAN and expiry, sealed for messages that may still have to be sent.
//!
//! A card is sealed with AES-256-GCM under a data key, bound to its merchant, its payment and the key's version.
//! The data key lies in the database, wrapped under a key that is derived from the master key and bound to its
//! version. So a copy of the database alone opens nothing, and a card or a wrapped key that is moved to another row
//! does not open. A verification value has no place here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use zeroize::Zeroizing;

use super::derived_key::Wrapping;
use super::jwe::{CONTENT_KEY_BYTES, TAG_BYTES, content_key, decode, encode};
use super::master_key::MasterKey;
use super::masters::MasterKeyError;
use super::masters::Unwrapped;
use super::pan::{Card, Expiry, InvalidCard, PAN_DIGITS, Pan};
use crate::payment::custody::CustodyEntry;
use crate::payment::ids::{MerchantId, PaymentId};
use crate::random::{NoEntropy, Random};

/// Bytes of a card before it is sealed: the PAN's digits, filled up with blanks, and the expiry as YYMM. All cards
/// are as long, so that the length of a PAN does not show.
const CARD_BYTES: usize = *PAN_DIGITS.end() + 4;
const SEALED_BYTES: usize = NONCE_LEN + CARD_BYTES + TAG_BYTES;

/// A card that was kept: what a later message needs.
#[derive(Debug)]
pub struct KeptCard {
    /// Its number.
    pub pan: Pan,
    /// When it expires.
    pub expiry: Expiry,
}

/// What went wrong with a card or a key in custody. It says nothing of the card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CustodyError {
    /// There is no data key to seal under.
    #[error("there is no data key to seal cards under")]
    NoKey,
    /// A wrapped data key does not open: another master key, another row's key, or changed bytes.
    #[error("data key {key_version} does not open under this master key")]
    KeyNotOurs {
        /// Its version.
        key_version: i64,
    },
    /// The data key is not there (any more).
    #[error("data key {key_version} is not there")]
    KeyGone {
        /// Its version.
        key_version: i64,
    },
    /// A sealed card does not open: of another payment, or changed.
    #[error("the card of {payment_id} does not open under data key {key_version}")]
    CardNotOurs {
        /// The payment.
        payment_id: PaymentId,
        /// The data key's version.
        key_version: i64,
    },
    /// The operating system gave no randomness.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// A cryptographic operation that can't fail did.
    #[error("the cryptographic library refused to {0}")]
    Refused(&'static str),
}

impl From<InvalidCard> for CustodyError {
    fn from(_: InvalidCard) -> Self {
        Self::Refused("give back a card that was sealed")
    }
}

/// The data keys, unwrapped, and the master key that wraps them.
pub struct DataKeys {
    master_key: MasterKey,
    random: Random,
    /// By version; the highest one seals.
    unwrapped: RwLock<BTreeMap<i64, Arc<LessSafeKey>>>,
}

impl fmt::Debug for DataKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKeys(masked)")
    }
}

impl DataKeys {
    /// No data keys yet.
    #[must_use]
    pub fn new(master_key: &MasterKey, random: &Random) -> Self {
        Self {
            master_key: master_key.clone(),
            random: random.clone(),
            unwrapped: RwLock::default(),
        }
    }

    /// A new data key of this version, wrapped, base64url. It is used once it is [`load`](Self::load)ed.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn make(&self, key_version: i64) -> Result<String, CustodyError> {
        let key = Zeroizing::new(self.random.bytes::<CONTENT_KEY_BYTES>()?);
        self.wrap(key_version, &*key)
    }

    /// A data key that is wrapped under another master key than the current one, wrapped anew; `None` where that is not
    /// needed.
    ///
    /// # Errors
    /// When it opens under no master key, or there is no randomness.
    pub fn rewrap(&self, key_version: i64, wrapped: &str) -> Result<Option<String>, CustodyError> {
        let opened = self.open_wrapped(key_version, wrapped);
        let opened = opened.ok_or(CustodyError::KeyNotOurs { key_version })?;
        if opened.is_current {
            return Ok(None);
        }
        self.wrap(key_version, &opened.secret).map(Some)
    }

    /// Takes these keys, by version and wrapped, in place of those before: the highest version seals from now on. A
    /// key that does not open is logged and left out: what it seals is lost.
    ///
    /// # Errors
    /// When the highest one does not open; nothing is taken then.
    pub fn load<'k>(
        &self,
        wrapped: impl Iterator<Item = (i64, &'k str)>,
    ) -> Result<(), CustodyError> {
        let mut highest = None;
        let mut by_version = BTreeMap::new();
        for (key_version, wrapped) in wrapped {
            highest = highest.max(Some(key_version));
            let known = self.find(key_version);
            let key = known.or_else(|| self.unwrap_key(key_version, wrapped).map(Arc::new));
            match key {
                Some(key) => drop(by_version.insert(key_version, key)),
                None => {
                    tracing::error!(key_version, "A data key of cards in custody does not open")
                }
            }
        }
        if let Some(key_version) = highest.filter(|highest| !by_version.contains_key(highest)) {
            return Err(CustodyError::KeyNotOurs { key_version });
        }
        let mut unwrapped = self
            .unwrapped
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *unwrapped = by_version;
        Ok(())
    }

    /// Whether this key is loaded.
    #[must_use]
    pub fn has(&self, key_version: i64) -> bool {
        self.find(key_version).is_some()
    }

    /// Seals a card for later messages of this payment. A nonce is random: a key may seal 2^32 cards (NIST SP
    /// 800-38D section 8.3), far more than a day has.
    ///
    /// # Errors
    /// When there is no key or no randomness.
    pub fn seal(
        &self,
        card: &Card,
        merchant_id: &MerchantId,
        payment_id: PaymentId,
    ) -> Result<CustodyEntry, CustodyError> {
        let newest = self
            .read()
            .last_key_value()
            .map(|(key_version, key)| (*key_version, Arc::clone(key)));
        let (key_version, key) = newest.ok_or(CustodyError::NoKey)?;
        let nonce = self.random.bytes_for_name::<NONCE_LEN>()?;
        let mut sealed = [0; SEALED_BYTES];
        let (place, rest) = sealed.split_at_mut(NONCE_LEN);
        place.copy_from_slice(&nonce);
        let (content, tag_place) = rest.split_at_mut(CARD_BYTES);
        content.fill(b' ');
        for (place, digit) in content.iter_mut().zip(card.pan.digits().bytes()) {
            *place = digit;
        }
        let expiry = content.iter_mut().skip(*PAN_DIGITS.end());
        for (place, digit) in expiry.zip(card.expiry.yymm().bytes()) {
            *place = digit;
        }
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(card_aad(key_version, merchant_id, payment_id)),
                content,
            )
            .map_err(|_| CustodyError::Refused("seal a card"))?;
        tag_place.copy_from_slice(tag.as_ref());
        Ok(CustodyEntry {
            key_version,
            sealed: encode(&sealed),
        })
    }

    /// Opens the card of this payment.
    ///
    /// # Errors
    /// When its key is not loaded, or it is not the card of this payment.
    pub fn open(
        &self,
        entry: &CustodyEntry,
        merchant_id: &MerchantId,
        payment_id: PaymentId,
    ) -> Result<KeptCard, CustodyError> {
        let key_version = entry.key_version;
        let key = self
            .find(key_version)
            .ok_or(CustodyError::KeyGone { key_version })?;
        let aad = card_aad(key_version, merchant_id, payment_id);
        let opened = decode(&entry.sealed).and_then(|sealed| unseal(&key, aad.as_bytes(), sealed));
        let opened = opened.ok_or(CustodyError::CardNotOurs {
            payment_id,
            key_version,
        })?;
        let refused = || CustodyError::Refused("give back a card that was sealed");
        let text = std::str::from_utf8(&opened).map_err(|_| refused())?;
        let (pan, expiry) = text
            .split_at_checked(*PAN_DIGITS.end())
            .ok_or_else(refused)?;
        Ok(KeptCard {
            pan: Pan::from_digits(pan.trim_end())?,
            expiry: Expiry::from_yymm(expiry)?,
        })
    }

    fn wrap(&self, key_version: i64, key: &[u8]) -> Result<String, CustodyError> {
        let aad = key_aad(key_version);
        let wrapped = self
            .master_key
            .wrap(Wrapping::DataKeys, aad.as_bytes(), key);
        let wrapped = wrapped.map_err(|error| match error {
            MasterKeyError::NoEntropy(error) => CustodyError::NoEntropy(error),
            _ => CustodyError::Refused("wrap a data key"),
        })?;
        Ok(encode(&wrapped))
    }

    fn open_wrapped(&self, key_version: i64, wrapped: &str) -> Option<Unwrapped> {
        let (aad, wrapped) = (key_aad(key_version), decode(wrapped)?);
        let opened = self
            .master_key
            .unwrap(Wrapping::DataKeys, aad.as_bytes(), &wrapped);
        opened.ok()?
    }

    fn unwrap_key(&self, key_version: i64, wrapped: &str) -> Option<LessSafeKey> {
        let key = self.open_wrapped(key_version, wrapped)?.secret;
        content_key(key.first_chunk::<CONTENT_KEY_BYTES>()?)
    }

    fn find(&self, key_version: i64) -> Option<Arc<LessSafeKey>> {
        self.read().get(&key_version).map(Arc::clone)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<i64, Arc<LessSafeKey>>> {
        self.unwrapped
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens nonce, content and tag.
fn unseal(key: &LessSafeKey, aad: &[u8], sealed: Vec<u8>) -> Option<Zeroizing<Vec<u8>>> {
    let mut sealed = Zeroizing::new(sealed);
    let (nonce, content) = sealed.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let length = key
        .open_in_place(nonce, Aad::from(aad), content)
        .ok()?
        .len();
    sealed.drain(..NONCE_LEN);
    sealed.truncate(length);
    Some(sealed)
}

/// No part holds a bar.
fn card_aad(key_version: i64, merchant_id: &MerchantId, payment_id: PaymentId) -> String {
    format!("payswitch card v1|{key_version}|{merchant_id}|{payment_id}")
}

fn key_aad(key_version: i64) -> String {
    format!("payswitch data key v1|{key_version}")
}

#[cfg(test)]
mod tests;
