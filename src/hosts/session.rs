//! One connection, from the sign-on to its end: reads, writes, keeps it alive, matches answers.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use iso8583::mti::Class;
use iso8583::{Message, MessageBuilder, Mti, masked};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, MissedTickBehavior};
use zeroize::{Zeroize, Zeroizing};

use crate::payment::decline::{FailureReason, ResponseCode};

use super::in_flight::Match;
use super::link::{Line, Outgoing, told_to_drain};
use super::match_key::{ReceivedKey, rrn_of, stan_of};
use super::network::{self, NetworkFunction};
use super::notice::{HostNotice, QuarantineReason, Quarantined};
use super::status::LineState;
use super::tap::{Direction, TappedMessage};

/// The most requests that one write takes from the queue.
const WRITE_BATCH: usize = 128;
/// The most bytes that may wait to be written. A host that lets more pile up does not read.
const WRITE_BYTES_LIMIT: usize = 256 * 1024;
/// How long one write may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Room for what is read at once, beside one frame of the greatest length.
const READ_BYTES: usize = 16 * 1024;
/// How long the end of a TLS session may take.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// How much of a stream that fell out of step goes to the quarantine.
const UNFRAMED_BYTES_SHOWN: usize = 256;
/// The bounds of how often time-outs are looked at.
const TICK: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
/// How often a line that drains looks whether it is done.
const DRAIN_TICK: Duration = Duration::from_millis(10);

/// Why a line was lost.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineFault {
    #[error("failed to connect: {0}")]
    Connect(#[source] std::io::Error),
    #[error("connecting took longer than {} ms", .0.as_millis())]
    ConnectTimeout(Duration),
    #[error("the TLS handshake failed: {0}")]
    Tls(#[source] std::io::Error),
    #[error("the host closed the connection")]
    Closed,
    #[error("the connection broke: {0}")]
    Broken(#[source] std::io::Error),
    #[error("the host took nothing for {} ms", WRITE_TIMEOUT.as_millis())]
    WriteTimeout,
    #[error("the host takes nothing: {WRITE_BYTES_LIMIT} bytes wait to be written")]
    WriteBacklog,
    #[error("a {} could not be written: {detail}", .function.name())]
    NetworkRequest {
        function: NetworkFunction,
        detail: String,
    },
    #[error("the host did not answer a {} in time", .0.name())]
    NetworkTimeout(NetworkFunction),
    #[error("the host answered a {} with {}", .function.name(), .response_code.map_or_else(|| "no response code".to_owned(), |code| code.to_string()))]
    NetworkRefused {
        function: NetworkFunction,
        response_code: Option<ResponseCode>,
    },
    #[error("a message could not be read: {0}")]
    Undecodable(String),
}

/// How a session ended.
pub(super) enum SessionEnd {
    /// As it was asked to.
    Drained,
    /// By a fault.
    Lost(LineFault),
}

/// Ends the session's loop.
enum Stop {
    Done,
    Fault(LineFault),
}

impl From<LineFault> for Stop {
    fn from(fault: LineFault) -> Self {
        Self::Fault(fault)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    SigningOn,
    Up,
    Draining,
    SigningOff,
}

/// A network management request that waits for its answer.
struct NetworkRequest {
    function: NetworkFunction,
    stan: u32,
    due: Instant,
}

/// One connection of a line.
pub(super) struct Session<'a, S> {
    line: &'a mut Line,
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    inbound: Vec<u8>,
    out: Vec<u8>,
    /// How much of `out` is written.
    written: usize,
    write_began: Instant,
    batch: Vec<Outgoing>,
    builder: MessageBuilder,
    phase: Phase,
    network: Option<NetworkRequest>,
    last_received: Instant,
}

impl<'a, S: AsyncRead + AsyncWrite> Session<'a, S> {
    pub(super) fn new(line: &'a mut Line, stream: S) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let now = Instant::now();
        let frame_bytes = line
            .profile
            .framing
            .max_frame_bytes
            .saturating_add(line.profile.framing.prefix.bytes());
        Self {
            reader,
            writer,
            inbound: Vec::with_capacity(frame_bytes.saturating_add(READ_BYTES)),
            out: Vec::with_capacity(READ_BYTES),
            written: 0,
            write_began: now,
            batch: Vec::with_capacity(WRITE_BATCH),
            builder: MessageBuilder::new(Mti::NETWORK_REQUEST),
            phase: Phase::SigningOn,
            network: None,
            last_received: now,
            line,
        }
    }

    /// Runs the connection until it is lost, or drained.
    pub(super) async fn run(mut self) -> SessionEnd {
        let stop = match self.begin() {
            Ok(()) => self.serve().await,
            Err(fault) => Stop::Fault(fault),
        };
        let was_up = self.phase != Phase::SigningOn;
        self.line.open.store(false, Ordering::Release);
        self.out.as_mut_slice().zeroize();
        self.inbound.as_mut_slice().zeroize();
        // The peer sees a proper end of the TLS session where that is still possible.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.writer.shutdown()).await;
        let (end, reason) = match stop {
            Stop::Done => (SessionEnd::Drained, "signed off".to_owned()),
            Stop::Fault(fault) => {
                let reason = fault.to_string();
                (SessionEnd::Lost(fault), reason)
            }
        };
        if was_up {
            let report = &self.line.report;
            report.notice(HostNotice::LineDown {
                host_id: report.profile.host_id.clone(),
                line: report.line,
                reason,
                at: report.clock.now(),
            });
        }
        end
    }

    fn begin(&mut self) -> Result<(), LineFault> {
        if self.line.profile.network.sign_on {
            self.line.report.state(LineState::SigningOn, None);
            self.request_network(NetworkFunction::SignOn)
        } else {
            self.come_up();
            Ok(())
        }
    }

    fn come_up(&mut self) {
        self.phase = Phase::Up;
        self.line.open.store(true, Ordering::Release);
        let report = &self.line.report;
        report.state(LineState::SignedOn, None);
        tracing::info!(
            host.id = %report.profile.host_id,
            line = report.line,
            "the line is up"
        );
        report.notice(HostNotice::LineUp {
            host_id: report.profile.host_id.clone(),
            line: report.line,
            at: report.clock.now(),
        });
    }

    async fn serve(&mut self) -> Stop {
        let network = self.line.profile.network;
        let (least, most) = TICK;
        let tick_every = (network.echo_timeout.min(network.echo_interval) / 8).clamp(least, most);
        let mut tick = tokio::time::interval(tick_every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let draining = self.phase == Phase::Draining || self.phase == Phase::SigningOff;
            let step = tokio::select! {
                read = self.reader.read_buf(&mut self.inbound) => match read {
                    Ok(0) => Err(LineFault::Closed.into()),
                    Ok(_) => self.take_frames(),
                    Err(error) => Err(LineFault::Broken(error).into()),
                },
                sent = poll_fn(|cx| send(&mut self.writer, &self.out, &mut self.written, cx)),
                    if !self.out.is_empty() =>
                {
                    self.out.as_mut_slice().zeroize();
                    self.out.clear();
                    self.written = 0;
                    sent.map_err(|error| LineFault::Broken(error).into())
                }
                count = self.line.queue.recv_many(&mut self.batch, WRITE_BATCH),
                    if self.out.is_empty() && self.phase != Phase::SigningOff =>
                {
                    if count == 0 {
                        Err(Stop::Done)
                    } else {
                        self.take_requests();
                        Ok(())
                    }
                }
                () = told_to_drain(&mut self.line.drain), if !draining => {
                    if self.phase == Phase::Up {
                        self.phase = Phase::Draining;
                        self.line.open.store(false, Ordering::Release);
                        self.line.report.state(LineState::Draining, None);
                        tick = tokio::time::interval(DRAIN_TICK);
                        Ok(())
                    } else {
                        Err(Stop::Done)
                    }
                }
                now = tick.tick() => self.look_at_the_time(now),
            };
            if let Err(stop) = step {
                return stop;
            }
        }
    }

    /// Puts everything that was queued into the write buffer, in one go.
    fn take_requests(&mut self) {
        let now = Instant::now();
        self.write_began = now;
        let mut batch = std::mem::take(&mut self.batch);
        for outgoing in batch.drain(..) {
            self.take_request(outgoing, now);
        }
        self.batch = batch;
    }

    fn take_request(&mut self, outgoing: Outgoing, now: Instant) {
        let Outgoing {
            frame,
            key,
            deadline,
            mut waiter,
        } = outgoing;
        // All that can refuse a request comes before the claim, and the claim before the bytes.
        if self.phase == Phase::SigningOn {
            return waiter.refuse(FailureReason::HostUnavailable);
        }
        if now >= deadline {
            return waiter.refuse(FailureReason::DeadlineBeforeSend);
        }
        if self.line.in_flight.is_waiting(key.stan) {
            return waiter.refuse(FailureReason::HostBusy);
        }
        if !waiter.claim(now) {
            return;
        }
        if self.line.in_flight.insert(key, waiter, now).is_ok() {
            self.out.extend_from_slice(&frame);
            let payload = self.line.profile.framing.prefix.bytes();
            self.tap(Direction::ToHost, frame.get(payload..).unwrap_or_default());
        }
    }

    /// Takes every whole frame out of what was read.
    fn take_frames(&mut self) -> Result<(), Stop> {
        let now = Instant::now();
        self.last_received = now;
        let mut inbound = std::mem::take(&mut self.inbound);
        let mut start = 0;
        let mut taken = Ok(());
        while taken.is_ok() {
            let rest = inbound.get(start..).unwrap_or_default();
            taken = match self.line.profile.framing.split(rest) {
                Ok(None) => break,
                Ok(Some((from, to))) => {
                    let frame = rest.get(from..to).unwrap_or_default();
                    start += to;
                    self.take_frame(frame, now)
                }
                Err(error) => {
                    let shown = rest.len().min(UNFRAMED_BYTES_SHOWN);
                    self.quarantine(
                        None,
                        rest.get(..shown).unwrap_or_default(),
                        QuarantineReason::Undecodable {
                            detail: error.to_string(),
                        },
                    );
                    Err(LineFault::Undecodable(error.to_string()).into())
                }
            };
        }
        if let Some(consumed) = inbound.get_mut(..start) {
            consumed.zeroize();
        }
        inbound.drain(..start);
        self.inbound = inbound;
        taken
    }

    fn take_frame(&mut self, frame: &[u8], now: Instant) -> Result<(), Stop> {
        if frame.is_empty() {
            // Some hosts keep a line open with empty frames.
            return Ok(());
        }
        self.tap(Direction::FromHost, frame);
        let dialect = Arc::clone(&self.line.profile.dialect);
        let message = match dialect.decode(frame) {
            Ok(message) => message,
            Err(error) => {
                let detail = error.to_string();
                let reason = QuarantineReason::Undecodable {
                    detail: detail.clone(),
                };
                self.quarantine(error.partial(), frame, reason);
                return Err(LineFault::Undecodable(detail).into());
            }
        };
        let mti = message.mti();
        if mti.class() == Class::NetworkManagement {
            self.take_network_message(&message)
        } else {
            if mti.is_response() {
                self.take_response(&message, now);
            } else {
                self.quarantine(Some(&message), frame, QuarantineReason::UnexpectedRequest);
            }
            Ok(())
        }
    }

    fn take_response(&mut self, message: &Message<'_>, now: Instant) {
        let received = ReceivedKey::of(message);
        let reason = match self.line.in_flight.answer(&received) {
            Match::Found(mut waiter) => {
                let response_code = response_code_of(message);
                let approval_code = message
                    .text_trimmed(38)
                    .map_or_else(String::new, |text| text.into_owned());
                let took = now.saturating_duration_since(waiter.written_at);
                let bank_us = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
                let outcome = self.line.profile.response_codes.outcome(
                    response_code,
                    approval_code.clone(),
                    bank_us,
                );
                if !waiter.end(outcome) {
                    let report = &self.line.report;
                    report.notice(HostNotice::LateResponse {
                        host_id: report.profile.host_id.clone(),
                        operation_id: waiter.operation_id,
                        response_code,
                        approval_code,
                        at: report.clock.now(),
                    });
                }
                return;
            }
            Match::Duplicate => QuarantineReason::Duplicate,
            Match::Mismatch(fields) => QuarantineReason::KeyMismatch {
                fields: fields.to_vec(),
            },
            Match::NoMatch => QuarantineReason::NoMatch,
        };
        self.quarantine(Some(message), message.as_bytes(), reason);
    }

    fn take_network_message(&mut self, message: &Message<'_>) -> Result<(), Stop> {
        if network::is_echo_request(message) {
            network::build_confirmation(&mut self.builder, message);
            return Ok(self.write_network(NetworkFunction::Echo)?);
        }
        let answered = self
            .network
            .take_if(|sent| network::answers(message, sent.function, sent.stan));
        let Some(NetworkRequest { function, .. }) = answered else {
            let reason = if message.mti().is_response() {
                QuarantineReason::NoMatch
            } else {
                QuarantineReason::UnexpectedRequest
            };
            self.quarantine(Some(message), message.as_bytes(), reason);
            return Ok(());
        };
        let response_code = response_code_of(message);
        if function == NetworkFunction::SignOff {
            return Err(Stop::Done);
        }
        if response_code != Some(ResponseCode::APPROVED) {
            return Err(LineFault::NetworkRefused {
                function,
                response_code,
            }
            .into());
        }
        if function == NetworkFunction::SignOn && self.phase == Phase::SigningOn {
            self.come_up();
        }
        Ok(())
    }

    fn request_network(&mut self, function: NetworkFunction) -> Result<(), LineFault> {
        let stan = self.line.network_stans.next();
        let now = self.line.report.clock.now();
        network::build_request(
            &mut self.builder,
            &self.line.profile.header,
            function,
            stan,
            now,
        );
        self.write_network(function)?;
        self.network = Some(NetworkRequest {
            function,
            stan,
            due: Instant::now() + self.line.profile.network.echo_timeout,
        });
        Ok(())
    }

    /// Appends what is in the builder to what is to be written.
    fn write_network(&mut self, function: NetworkFunction) -> Result<(), LineFault> {
        if self.out.len() > WRITE_BYTES_LIMIT {
            return Err(LineFault::WriteBacklog);
        }
        if self.out.is_empty() {
            self.write_began = Instant::now();
        }
        let start = self.out.len();
        let profile = &self.line.profile;
        profile
            .framing
            .write(&mut self.out, |out| {
                profile.dialect.encode(&self.builder, out)
            })
            .map_err(|error| LineFault::NetworkRequest {
                function,
                detail: error.to_string(),
            })?;
        let payload = start + profile.framing.prefix.bytes();
        self.tap(
            Direction::ToHost,
            self.out.get(payload..).unwrap_or_default(),
        );
        Ok(())
    }

    /// Everything that happens because time passes.
    fn look_at_the_time(&mut self, now: Instant) -> Result<(), Stop> {
        if !self.out.is_empty() && now.saturating_duration_since(self.write_began) > WRITE_TIMEOUT {
            return Err(LineFault::WriteTimeout.into());
        }
        if let Some(sent) = &self.network
            && now >= sent.due
        {
            return Err(match sent.function {
                NetworkFunction::SignOff => Stop::Done,
                function => LineFault::NetworkTimeout(function).into(),
            });
        }
        self.line.in_flight.expire(now);
        if self.phase == Phase::Draining
            && self.out.is_empty()
            && self.network.is_none()
            && self.line.load.load(Ordering::Acquire) == 0
        {
            if !self.line.profile.network.sign_on {
                return Err(Stop::Done);
            }
            self.phase = Phase::SigningOff;
            self.request_network(NetworkFunction::SignOff)?;
        }
        let silent = now.saturating_duration_since(self.last_received);
        if self.network.is_none() && silent >= self.line.profile.network.echo_interval {
            self.request_network(NetworkFunction::Echo)?;
        }
        Ok(())
    }

    fn quarantine(&self, message: Option<&Message<'_>>, bytes: &[u8], reason: QuarantineReason) {
        let report = &self.line.report;
        let quarantined = Quarantined {
            host_id: report.profile.host_id.clone(),
            line: report.line,
            reason,
            mti: message.map(|message| message.mti().to_string()),
            stan: message.and_then(stan_of),
            rrn: message.and_then(rrn_of),
            response_code: message.and_then(response_code_of),
            masked: masked::masked_hex(&report.profile.dialect, bytes),
            at: report.clock.now(),
        };
        tracing::warn!(
            host.id = %report.profile.host_id,
            line = report.line,
            reason = %quarantined.reason,
            mti = quarantined.mti.as_deref(),
            stan = quarantined.stan.map(tracing::field::display),
            rrn = quarantined.rrn.map(tracing::field::display),
            "a message went to the quarantine"
        );
        report.notice(HostNotice::Quarantined(Box::new(quarantined)));
    }

    fn tap(&self, direction: Direction, bytes: &[u8]) {
        let report = &self.line.report;
        if let Some(tap) = &report.tap
            && tap.receiver_count() > 0
        {
            // Nobody is listening any more when this fails.
            let _ = tap.send(TappedMessage {
                host_id: report.profile.host_id.clone(),
                direction,
                dialect: Arc::clone(&report.profile.dialect),
                bytes: Arc::new(Zeroizing::new(bytes.to_vec())),
                at: report.clock.now(),
            });
        }
    }
}

/// DE 39, where there is a readable one.
fn response_code_of(message: &Message<'_>) -> Option<ResponseCode> {
    message.text(39)?.parse().ok()
}

/// Writes what is left of `out` and flushes. What is written is counted in `written`, so that
/// nothing is written twice when this is dropped and called again.
fn send<W: AsyncWrite + Unpin>(
    writer: &mut W,
    out: &[u8],
    written: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<std::io::Result<()>> {
    while let Some(rest) = out.get(*written..)
        && !rest.is_empty()
    {
        let count = ready!(Pin::new(&mut *writer).poll_write(cx, rest))?;
        if count == 0 {
            return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
        }
        *written += count;
    }
    Pin::new(writer).poll_flush(cx)
}
