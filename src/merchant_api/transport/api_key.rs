//! API keys: how one is made, and what of it is kept.
//!
//! A key is `pk_<id>.<secret>`: 16 hexadecimal digits that name it, and 256 random bits in base64url. The store
//! keeps HMAC-SHA256 of the whole text under a pepper that is kept elsewhere, so that a copy of the database
//! lets nobody in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use iso8583::hex;
use ring::hmac;
use zeroize::Zeroizing;

use crate::payment::ids::MerchantId;
use crate::payment::moment::UnixMillis;
use crate::random::{NoEntropy, Random};
use crate::store::records::ApiKeyRecord;

const KEY_PREFIX: &str = "pk_";
const KEY_ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
/// `pk_`, 16 hexadecimal digits.
const KEY_ID_LENGTH: usize = KEY_PREFIX.len() + 2 * KEY_ID_BYTES;
/// The id, a dot, and 32 bytes in base64url without padding.
const KEY_LENGTH: usize = KEY_ID_LENGTH + 1 + 43;

/// The secret under which API keys are hashed. Kept apart from the database.
#[derive(Debug, Clone)]
pub struct Pepper(hmac::Key);

impl Pepper {
    /// A pepper of 256 bits.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    pub(crate) fn digest(&self, key: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.0, key.as_bytes());
        let mut digest = [0; 32];
        for (to, from) in digest.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        digest
    }

    pub(crate) fn matches(&self, key: &str, digest: &[u8; 32]) -> bool {
        hmac::verify(&self.0, key.as_bytes(), digest).is_ok()
    }
}

/// An API key that was just made. The only time that its text is known.
pub struct NewApiKey {
    /// The public part, under which the store keeps it, for instance `pk_5f0c9d2e8a71b364`.
    pub id: String,
    /// HMAC-SHA256 of the whole text under the pepper: what the store keeps, in hex.
    pub digest: [u8; 32],
    /// The whole key, for the merchant: `pk_5f0c9d2e8a71b364.` and 43 characters.
    pub text: Zeroizing<String>,
}

/// Shows the public part alone.
impl std::fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewApiKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl NewApiKey {
    /// Makes a key.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn generate(pepper: &Pepper, random: &Random) -> Result<Self, NoEntropy> {
        let name = u64::from_be_bytes(random.bytes::<KEY_ID_BYTES>()?);
        let id = format!("{KEY_PREFIX}{name:016x}");
        let secret = Zeroizing::new(random.bytes::<SECRET_BYTES>()?);
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(*secret));
        let text = Zeroizing::new(format!("{id}.{}", *secret));
        Ok(Self {
            digest: pepper.digest(&text),
            id,
            text,
        })
    }

    /// The key as the store keeps it. `label` is for people, for instance `demo`.
    #[must_use]
    pub fn record(
        &self,
        merchant_id: MerchantId,
        label: &str,
        created_at: UnixMillis,
    ) -> ApiKeyRecord {
        ApiKeyRecord {
            key_id: self.id.clone(),
            merchant_id,
            secret_hmac_hex: hex::encode_lower(&self.digest),
            label: label.to_owned(),
            created_at,
            revoked_at: None,
        }
    }
}

/// The public part of a key, if the whole is shaped like one.
pub(crate) fn key_id(key: &str) -> Option<&str> {
    if key.len() != KEY_LENGTH {
        return None;
    }
    let (id, secret) = key.split_once('.')?;
    let named = id
        .strip_prefix(KEY_PREFIX)?
        .bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let secret_is_base64url = secret
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    (id.len() == KEY_ID_LENGTH && named && secret_is_base64url).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merchant_api::records::digest_from_hex;

    #[test]
    fn a_key_is_shaped_as_documented() {
        let key = NewApiKey::generate(&Pepper::new(&[1; 32]), &Random::SYSTEM).unwrap();
        assert_eq!((key.id.len(), key.text.len()), (KEY_ID_LENGTH, KEY_LENGTH));
        assert_eq!(key_id(&key.text), Some(&*key.id));
        let shown = format!("{key:?}");
        assert!(shown.contains(&key.id));
        assert!(!shown.contains(&key.text[KEY_ID_LENGTH..]), "{shown}");
        assert_eq!(Pepper::new(&[1; 32]).digest(&key.text), key.digest);
        assert_ne!(Pepper::new(&[2; 32]).digest(&key.text), key.digest);
        let record = key.record("demo-shop".parse().unwrap(), "demo", UnixMillis::new(1));
        assert_eq!(record.key_id, key.id);
        assert!(
            record
                .secret_hmac_hex
                .starts_with(&format!("{:02x}{:02x}", key.digest[0], key.digest[1]))
        );
        assert_eq!(record.secret_hmac_hex.len(), 64);
        // What the store keeps is read back as the digest that the key was made with.
        assert_eq!(digest_from_hex(&record.secret_hmac_hex), Some(key.digest));
    }
}
