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

use super::jwe::{CONTENT_KEY_BYTES, TAG_BYTES, content_key, decode, encode};
use super::master_key::{MasterKey, MasterKeyError, Purpose};
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

/// The data keys, unwrapped, and the key that wraps them.
pub struct DataKeys {
    wrapping: LessSafeKey,
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
    ///
    /// # Errors
    /// When the cryptographic library refuses, which it has no reason to.
    pub fn new(master_key: &MasterKey, random: &Random) -> Result<Self, MasterKeyError> {
        Ok(Self {
            wrapping: master_key.aead_key(Purpose::DataKeyWrapping)?,
            random: random.clone(),
            unwrapped: RwLock::default(),
        })
    }

    /// A new data key of this version, wrapped, base64url. It is used once it is [`load`](Self::load)ed.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn make(&self, key_version: i64) -> Result<String, CustodyError> {
        let mut key = Zeroizing::new(self.random.bytes::<CONTENT_KEY_BYTES>()?);
        let nonce = self.random.bytes::<NONCE_LEN>()?;
        let tag = self
            .wrapping
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(key_aad(key_version)),
                &mut *key,
            )
            .map_err(|_| CustodyError::Refused("wrap a data key"))?;
        Ok(encode(&[nonce.as_slice(), &*key, tag.as_ref()].concat()))
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

    fn unwrap_key(&self, key_version: i64, wrapped: &str) -> Option<LessSafeKey> {
        let aad = key_aad(key_version);
        let key = unseal(&self.wrapping, aad.as_bytes(), decode(wrapped)?)?;
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
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::card::pan::Cvv;
    use crate::payment::samples::NOW;

    fn data_keys(master: u8) -> DataKeys {
        let master_key = MasterKey::from_base64(&STANDARD.encode([master; 32]), &Random::SYSTEM);
        DataKeys::new(&master_key.unwrap(), &Random::SYSTEM).unwrap()
    }

    fn card(pan: &str) -> Card {
        Card {
            pan: Pan::from_digits(pan).unwrap(),
            expiry: Expiry::from_yymm("3012").unwrap(),
            cvv: Some(Cvv::from_digits("9173").unwrap()),
            holder: None,
        }
    }

    fn names() -> (MerchantId, PaymentId) {
        let merchant_id = "demo-shop".parse().unwrap();
        (merchant_id, PaymentId::from_parts(NOW, [1; 10]))
    }

    #[test]
    fn a_card_opens_for_its_own_payment_alone() {
        let (shop, payment) = names();
        let other = PaymentId::from_parts(NOW, [2; 10]);
        let keys = data_keys(1);
        let wrapped = [keys.make(7).unwrap(), keys.make(8).unwrap()];
        let load = |keys: &DataKeys, versions: [i64; 2]| {
            keys.load(versions.into_iter().zip(wrapped.iter().map(String::as_str)))
        };
        assert_eq!(
            keys.seal(&card("4242424242424242"), &shop, payment),
            Err(CustodyError::NoKey)
        );
        load(&keys, [7, 8]).unwrap();
        let mut lengths = Vec::new();
        for pan in [
            "4242424242424242",
            "4222222222222",
            "36227206271667",
            "6304000000000000000",
        ] {
            let entry = keys.seal(&card(pan), &shop, payment).unwrap();
            assert_eq!(entry.key_version, 8);
            lengths.push(entry.sealed.len());
            assert_ne!(entry, keys.seal(&card(pan), &shop, payment).unwrap());
            // Another process with the same master key.
            let reader = data_keys(1);
            load(&reader, [7, 8]).unwrap();
            let kept = reader.open(&entry, &shop, payment).unwrap();
            assert_eq!((kept.pan.digits(), kept.expiry.yymm()), (pan, "3012"));
            let shown = format!("{kept:?}");
            assert!(
                !shown.contains(&pan[6..]) && !shown.contains("3012"),
                "{shown}"
            );

            let not_ours = |entry: &CustodyEntry, shop: &MerchantId, payment| {
                let refused = keys.open(entry, shop, payment).unwrap_err();
                assert!(
                    matches!(refused, CustodyError::CardNotOurs { .. }),
                    "{refused}"
                );
            };
            not_ours(&entry, &"other-shop".parse().unwrap(), payment);
            not_ours(&entry, &shop, other);
            let moved = CustodyEntry {
                key_version: 7,
                ..entry.clone()
            };
            not_ours(&moved, &shop, payment);
            for changed in [0, 20, lengths[0] - 1] {
                let mut sealed = entry.sealed.clone().into_bytes();
                sealed[changed] = if sealed[changed] == b'A' { b'B' } else { b'A' };
                let changed = CustodyEntry {
                    sealed: String::from_utf8(sealed).unwrap(),
                    ..entry.clone()
                };
                not_ours(&changed, &shop, payment);
            }
        }
        assert!(
            lengths.iter().all(|length| *length == lengths[0]),
            "{lengths:?}"
        );

        // A destroyed key opens nothing any more.
        let entry = keys
            .seal(&card("4242424242424242"), &shop, payment)
            .unwrap();
        keys.load([(7, wrapped[0].as_str())].into_iter()).unwrap();
        let gone = keys.open(&entry, &shop, payment).unwrap_err();
        assert_eq!(gone, CustodyError::KeyGone { key_version: 8 });
        assert!(keys.has(7) && !keys.has(8));
    }

    #[test]
    fn a_wrapped_key_opens_in_its_own_row_under_its_own_master_key() {
        let keys = data_keys(1);
        let wrapped = keys.make(7).unwrap();
        let not_ours = |key_version| Err(CustodyError::KeyNotOurs { key_version });
        assert_eq!(keys.load([(8, wrapped.as_str())].into_iter()), not_ours(8));
        let other = data_keys(2);
        assert_eq!(other.load([(7, wrapped.as_str())].into_iter()), not_ours(7));
        assert_eq!(keys.load([(7, "AAAA")].into_iter()), not_ours(7));
        assert_eq!(keys.load([(7, wrapped.as_str())].into_iter()), Ok(()));
        // An older one that does not open keeps no other from being used; for the newest nothing is taken.
        let mixed = [(7, wrapped.as_str()), (6, "AAAA")];
        assert_eq!(keys.load(mixed.into_iter()), Ok(()));
        let newest = [(7, wrapped.as_str()), (9, "AAAA")];
        assert_eq!(keys.load(newest.into_iter()), not_ours(9));
        let (shop, payment) = names();
        let entry = keys
            .seal(&card("4242424242424242"), &shop, payment)
            .unwrap();
        assert_eq!(entry.key_version, 7);
    }
}
