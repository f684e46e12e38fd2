//! Who is calling: one merchant, by API key or by client certificate.
//!
//! A client certificate names its merchant in exactly one subject alternative name of the form
//! `payswitch://merchant/<merchant_id>`. When a key and a certificate are given they must be of the same merchant.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use moka::sync::Cache;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};
use tracing::error;

use super::api_key::{Pepper, key_id};
use super::connection::{CertificateIdentity, ConnectionHandle};
use crate::merchant_api::records::{KnownApiKey, MerchantDirectory, RecordsUnavailable};
use crate::merchant_api::show::status::{ErrorAnswer, store_unavailable};
use crate::payment::ids::MerchantId;
use crate::payment::merchant::Merchant;

/// How long a key or a merchant that was looked up is used before the store is asked again. A revoked key
/// works this long.
const CACHE_TTL: Duration = Duration::from_secs(10);
/// Keys that are cached at most; merchants likewise.
const CACHE_CAPACITY: u64 = 10_000;
/// Look-ups at the store at once; more callers wait, and then find the answer in the cache, or that the store
/// can't answer.
const LOOK_UPS: usize = 4;
/// How long authentication may take, from the call's arrival, waiting for a turn included. A payment must not
/// spend here the time that its bank needs.
const AUTHENTICATE_WITHIN: Duration = Duration::from_secs(1);

/// Why a call is refused. None of the texts says whether a key or a merchant exists.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Refused {
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

impl Refused {
    /// What the caller is told.
    pub(crate) fn status(&self) -> Status {
        let (code, reason) = match self {
            Refused::NoCredentials => (Code::Unauthenticated, "CREDENTIALS_MISSING"),
            Refused::BadKey => (Code::Unauthenticated, "API_KEY_REFUSED"),
            Refused::BadCertificate => (Code::Unauthenticated, "CLIENT_CERTIFICATE_REFUSED"),
            Refused::Disagree => (Code::Unauthenticated, "CREDENTIALS_DISAGREE"),
            Refused::Unavailable(why) => {
                error!(error = %why, "a caller could not be looked up");
                return store_unavailable();
            }
        };
        ErrorAnswer::not_sent(code, reason, self.to_string()).into_status()
    }
}

/// The merchant that is calling.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Who it is.
    pub(crate) merchant: Arc<Merchant>,
}

/// Finds out who is calling, mostly from its cache.
pub(crate) struct Authenticator {
    directory: Arc<dyn MerchantDirectory>,
    pepper: Pepper,
    keys: Cache<String, Option<KnownApiKey>>,
    merchants: Cache<MerchantId, Option<Arc<Merchant>>>,
    look_ups: Semaphore,
    /// Look-ups that failed so far.
    failures: AtomicU64,
}

impl Authenticator {
    pub(crate) fn new(directory: Arc<dyn MerchantDirectory>, pepper: Pepper) -> Self {
        Self {
            directory,
            pepper,
            keys: Cache::builder()
                .max_capacity(CACHE_CAPACITY)
                .time_to_live(CACHE_TTL)
                .build(),
            merchants: Cache::builder()
                .max_capacity(CACHE_CAPACITY)
                .time_to_live(CACHE_TTL)
                .build(),
            look_ups: Semaphore::new(LOOK_UPS),
            failures: AtomicU64::new(0),
        }
    }

    /// Who is calling, found out within [`AUTHENTICATE_WITHIN`] of the call's arrival.
    pub(crate) async fn authenticate(
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
                // Only an accepted call says whose connection it is.
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
        let cached = || self.keys.get(id);
        let known = self.look_up(cached, self.directory.api_key(id)).await?;
        self.keys.insert(id.to_owned(), known.clone());
        Ok(known)
    }

    /// Waits for a turn and asks the store, unless another call asked meanwhile. When a look-up fails, the
    /// calls that wait for a turn fail too: they would only ask the same store again, a few at a time.
    async fn look_up<T>(
        &self,
        cached: impl Fn() -> Option<T>,
        ask: impl Future<Output = Result<T, RecordsUnavailable>>,
    ) -> Result<T, RecordsUnavailable> {
        let failures = self.failures.load(Ordering::Relaxed);
        // The semaphore is never closed; without a permit the look-up is merely not bounded.
        let _turn = self.look_ups.acquire().await.ok();
        if let Some(known) = cached() {
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
        let cached = || self.merchants.get(id);
        let known = self.look_up(cached, self.directory.merchant(id)).await?;
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

#[cfg(test)]
mod tests;
