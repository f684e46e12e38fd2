//! Two keyed hashes of a card number, by which the same card is known again without the number. They are made while
//! the card is in clear, because they can't be made later. The library keeps the last block of what it hashes on the
//! stack, and with it the card number: whoever makes a hash has the stack wiped after it.

use std::fmt;

use iso8583::hex;
use ring::hmac;

use super::derived_key::Purpose;
use super::master_key::MasterKey;
use super::masters::MasterKeyError;
use super::pan::Pan;
use crate::payment::ids::MerchantId;

/// Bytes of a hash that nobody is told: enough that no two cards of an installation share one.
const VELOCITY_BYTES: usize = 16;
/// The last digits of a PAN that a range leaves out: ten thousand numbers, one in ten of which has the right check
/// digit.
const LEFT_OUT_OF_RANGE: usize = 4;

/// Makes the hashes.
pub struct Fingerprints {
    per_merchant: hmac::Key,
    per_installation: hmac::Key,
}

impl fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprints(masked)")
    }
}

impl Fingerprints {
    /// Under keys of their own, derived from the master key.
    ///
    /// # Errors
    /// When the cryptographic library refuses, which it has no reason to.
    pub fn new(master_key: &MasterKey) -> Result<Self, MasterKeyError> {
        let key = |purpose| {
            let key = master_key.derive(purpose)?;
            Ok::<_, MasterKeyError>(hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()))
        };
        Ok(Self {
            per_merchant: key(Purpose::CardFingerprints)?,
            per_installation: key(Purpose::CardVelocity)?,
        })
    }

    /// The same for all payments of this card at this merchant, and told to the merchant: 64 hex digits.
    #[must_use]
    pub fn fingerprint(&self, pan: &Pan, merchant_id: &MerchantId) -> String {
        // No merchant's name has a bar.
        let parts = [merchant_id.as_str(), "|", pan.digits()];
        hex::encode_lower(hash(&self.per_merchant, &parts).as_ref())
    }

    /// For limits, and told to nobody: [`card`](Self::card) and then [`range`](Self::range), 32 hex digits each.
    #[must_use]
    pub fn velocity(&self, pan: &Pan) -> String {
        hex::encode_lower(&[self.card(pan), self.range(pan)].concat())
    }

    /// The same for all payments of this card at all merchants.
    #[must_use]
    pub fn card(&self, pan: &Pan) -> [u8; VELOCITY_BYTES] {
        first_bytes(&hash(&self.per_installation, &[pan.digits()]))
    }

    /// The same for all cards whose numbers differ in their last four digits only.
    #[must_use]
    pub fn range(&self, pan: &Pan) -> [u8; VELOCITY_BYTES] {
        let digits = pan.digits();
        let range = digits.get(..digits.len().saturating_sub(LEFT_OUT_OF_RANGE));
        // No card number has a bar.
        let parts = [range.unwrap_or_default(), "|"];
        first_bytes(&hash(&self.per_installation, &parts))
    }
}

fn first_bytes(hash: &hmac::Tag) -> [u8; VELOCITY_BYTES] {
    let first = hash.as_ref().first_chunk();
    first.copied().unwrap_or_default()
}

fn hash(key: &hmac::Key, parts: &[&str]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part.as_bytes());
    }
    context.sign()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::random::Random;

    #[test]
    fn a_card_is_known_again_by_its_merchant_or_by_the_installation() {
        let fingerprints = |master: u8| {
            let master_key = STANDARD.encode([master; 32]);
            let master_key = MasterKey::from_base64(&master_key, &Random::SYSTEM).unwrap();
            Fingerprints::new(&master_key).unwrap()
        };
        let pan = |digits| Pan::from_digits(digits).unwrap();
        let (shop, other): (MerchantId, MerchantId) =
            ("shop".parse().unwrap(), "other".parse().unwrap());
        let ours = fingerprints(1);
        let visa = ours.fingerprint(&pan("4242424242424242"), &shop);
        // By hand: HKDF-SHA256 of the master key, then HMAC-SHA256 of merchant, bar and PAN.
        assert_eq!(
            visa,
            "693a162c40e11aff55d05c8cd5a9ff7e5bceac8325ef5f49cc8b2b3f520583a7"
        );
        assert_eq!(
            visa,
            fingerprints(1).fingerprint(&pan("4242424242424242"), &shop)
        );
        let velocity = ours.velocity(&pan("4242424242424242"));
        let mut all = vec![
            visa,
            ours.fingerprint(&pan("4242424242424242"), &other),
            ours.fingerprint(&pan("5555555555554444"), &shop),
            fingerprints(2).fingerprint(&pan("4242424242424242"), &shop),
            velocity.clone(),
            ours.velocity(&pan("5555555555554444")),
        ];
        assert_eq!((all[0].len(), velocity.len()), (64, 64));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 6);
        assert_eq!(velocity, fingerprints(1).velocity(&pan("4242424242424242")));
        let range = |digits| ours.range(&pan(digits));
        assert_eq!(range("4242424242424242"), range("4242424242420000"));
        assert_ne!(range("4242424242424242"), range("4242424242430009"));
        // A card whose number is the range of a longer one.
        assert_ne!(range("42424242424220000"), ours.card(&pan("4242424242422")));
    }
}
