//! The acquirer's link to one issuer: what is queued for it, what is in flight on it, and the answers.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use iso8583::Framing;
use rustls_pki_types::ServerName;
use tokio::sync::{mpsc, watch};

use super::in_flight::InFlight;
use crate::{
    clock::Clock,
    codec::WireCodec,
    config::HostRules,
    counters::{Counters, HostCounters},
    message::{BankMessage, ECHOED_DES},
    net::Net,
    response_code::ResponseCode,
    settlement::Settlement,
};

/// How many requests may wait to be written; further ones are answered with 91.
const MAX_QUEUED_REQUESTS: usize = 16_384;
/// The data elements that the answer to the switch takes from the issuer's, besides DE 39.
const RELAYED_DES: &[u8] = &[4, 38, 44, 48, 54, 55];
/// What an answer of NPS takes: its DE 48 is laid out in another way.
const RELAYED_DES_NPS: &[u8] = &[4, 38, 44, 54, 55];

/// Everything a link needs to know.
#[derive(Debug)]
pub(crate) struct LinkSettings {
    pub(crate) host: Arc<str>,
    pub(crate) issuer: Arc<str>,
    pub(crate) bins: Vec<String>,
    pub(crate) institution_id: String,
    pub(crate) issuer_timeout: Duration,
    pub(crate) echo_idle: Option<Duration>,
    pub(crate) echo_card_number: bool,
    /// Where approvals are booked.
    pub(crate) settlement: Arc<Settlement>,
    /// `None` for a link that is down for good.
    pub(crate) target: Option<LinkTarget>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) net: Net,
}

/// Where a link leads, and what is spoken on it.
pub(crate) struct LinkTarget {
    pub(crate) address: SocketAddr,
    pub(crate) server_name: ServerName<'static>,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    pub(crate) codec: WireCodec,
    pub(crate) framing: Framing,
}

impl fmt::Debug for LinkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkTarget")
            .field("address", &self.address)
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// A request on its way to an issuer.
pub(crate) struct Forward {
    /// As it goes on the link.
    pub(crate) message: BankMessage,
    /// As the switch sent it.
    pub(crate) request: BankMessage,
    /// The connection it came on.
    pub(crate) replies: mpsc::Sender<BankMessage>,
}

/// A link, whether it is up or not.
#[derive(Debug)]
pub(crate) struct Link {
    pub(super) settings: LinkSettings,
    /// Whether the link is signed on.
    pub(super) ready: watch::Sender<bool>,
    queue: mpsc::Sender<Forward>,
    /// Taken by the task that keeps the link up.
    pub(super) queued: tokio::sync::Mutex<mpsc::Receiver<Forward>>,
    in_flight: Mutex<InFlight>,
    last_stan: AtomicU32,
    pub(super) counters: Counters,
}

impl Link {
    pub(crate) fn new(settings: LinkSettings) -> Self {
        let (queue, queued) = mpsc::channel(MAX_QUEUED_REQUESTS);
        Self {
            in_flight: Mutex::new(InFlight::new(settings.issuer_timeout)),
            settings,
            ready: watch::Sender::new(false),
            queue,
            queued: tokio::sync::Mutex::new(queued),
            last_stan: AtomicU32::new(0),
            counters: Counters::default(),
        }
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    pub(crate) fn bins(&self) -> &[String] {
        &self.settings.bins
    }

    pub(crate) fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Whether it leads anywhere.
    pub(crate) fn has_target(&self) -> bool {
        self.settings.target.is_some()
    }

    pub(crate) fn readiness(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    pub(crate) fn counters(&self) -> HostCounters {
        self.counters.snapshot()
    }

    /// The next STAN on this link, 000001 to 999999 and round again.
    pub(crate) fn next_stan(&self) -> [u8; 6] {
        let number = self.last_stan.fetch_add(1, Ordering::Relaxed) % 999_999 + 1;
        format!("{number:06}")
            .as_bytes()
            .try_into()
            .unwrap_or(*b"000001")
    }

    /// Queues a request for the line, or gives it back when it finds no room.
    pub(crate) fn forward(&self, forward: Forward) -> Result<(), Box<Forward>> {
        if self.in_flight().is_full() {
            return Err(Box::new(forward));
        }
        self.queue
            .try_send(forward)
            .map_err(|error| Box::new(error.into_inner()))
    }

    pub(super) fn in_flight(&self) -> MutexGuard<'_, InFlight> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers 30 for a request that the issuer's dialect cannot encode; it would never be answered.
    pub(super) fn refuse_unencodable(&self, message: &BankMessage, reason: &str) {
        tracing::error!(
            host.id = %self.settings.host,
            issuer = %self.settings.issuer,
            mti = %message.mti(),
            stan = message.text(11).unwrap_or("?"),
            reason,
            "a message cannot be encoded in the issuer's dialect and is not sent"
        );
        let waiting = self.in_flight().take_unsent(message);
        if let Some(waiting) = waiting {
            self.answer(
                &waiting.request,
                &waiting.replies,
                ResponseCode::FORMAT_ERROR,
                None,
            );
        }
    }

    /// Hands an answer to the connection that the request came on.
    pub(super) fn answer(
        &self,
        request: &BankMessage,
        replies: &mpsc::Sender<BankMessage>,
        code: ResponseCode,
        issuers: Option<&BankMessage>,
    ) {
        let Some(mut answer) = request.answer(ECHOED_DES, code) else {
            return;
        };
        if self.settings.echo_card_number
            && let Some(card_number) = request.get(2)
        {
            answer.set(2, card_number);
        }
        if let Some(issuers) = issuers {
            let relayed = match self.settings.settlement.rules() {
                HostRules::Standard => RELAYED_DES,
                HostRules::Nps => RELAYED_DES_NPS,
            };
            for de in relayed {
                if let Some(value) = issuers.get(*de) {
                    answer.set(*de, value);
                }
            }
            if code.is_approved() {
                let settlement = &self.settings.settlement;
                settlement.approved(request, issuers, &mut answer);
            }
        }
        if replies.try_send(answer).is_err() {
            tracing::warn!(
                host.id = %self.settings.host,
                stan = request.text(11).unwrap_or("?"),
                "an answer is lost, its line is gone or does not read"
            );
        }
    }
}
