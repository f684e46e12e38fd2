//! API keys: how one is made, and what of it is kept.
//!
//! A key is `sk_live_<id>.<secret>`, or `sk_test_` in a test environment: 16 hexadecimal digits that name it, and
//! 256 random bits in base64url. The store keeps HMAC-SHA256 of the whole text under a pepper that is kept
//! elsewhere, so that a copy of the database lets nobody in. Keys that earlier versions issued begin with `pk_`
//! and go on working in either environment.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use iso8583::hex;
use ring::hmac;
use zeroize::Zeroizing;

use crate::config::environment::Environment;
use crate::payment::ids::MerchantId;
use crate::payment::moment::UnixMillis;
use crate::random::{NoEntropy, Random};
use crate::store::records::callers::ApiKeyRecord;

const TEST_PREFIX: &str = "sk_test_";
const LIVE_PREFIX: &str = "sk_live_";
/// Of keys that earlier versions issued.
const EARLIER_PREFIX: &str = "pk_";
const KEY_ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
/// 32 bytes in base64url without padding.
const SECRET_LENGTH: usize = 43;

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
    /// The public part, under which the store keeps it, for instance `sk_live_5f0c9d2e8a71b364`.
    pub id: String,
    /// HMAC-SHA256 of the whole text under the pepper: what the store keeps, in hex.
    pub digest: [u8; 32],
    /// The whole key, for the merchant: `sk_live_5f0c9d2e8a71b364.` and 43 characters.
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
    pub fn generate(
        pepper: &Pepper,
        environment: Environment,
        random: &Random,
    ) -> Result<Self, NoEntropy> {
        let prefix = match environment {
            Environment::Test => TEST_PREFIX,
            Environment::Live => LIVE_PREFIX,
        };
        let name = u64::from_be_bytes(random.bytes::<KEY_ID_BYTES>()?);
        let id = format!("{prefix}{name:016x}");
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

/// The public part of a key, if the whole is shaped like one, and the environment that it is for; `None` for a
/// key that an earlier version issued.
pub(crate) fn key_id(key: &str) -> Option<(&str, Option<Environment>)> {
    let (id, secret) = key.split_once('.')?;
    let (name, environment) = [
        (TEST_PREFIX, Some(Environment::Test)),
        (LIVE_PREFIX, Some(Environment::Live)),
        (EARLIER_PREFIX, None),
    ]
    .into_iter()
    .find_map(|(prefix, environment)| Some((id.strip_prefix(prefix)?, environment)))?;
    let is_hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_key = name.len() == 2 * KEY_ID_BYTES
        && name.bytes().all(is_hexadecimal)
        && secret.len() == SECRET_LENGTH
        && secret.bytes().all(is_base64url);
    is_key.then_some((id, environment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shaped_as_documented() {
        let pepper = Pepper::new(&[1; 32]);
        let key = NewApiKey::generate(&pepper, Environment::Live, &Random::SYSTEM).unwrap();
        assert!(key.id.starts_with("sk_live_"), "{key:?}");
        assert_eq!((key.id.len(), key.text.len()), (24, 68));
        let live = Some(Environment::Live);
        assert_eq!(key_id(&key.text), Some((&*key.id, live)));
        let test = NewApiKey::generate(&pepper, Environment::Test, &Random::SYSTEM).unwrap();
        assert!(test.id.starts_with("sk_test_"), "{test:?}");
        assert_eq!(key_id(&test.text).unwrap().1, Some(Environment::Test));
        let earlier = key.text.replace("sk_live_", "pk_");
        assert_eq!(key_id(&earlier), Some((&earlier[..19], None)));
        for prefix in ["", "sk_", "sk_prod_", "pk_test_", "SK_LIVE_"] {
            assert_eq!(
                key_id(&key.text.replace("sk_live_", prefix)),
                None,
                "{prefix}"
            );
        }
        let shown = format!("{key:?}");
        assert!(shown.contains(&key.id));
        assert!(!shown.contains(&key.text[key.id.len()..]), "{shown}");
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
        assert_eq!(hex::decode_lower(&record.secret_hmac_hex), Some(key.digest));
    }
}
