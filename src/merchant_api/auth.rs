//! Who is calling: one merchant, by API key or by client certificate.
//!
//! An API key is `pk_<id>.<secret>`: 16 hexadecimal digits that name it, and 256 random bits in
//! base64url. The store keeps HMAC-SHA256 of the whole text under a pepper that is kept elsewhere, so
//! that a copy of the database lets nobody in. A client certificate names its merchant in exactly one
//! subject alternative name of the form `payswitch://merchant/<merchant_id>`. When both are given they
//! must be of the same merchant.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use moka::sync::Cache;
use ring::hmac;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::connection::{CertificateIdentity, ConnectionHandle};
use super::records::{KnownApiKey, MerchantDirectory, RecordsUnavailable};
use crate::clock::{self, NoEntropy};
use crate::payment::ids::MerchantId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::store::records::ApiKeyRecord;

/// How long what the store said of a key or a merchant is believed: a revoked key works this long.
const BELIEVED_FOR: Duration = Duration::from_secs(10);
/// Keys and merchants that are remembered at most.
const REMEMBERED: u64 = 10_000;
/// Look-ups at the store at once; more callers wait, and find the answer remembered, or that the store
/// can't answer.
const LOOK_UPS: usize = 4;
/// How long finding out who is calling may take, from the call's arrival, waiting for a turn included.
/// A call that a bank can still be asked for must not spend its time here.
const AUTHENTICATE_WITHIN: Duration = Duration::from_secs(1);

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

    fn digest(&self, key: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.0, key.as_bytes());
        let mut digest = [0; 32];
        for (to, from) in digest.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        digest
    }

    fn matches(&self, key: &str, digest: &[u8; 32]) -> bool {
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
    pub fn generate(pepper: &Pepper) -> Result<Self, NoEntropy> {
        let name = u64::from_be_bytes(clock::random_bytes::<KEY_ID_BYTES>()?);
        let id = format!("{KEY_PREFIX}{name:016x}");
        let secret = Zeroizing::new(clock::random_bytes::<SECRET_BYTES>()?);
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
            secret_hmac_hex: self
                .digest
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            label: label.to_owned(),
            created_at,
            revoked_at: None,
        }
    }
}

/// Why a call is not let in. None of them says whether a key or a merchant exists.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Refused {
    /// Neither a key nor a certificate.
    #[error(
        "expected an API key in the header `authorization: Bearer pk_<id>.<secret>`, or a client \
         certificate; got neither"
    )]
    NoCredentials,
    /// A key that is malformed, unknown, revoked or wrong.
    #[error(
        "the API key is not valid; expected `authorization: Bearer pk_<id>.<secret>` with a key of \
         this environment"
    )]
    BadKey,
    /// A trusted certificate that maps to no merchant.
    #[error(
        "the client certificate is of no merchant; expected exactly one subject alternative name \
         `payswitch://merchant/<merchant_id>` of a known merchant"
    )]
    BadCertificate,
    /// A key of one merchant over a connection of another.
    #[error("the API key and the client certificate are of different merchants")]
    Disagree,
    /// The store can't answer.
    #[error(transparent)]
    Unavailable(#[from] RecordsUnavailable),
}

/// The merchant that is calling.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// Who it is.
    pub(super) merchant: Arc<Merchant>,
}

/// Finds out who is calling, mostly from memory.
pub(super) struct Authenticator {
    directory: Arc<dyn MerchantDirectory>,
    pepper: Pepper,
    keys: Cache<String, Option<KnownApiKey>>,
    merchants: Cache<MerchantId, Option<Arc<Merchant>>>,
    look_ups: Semaphore,
    /// Look-ups that failed so far.
    failures: AtomicU64,
}

impl Authenticator {
    pub(super) fn new(directory: Arc<dyn MerchantDirectory>, pepper: Pepper) -> Self {
        Self {
            directory,
            pepper,
            keys: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(BELIEVED_FOR)
                .build(),
            merchants: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(BELIEVED_FOR)
                .build(),
            look_ups: Semaphore::new(LOOK_UPS),
            failures: AtomicU64::new(0),
        }
    }

    /// Who is calling, found out within [`AUTHENTICATE_WITHIN`] of the call's arrival.
    pub(super) async fn authenticate(
        &self,
        headers: &HeaderMap,
        connection: &ConnectionHandle,
        received_at: Instant,
    ) -> Result<Caller, Refused> {
        let deadline = received_at + AUTHENTICATE_WITHIN;
        match timeout_at(deadline, self.find_caller(headers, connection)).await {
            Ok(found) => found,
            Err(_) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                let reason = format!("no answer within {AUTHENTICATE_WITHIN:?}");
                Err(RecordsUnavailable { reason }.into())
            }
        }
    }

    async fn find_caller(
        &self,
        headers: &HeaderMap,
        connection: &ConnectionHandle,
    ) -> Result<Caller, Refused> {
        let by_key = match presented_key(headers)? {
            Some(key) => Some((key, self.merchant_of_key(key).await?)),
            None => None,
        };
        let by_certificate = match connection.certificate() {
            CertificateIdentity::None => None,
            CertificateIdentity::NoMerchant => return Err(Refused::BadCertificate),
            CertificateIdentity::Merchant(id) => Some(self.merchant_of_certificate(id).await?),
        };
        match (by_key, by_certificate) {
            (Some((_, of_key)), Some(of_certificate)) if of_key.id != of_certificate.id => {
                Err(Refused::Disagree)
            }
            (Some((key, merchant)), _) => {
                // Only a call that is let in says whose connection it is.
                connection.identify(&merchant.id, key_id(key).unwrap_or_default());
                Ok(Caller { merchant })
            }
            (None, Some(merchant)) => Ok(Caller { merchant }),
            (None, None) => Err(Refused::NoCredentials),
        }
    }

    async fn merchant_of_key(&self, key: &str) -> Result<Arc<Merchant>, Refused> {
        let id = key_id(key).ok_or(Refused::BadKey)?;
        let known = match self.keys.get(id) {
            Some(known) => known,
            None => self.look_up_key(id).await?,
        };
        // An unknown key costs what a wrong one does.
        let digest = known.as_ref().map_or([0; 32], |known| known.digest);
        let matches = self.pepper.matches(key, &digest);
        match known {
            Some(known) if matches => Ok(known.merchant),
            _ => Err(Refused::BadKey),
        }
    }

    async fn look_up_key(&self, id: &str) -> Result<Option<KnownApiKey>, RecordsUnavailable> {
        let remembered = || self.keys.get(id);
        let known = self.look_up(remembered, self.directory.api_key(id)).await?;
        self.keys.insert(id.to_owned(), known.clone());
        Ok(known)
    }

    /// Waits for a turn and asks the store, unless somebody asked meanwhile. When a look-up fails, those
    /// that were waiting then fail with it: they would only ask the same store again, a few at a time.
    async fn look_up<T>(
        &self,
        remembered: impl Fn() -> Option<T>,
        ask: impl Future<Output = Result<T, RecordsUnavailable>>,
    ) -> Result<T, RecordsUnavailable> {
        let failures = self.failures.load(Ordering::Relaxed);
        // The semaphore is never closed; without a permit the look-up is merely not bounded.
        let _turn = self.look_ups.acquire().await.ok();
        if let Some(known) = remembered() {
            return Ok(known);
        }
        if self.failures.load(Ordering::Relaxed) != failures {
            let reason = "a look-up that this one waited for failed".to_owned();
            return Err(RecordsUnavailable { reason });
        }
        ask.await.inspect_err(|_| {
            self.failures.fetch_add(1, Ordering::Relaxed);
        })
    }

    async fn merchant_of_certificate(&self, id: &MerchantId) -> Result<Arc<Merchant>, Refused> {
        let known = match self.merchants.get(id) {
            Some(known) => known,
            None => self.look_up_merchant(id).await?,
        };
        known.ok_or(Refused::BadCertificate)
    }

    async fn look_up_merchant(
        &self,
        id: &MerchantId,
    ) -> Result<Option<Arc<Merchant>>, RecordsUnavailable> {
        let remembered = || self.merchants.get(id);
        let known = self
            .look_up(remembered, self.directory.merchant(id))
            .await?;
        self.merchants.insert(*id, known.clone());
        Ok(known)
    }
}

/// The key in the `authorization` header, if there is the header.
fn presented_key(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Refused::BadKey);
    }
    let (scheme, key) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .ok_or(Refused::BadKey)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Some(key.trim()))
    } else {
        Err(Refused::BadKey)
    }
}

/// The public part of a key, if the whole is shaped like one.
fn key_id(key: &str) -> Option<&str> {
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
mod tests;
