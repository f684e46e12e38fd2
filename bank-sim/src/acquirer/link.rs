//! The acquirer's link to one issuer: connects, signs on, forwards, relays, reconnects.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use iso8583::Framing;
use rustls_pki_types::ServerName;
use thiserror::Error;
use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{in_flight::InFlight, session::Session};
use crate::{
    clock::Clock,
    counters::{Counters, HostCounters},
    iso8583_rs_codec::CodecError,
    message::{BankMessage, ECHOED_DES},
    response_code::ResponseCode,
    tap::Tap,
    wire::{LineError, WireCodec},
};

/// How many requests may wait to be written; further ones are answered with 91.
const MAX_QUEUED_REQUESTS: usize = 16_384;
/// How long connecting, and the TLS handshake with it, may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long an issuer may take to answer a sign-on.
const SIGN_ON_LIMIT: Duration = Duration::from_secs(5);
/// Between attempts to connect; doubles up to the maximum, and starts again once signed on.
const MIN_BACK_OFF: Duration = Duration::from_millis(50);
const MAX_BACK_OFF: Duration = Duration::from_secs(2);
/// How often expired requests are looked for.
const EXPIRY_TICK: Duration = Duration::from_millis(50);
/// What the answer to the switch takes over from the issuer's, besides DE 39.
const RELAYED_DES: &[u8] = &[38, 44, 54, 55];

/// Everything a link needs to know.
#[derive(Debug)]
pub(crate) struct LinkSettings {
    pub(crate) host: Arc<str>,
    pub(crate) issuer: Arc<str>,
    pub(crate) bins: Vec<String>,
    pub(crate) institution_id: String,
    pub(crate) issuer_timeout: Duration,
    pub(crate) echo_idle: Option<Duration>,
    /// `None` for a link that is down for good.
    pub(crate) target: Option<LinkTarget>,
    pub(crate) tap: Tap,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Where a link leads, and what is spoken on it.
pub(crate) struct LinkTarget {
    pub(crate) address: SocketAddr,
    pub(crate) server_name: ServerName<'static>,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    pub(crate) codec: WireCodec,
    pub(crate) dialect_name: Arc<str>,
    pub(crate) framing: Framing,
}

impl fmt::Debug for LinkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkTarget")
            .field("address", &self.address)
            .field("server_name", &self.server_name)
            .field("dialect", &self.dialect_name)
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
    ready: watch::Sender<bool>,
    queue: mpsc::Sender<Forward>,
    /// Taken by whoever runs the link.
    queued: tokio::sync::Mutex<mpsc::Receiver<Forward>>,
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

    /// Keeps the link up until told to stop.
    pub(crate) async fn run(&self, mut stop: watch::Receiver<bool>) {
        let Some(target) = &self.settings.target else {
            return;
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.keep_up(target) => {}
            () = self.expire() => {}
        }
        self.ready.send_replace(false);
        self.in_flight().clear();
    }

    async fn keep_up(&self, target: &LinkTarget) {
        let mut queued = self.queued.lock().await;
        let mut back_off = MIN_BACK_OFF;
        loop {
            let Err(end) = self.live(target, &mut queued).await;
            if self.ready.send_replace(false) {
                back_off = MIN_BACK_OFF;
            }
            tracing::warn!(
                host.id = %self.settings.host,
                issuer = %self.settings.issuer,
                error = %end,
                "the link to an issuer is down"
            );
            self.refuse_queued(&mut queued);
            sleep(back_off).await;
            back_off = (back_off * 2).min(MAX_BACK_OFF);
        }
    }

    /// Answers 91 for what is queued: it was never sent, so its answer is certain. Also done before the
    /// link is ready again, because a request may have slipped in while it went down, and must not
    /// reach the issuer when nobody expects it any more.
    fn refuse_queued(&self, queued: &mut mpsc::Receiver<Forward>) {
        while let Ok(forward) = queued.try_recv() {
            self.answer(
                &forward.request,
                &forward.replies,
                ResponseCode::INOPERATIVE,
                None,
            );
        }
    }

    /// Answers 91 for what the issuer has not answered in time, whether the link is up or not: a
    /// request that was on the line when it broke may have been approved, so nothing is said earlier.
    async fn expire(&self) {
        let mut ticks = interval(EXPIRY_TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let expired = self.in_flight().take_expired(Instant::now());
            for waiting in expired {
                self.answer(
                    &waiting.request,
                    &waiting.replies,
                    ResponseCode::INOPERATIVE,
                    None,
                );
            }
        }
    }

    /// One connection, from connecting to its end.
    async fn live(
        &self,
        target: &LinkTarget,
        queued: &mut mpsc::Receiver<Forward>,
    ) -> Result<std::convert::Infallible, LinkEnd> {
        let stream = timeout(CONNECT_LIMIT, connect(target))
            .await
            .map_err(|_| LinkEnd::TooSlow)??;
        let mut session = Session::new(self, target, stream);
        timeout(SIGN_ON_LIMIT, session.sign_on())
            .await
            .map_err(|_| LinkEnd::SignOnTooSlow)??;
        tracing::info!(
            host.id = %self.settings.host,
            issuer = %self.settings.issuer,
            "the link to an issuer is up and signed on"
        );
        self.refuse_queued(queued);
        self.ready.send_replace(true);
        loop {
            session.step(queued).await?;
        }
    }

    /// Answers 30 for a request that the issuer's dialect cannot say, so that nobody waits for it.
    pub(super) fn refuse_unsayable(&self, message: &BankMessage, reason: &str) {
        tracing::error!(
            host.id = %self.settings.host,
            issuer = %self.settings.issuer,
            mti = %message.mti(),
            stan = message.text(11).unwrap_or("?"),
            reason,
            "a message cannot be said in the issuer's dialect and is not sent"
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
        for de in RELAYED_DES {
            if let Some(value) = issuers.and_then(|issuers| issuers.get(*de)) {
                answer.set(*de, value);
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

/// Why a link went down.
#[derive(Debug, Error)]
pub(super) enum LinkEnd {
    #[error("connecting took longer than {} s", CONNECT_LIMIT.as_secs())]
    TooSlow,
    #[error("connecting failed: {0}")]
    Connect(#[from] io::Error),
    #[error("the issuer took longer than {} s to answer the sign-on", SIGN_ON_LIMIT.as_secs())]
    SignOnTooSlow,
    #[error("the issuer refused the sign-on with {code}")]
    SignOnRefused { code: String },
    #[error("{0}")]
    Line(#[from] LineError),
    #[error("{0}")]
    Codec(#[from] CodecError),
    #[error("the issuer sent what is no message: {reason}")]
    Unreadable { reason: String },
}

async fn connect(target: &LinkTarget) -> Result<TlsStream<TcpStream>, io::Error> {
    let stream = TcpStream::connect(target.address).await?;
    stream.set_nodelay(true)?;
    let connector = TlsConnector::from(Arc::clone(&target.tls));
    connector.connect(target.server_name.clone(), stream).await
}
