//! Who is calling: one merchant, by API key or by client certificate.
//!
//! A client certificate names its merchant in exactly one subject alternative name of the form
//! `payswitch://merchant/<merchant_id>`. When a key and a certificate are given they must be of the same merchant.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};
use tracing::error;

use super::api_key::{Pepper, key_id};
use super::known_callers::{InMemory, Known};
use crate::config::environment::Environment;
use crate::grpc::connection::ConnectionHandle;
use crate::grpc::records::RecordsUnavailable;
use crate::grpc::status::{ErrorAnswer, overloaded, store_unavailable};
use crate::grpc::tls::{CertificateIdentity, Party};
use crate::merchant_api::records::{KnownApiKey, MerchantDirectory};
use crate::metrics::Metrics;
use crate::payment::ids::MerchantId;
use crate::payment::merchant::Merchant;
use crate::shares::Shares;
use crate::telemetry::Repeated;

/// Calls at once whose callers have to be looked up, shared by the addresses that they come from. More are refused:
/// a caller who was known a moment ago is none of them.
const UNIDENTIFIED_CALLS: usize = 64;
/// How long authentication may take, from the call's arrival, waiting for a turn included. A payment must not
/// spend here the time that its bank needs.
const AUTHENTICATE_WITHIN: Duration = Duration::from_secs(1);

static NOT_LOOKED_UP: Repeated = Repeated::new();

/// Why a call is refused. None of the texts says whether a key or a merchant exists.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Refused {
    /// Neither a key nor a certificate.
    #[error(
        "expected an API key in the header `authorization: Bearer sk_live_<id>.<secret>`, or a client \
         certificate; got neither"
    )]
    NoCredentials,
    /// A key that is malformed, unknown, revoked or wrong.
    #[error(
        "the API key is not valid; expected `authorization: Bearer sk_live_<id>.<secret>`, or \
         sk_test_ in a test environment"
    )]
    BadKey,
    /// A key of a test environment elsewhere, or the reverse.
    #[error(
        "the API key is of another environment: keys that begin with sk_test_ work in test environments, \
         sk_live_ elsewhere"
    )]
    OtherEnvironment,
    /// A trusted certificate that maps to no merchant.
    #[error(
        "the client certificate is of no merchant; expected exactly one subject alternative name \
         `payswitch://merchant/<merchant_id>` of a known merchant"
    )]
    BadCertificate,
    /// A key of one merchant over a connection of another.
    #[error("the API key and the client certificate are of different merchants")]
    Disagree,
    /// Too many callers that are not known yet, from this address or from all.
    #[error("too many callers that are not known yet")]
    Overloaded,
    /// The store can't answer.
    #[error(transparent)]
    Unavailable(#[from] RecordsUnavailable),
}

impl Refused {
    /// What the caller is told.
    pub(crate) fn status(&self) -> Status {
        let (code, reason) = match self {
            Refused::NoCredentials => (Code::Unauthenticated, "CREDENTIALS_MISSING"),
            Refused::BadKey | Refused::OtherEnvironment => {
                (Code::Unauthenticated, "API_KEY_REFUSED")
            }
            Refused::BadCertificate => (Code::Unauthenticated, "CLIENT_CERTIFICATE_REFUSED"),
            Refused::Disagree => (Code::Unauthenticated, "CREDENTIALS_DISAGREE"),
            Refused::Overloaded => return overloaded(),
            Refused::Unavailable(why) => {
                if let Some(times) = NOT_LOOKED_UP.now() {
                    error!(error = %why, times, "A caller could not be looked up");
                }
                return store_unavailable();
            }
        };
        ErrorAnswer::not_sent(code, reason, self.to_string()).into_status()
    }
}

impl Party for MerchantId {
    const URI_PREFIX: &'static str = "payswitch://merchant/";
    const KIND: &'static str = "";
}

/// The merchant that is calling.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Who it is.
    pub(crate) merchant: Arc<Merchant>,
}

/// Who is calling, as far as it is known without asking the store.
pub(crate) enum Remembered {
    /// All that has to be known is known.
    Now(Result<Caller, Refused>),
    /// One that was let in a moment ago; the store has to be asked whether it still is.
    Before,
    /// Nothing.
    Nothing,
}

/// Finds out who is calling.
pub(crate) struct Authenticator {
    directories: Directories,
    pepper: Pepper,
    environment: Environment,
    keys: Known<String, KnownApiKey>,
    merchants: Known<MerchantId, Arc<Merchant>>,
    unidentified: Shares<IpAddr>,
}

/// Where callers are looked up.
pub(crate) struct Directories {
    /// Those who were known a moment ago.
    pub(crate) known: Arc<dyn MerchantDirectory>,
    /// The others. Anybody can make them up, so that their look-ups have a lane of their own.
    pub(crate) unknown: Arc<dyn MerchantDirectory>,
}

impl Directories {
    fn of(&self, is_unknown: bool) -> &dyn MerchantDirectory {
        let Self { known, unknown } = self;
        (if is_unknown { unknown } else { known }).as_ref()
    }
}

/// What a caller shows.
struct Credentials<'a> {
    /// An API key: the whole, and its public part.
    key: Option<(&'a str, String)>,
    /// The merchant that its certificate names.
    certificate: Option<MerchantId>,
}

impl Authenticator {
    pub(crate) fn new(
        directories: Directories,
        pepper: Pepper,
        environment: Environment,
        metrics: &Metrics,
    ) -> Self {
        Self {
            directories,
            pepper,
            environment,
            keys: Known::new(),
            merchants: Known::new(),
            unidentified: Shares::new(UNIDENTIFIED_CALLS, metrics.bound("look_ups")),
        }
    }

    /// Who is calling now, as far as it is known without asking the store.
    pub(crate) fn caller_in_memory(
        &self,
        headers: &HeaderMap,
        connection: &ConnectionHandle<MerchantId>,
        now: Instant,
    ) -> Remembered {
        let credentials = match self.credentials(headers, connection) {
            Ok(credentials) => credentials,
            Err(refused) => return Remembered::Now(Err(refused)),
        };
        let mut is_stale = false;
        let by_key = match &credentials.key {
            None => None,
            Some((_, id)) => match self.keys.get(id, now).known(&mut is_stale) {
                Some(known) => Some(known),
                None => return Remembered::Nothing,
            },
        };
        let by_certificate = match &credentials.certificate {
            None => None,
            Some(id) => match self.merchants.get(id, now).known(&mut is_stale) {
                Some(known) => Some(known),
                None => return Remembered::Nothing,
            },
        };
        match self.judge(&credentials, by_key, by_certificate) {
            // What was wrong a moment ago may be right by now.
            Err(_) if is_stale => Remembered::Nothing,
            Ok(_) if is_stale => Remembered::Before,
            judged => {
                Remembered::Now(judged.map(|merchant| accept(&credentials, merchant, connection)))
            }
        }
    }

    /// Who is calling, found out within [`AUTHENTICATE_WITHIN`] of the call's arrival.
    pub(crate) async fn authenticate(
        &self,
        headers: &HeaderMap,
        connection: &ConnectionHandle<MerchantId>,
        received_at: Instant,
    ) -> Result<Caller, Refused> {
        let deadline = received_at + AUTHENTICATE_WITHIN;
        match timeout_at(deadline, self.look_up(headers, connection)).await {
            Ok(found) => found,
            Err(_) => {
                let reason = format!("no answer within {AUTHENTICATE_WITHIN:?}");
                Err(RecordsUnavailable { reason }.into())
            }
        }
    }

    async fn look_up(
        &self,
        headers: &HeaderMap,
        connection: &ConnectionHandle<MerchantId>,
    ) -> Result<Caller, Refused> {
        let credentials = self.credentials(headers, connection)?;
        let now = Instant::now();
        let new_key = credentials
            .key
            .as_ref()
            .is_some_and(|(_, id)| matches!(self.keys.get(id, now), InMemory::Nothing));
        let new_merchant = credentials
            .certificate
            .as_ref()
            .is_some_and(|id| matches!(self.merchants.get(id, now), InMemory::Nothing));
        let _place = if new_key || new_merchant {
            let place = self.unidentified.take(&connection.share());
            Some(place.ok_or(Refused::Overloaded)?)
        } else {
            None
        };
        let by_key = match &credentials.key {
            None => None,
            Some((_, id)) => {
                let ask = self.directories.of(new_key).api_key(id);
                Some(self.keys.find(id, ask).await?)
            }
        };
        let by_certificate = match &credentials.certificate {
            None => None,
            Some(id) => {
                let ask = self.directories.of(new_merchant).merchant(id);
                Some(self.merchants.find(id, ask).await?)
            }
        };
        let merchant = self.judge(&credentials, by_key, by_certificate)?;
        Ok(accept(&credentials, merchant, connection))
    }

    fn credentials<'a>(
        &self,
        headers: &'a HeaderMap,
        connection: &ConnectionHandle<MerchantId>,
    ) -> Result<Credentials<'a>, Refused> {
        let key = match presented_key(headers)? {
            None => None,
            Some(key) => {
                let (id, environment) = key_id(key).ok_or(Refused::BadKey)?;
                if environment.is_some_and(|environment| environment != self.environment) {
                    return Err(Refused::OtherEnvironment);
                }
                Some((key, id.to_owned()))
            }
        };
        let certificate = match connection.certificate() {
            CertificateIdentity::None => None,
            CertificateIdentity::Unnamed => return Err(Refused::BadCertificate),
            CertificateIdentity::Named(id) => Some(*id),
        };
        if key.is_none() && certificate.is_none() {
            return Err(Refused::NoCredentials);
        }
        Ok(Credentials { key, certificate })
    }

    /// Decides by what is known of the credentials; the inner `None` is one that the store does not know.
    fn judge(
        &self,
        credentials: &Credentials<'_>,
        by_key: Option<Option<KnownApiKey>>,
        by_certificate: Option<Option<Arc<Merchant>>>,
    ) -> Result<Arc<Merchant>, Refused> {
        let by_key = match (&credentials.key, by_key) {
            (Some((key, _)), known) => {
                let known = known.flatten();
                // An unknown key costs what a wrong one does.
                let digest = known.as_ref().map_or([0; 32], |known| known.digest);
                let matches = self.pepper.matches(key, &digest);
                let known = known.filter(|_| matches).ok_or(Refused::BadKey)?;
                Some(known.merchant)
            }
            (None, _) => None,
        };
        let by_certificate = match by_certificate {
            Some(known) => Some(known.ok_or(Refused::BadCertificate)?),
            None => None,
        };
        match (by_key, by_certificate) {
            (Some(of_key), Some(of_certificate)) if of_key.id != of_certificate.id => {
                Err(Refused::Disagree)
            }
            (Some(merchant), _) | (None, Some(merchant)) => Ok(merchant),
            (None, None) => Err(Refused::NoCredentials),
        }
    }
}

/// Lets a caller in. Only an accepted call says whose connection it is.
fn accept(
    credentials: &Credentials<'_>,
    merchant: Arc<Merchant>,
    connection: &ConnectionHandle<MerchantId>,
) -> Caller {
    match &credentials.key {
        Some((_, id)) => connection.identify(&merchant.id, format_args!("{} by {id}", merchant.id)),
        None => connection.identify(&merchant.id, format_args!("{}", merchant.id)),
    }
    Caller { merchant }
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
