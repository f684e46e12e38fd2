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

use iso8583::{Framing, Mti};
use rustls_pki_types::ServerName;
use thiserror::Error;
use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::in_flight::{InFlight, is_network};
use crate::{
    clock::{Clock, transmission_date_time},
    counters::{Counters, HostCounters},
    iso8583_rs_codec::CodecError,
    message::{BankMessage, ECHOED_DES, ECHOED_NETWORK_DES},
    network,
    response_code::ResponseCode,
    tap::{Direction, Tap, TappedLine},
    wire::{Line, LineError, WireCodec},
};

/// How many requests may wait to be written; further ones are answered with 91.
const MAX_QUEUED_REQUESTS: usize = 16_384;
/// How many requests or answers are handled before the line is looked at again.
const MESSAGES_AT_A_TIME: usize = 256;
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
    settings: LinkSettings,
    ready: watch::Sender<bool>,
    queue: mpsc::Sender<Forward>,
    /// Taken by whoever runs the link.
    queued: tokio::sync::Mutex<mpsc::Receiver<Forward>>,
    in_flight: Mutex<InFlight>,
    last_stan: AtomicU32,
    counters: Counters,
}

/// A request that finds no room.
pub(crate) struct NoRoom;

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

    /// Queues a request for the line.
    pub(crate) fn forward(&self, forward: Forward) -> Result<(), NoRoom> {
        if self.in_flight().is_full() {
            return Err(NoRoom);
        }
        self.queue.try_send(forward).map_err(|_| NoRoom)
    }

    fn in_flight(&self) -> MutexGuard<'_, InFlight> {
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
            // What was queued was never sent, so its answer is certain.
            while let Ok(forward) = queued.try_recv() {
                self.answer(
                    &forward.request,
                    &forward.replies,
                    ResponseCode::INOPERATIVE,
                    None,
                );
            }
            sleep(back_off).await;
            back_off = (back_off * 2).min(MAX_BACK_OFF);
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
        let mut session = Session {
            link: self,
            target,
            line: Line::new(stream, target.framing),
            tapped: TappedLine {
                host: Arc::clone(&self.settings.host),
                peer: Arc::clone(&self.settings.issuer),
                dialect: Arc::clone(&target.dialect_name),
            },
            last_traffic: Instant::now(),
        };
        timeout(SIGN_ON_LIMIT, session.sign_on())
            .await
            .map_err(|_| LinkEnd::SignOnTooSlow)??;
        tracing::info!(
            host.id = %self.settings.host,
            issuer = %self.settings.issuer,
            "the link to an issuer is up and signed on"
        );
        self.ready.send_replace(true);
        loop {
            session.step(queued).await?;
        }
    }

    /// Hands an answer to the connection that the request came on.
    fn answer(
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
enum LinkEnd {
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

struct Session<'a> {
    link: &'a Link,
    target: &'a LinkTarget,
    line: Line<TlsStream<TcpStream>>,
    tapped: TappedLine,
    last_traffic: Instant,
}

impl Session<'_> {
    async fn sign_on(&mut self) -> Result<(), LinkEnd> {
        let request = self.network_request(network::SIGN_ON);
        let stan = request.get(11).map(<[u8]>::to_vec);
        self.send(&[request]).await?;
        loop {
            self.line.turn().await?;
            for answer in self.read().await? {
                if !is_network(answer.mti()) || answer.get(11) != stan.as_deref() {
                    continue;
                }
                return match answer.text(39) {
                    Some("00") => Ok(()),
                    code => Err(LinkEnd::SignOnRefused {
                        code: code.unwrap_or("nothing").to_owned(),
                    }),
                };
            }
        }
    }

    async fn step(&mut self, queued: &mut mpsc::Receiver<Forward>) -> Result<(), LinkEnd> {
        let mut batch = Vec::new();
        let next_echo = self
            .link
            .settings
            .echo_idle
            .map(|idle| self.last_traffic + idle);
        tokio::select! {
            _ = queued.recv_many(&mut batch, MESSAGES_AT_A_TIME) => self.forward(batch).await,
            turned = self.line.turn() => {
                turned?;
                self.relay().await
            }
            () = sleep_until(next_echo.unwrap_or(self.last_traffic)), if next_echo.is_some() => {
                let echo = self.network_request(network::ECHO);
                self.send(&[echo]).await
            }
        }
    }

    /// Notes what is about to be sent, then sends it.
    async fn forward(&mut self, batch: Vec<Forward>) -> Result<(), LinkEnd> {
        let now = Instant::now();
        let mut messages = Vec::with_capacity(batch.len());
        {
            let mut in_flight = self.link.in_flight();
            for forward in batch {
                let stan = forward
                    .message
                    .get(11)
                    .and_then(|stan| stan.try_into().ok());
                let (Some(response), Some(stan)) = (forward.message.mti().response(), stan) else {
                    continue;
                };
                in_flight.insert((response, stan), forward.request, forward.replies, now);
                messages.push(forward.message);
            }
        }
        self.send(&messages).await
    }

    /// Hands the issuer's answers on, and answers its requests.
    async fn relay(&mut self) -> Result<(), LinkEnd> {
        self.last_traffic = Instant::now();
        loop {
            let messages = self.read().await?;
            if messages.is_empty() {
                return Ok(());
            }
            let mut own_answers = Vec::new();
            for message in messages {
                if message.mti().is_request() {
                    own_answers.extend(answer_to_issuer(&message));
                } else if !is_network(message.mti()) {
                    self.relay_one(&message);
                }
            }
            self.send(&own_answers).await?;
        }
    }

    fn relay_one(&self, answer: &BankMessage) {
        let taken = self.link.in_flight().take(answer);
        match taken {
            Ok(waiting) => {
                let code = answer.text(39).and_then(ResponseCode::parse);
                let code = code.unwrap_or(ResponseCode::SYSTEM_MALFUNCTION);
                self.link
                    .answer(&waiting.request, &waiting.replies, code, Some(answer));
            }
            Err(reason) => tracing::warn!(
                host.id = %self.link.settings.host,
                issuer = %self.link.settings.issuer,
                mti = %answer.mti(),
                stan = answer.text(11).unwrap_or("?"),
                ?reason,
                "an issuer's answer matches nothing that waits"
            ),
        }
    }

    /// The messages that have been read and not been taken yet.
    async fn read(&mut self) -> Result<Vec<BankMessage>, LinkEnd> {
        let (frames, consumed) = self
            .line
            .frames(MESSAGES_AT_A_TIME)
            .map_err(LineError::from)?;
        let input = self.line.input();
        let payloads: Vec<&[u8]> = frames
            .iter()
            .filter_map(|(begin, end)| input.get(*begin..*end))
            .filter(|payload| !payload.is_empty())
            .collect();
        for payload in &payloads {
            self.link
                .settings
                .tap
                .report(&self.tapped, Direction::Received, payload);
        }
        let decoded = self.target.codec.decode(&payloads).await?;
        self.line.consume(consumed);
        let mut messages = Vec::with_capacity(decoded.len());
        for message in decoded {
            let message = message.map_err(|unreadable| LinkEnd::Unreadable {
                reason: unreadable.reason,
            })?;
            self.link.counters.received(message.mti());
            messages.push(message);
        }
        Ok(messages)
    }

    fn network_request(&self, code: &str) -> BankMessage {
        let settings = &self.link.settings;
        let mut request = BankMessage::new(Mti::NETWORK_REQUEST);
        request.set(7, transmission_date_time(settings.clock.now_utc()));
        request.set(11, self.link.next_stan());
        request.set(33, &settings.institution_id);
        request.set(70, code);
        request
    }

    async fn send(&mut self, messages: &[BankMessage]) -> Result<(), LinkEnd> {
        if messages.is_empty() {
            return Ok(());
        }
        self.last_traffic = Instant::now();
        let framing = self.line.framing();
        let (link, tapped) = (self.link, &self.tapped);
        self.target
            .codec
            .encode(messages, framing, self.line.output(), |mti, payload| {
                link.counters.sent(mti);
                link.settings.tap.report(tapped, Direction::Sent, payload);
            })
            .await?;
        Ok(())
    }
}

/// An issuer may ask for an echo; it has nothing else to ask of an acquirer.
fn answer_to_issuer(request: &BankMessage) -> Option<BankMessage> {
    let code = match (is_network(request.mti()), request.text(70)) {
        (true, Some(network::ECHO)) => ResponseCode::APPROVED,
        _ => ResponseCode::INVALID_TRANSACTION,
    };
    request.answer(ECHOED_NETWORK_DES, code)
}
