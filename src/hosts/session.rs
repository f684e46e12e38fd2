//! One connection, from the sign-on to its end: signs on, sends, keeps it alive. What it receives is in
//! `incoming`.

use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::time::Duration;

use iso8583::{MessageBuilder, Mti};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, MissedTickBehavior};
use zeroize::Zeroize;

use crate::payment::decline::FailureReason;

use super::fault::LineFault;
use super::link::{Line, Outgoing, told_to_drain};
use super::network::{self, NetworkFunction};
use super::outbound::{Outbound, OutboundError, SendError};
use super::status::LineState;
use super::tap::Direction;

/// The most requests that one write takes from the queue.
const WRITE_BATCH: usize = 128;
/// Room for what is read at once, beside one frame of the greatest length.
const READ_BYTES: usize = 16 * 1024;
/// How long the end of a TLS session may take.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// The bounds of how often time-outs are looked at.
const TICK: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
/// How often a line that drains looks whether it is done.
const DRAIN_TICK: Duration = Duration::from_millis(10);

/// How a session ended.
pub(super) enum SessionEnd {
    /// As it was asked to.
    Drained,
    /// By the host, which signed off.
    SignedOff,
    /// By a fault.
    Lost(LineFault),
}

/// Ends the session's loop.
pub(super) enum Stop {
    Done,
    SignedOff,
    Fault(LineFault),
}

impl From<LineFault> for Stop {
    fn from(fault: LineFault) -> Self {
        Self::Fault(fault)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    SigningOn,
    Up,
    Draining,
    SigningOff,
    /// The host signed off: it is sent nothing more, and its answers to what it has are waited for.
    SignedOff,
}

/// A network management request that waits for its answer.
pub(super) struct NetworkRequest {
    pub(super) function: NetworkFunction,
    pub(super) stan: u32,
    due: Instant,
}

/// One connection of a line.
pub(super) struct Session<'a, S> {
    pub(super) line: &'a mut Line,
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    pub(super) inbound: Vec<u8>,
    outbound: Outbound,
    batch: Vec<Outgoing>,
    pub(super) builder: MessageBuilder,
    pub(super) phase: Phase,
    pub(super) network: Option<NetworkRequest>,
    pub(super) last_received: Instant,
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
            outbound: Outbound::new(now),
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
        self.outbound.wipe();
        self.inbound.as_mut_slice().zeroize();
        // Whoever waits is told first: the rest may take a moment.
        self.line.lose_everything();
        let end = match stop {
            Stop::Done => SessionEnd::Drained,
            Stop::SignedOff => SessionEnd::SignedOff,
            Stop::Fault(fault) => return SessionEnd::Lost(fault),
        };
        // A proper end of the TLS session. It flushes, so it is nothing for a line that was lost: TLS
        // may hold a request that was given up.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.writer.shutdown()).await;
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

    pub(super) fn come_up(&mut self) {
        self.phase = Phase::Up;
        self.line.open.store(true, Ordering::Release);
        self.line.report.line_up();
    }

    /// Takes the host's sign-off to heart, unless the line is being signed off anyway.
    pub(super) fn send_no_more(&mut self) {
        if self.phase != Phase::SigningOff {
            self.phase = Phase::SignedOff;
            // What it was asked before it left need not be answered.
            self.network = None;
            self.line.open.store(false, Ordering::Release);
            self.line.report.state(LineState::Draining, None);
        }
    }

    async fn serve(&mut self) -> Stop {
        let network = self.line.profile.network;
        let (least, most) = TICK;
        let tick_every = (network.echo_timeout.min(network.echo_interval) / 8).clamp(least, most);
        let mut tick = tokio::time::interval(tick_every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let draining = matches!(
                self.phase,
                Phase::Draining | Phase::SigningOff | Phase::SignedOff
            );
            let step = tokio::select! {
                read = self.reader.read_buf(&mut self.inbound) => match read {
                    // Some hosts answer a sign-off by closing.
                    Ok(0) if self.phase == Phase::SigningOff => Err(Stop::Done),
                    Ok(0) if self.phase == Phase::SignedOff && self.is_idle() => {
                        Err(Stop::SignedOff)
                    }
                    Ok(0) => Err(LineFault::Closed.into()),
                    Ok(_) => self.take_frames(),
                    Err(error) => Err(LineFault::Broken(error).into()),
                },
                sent = poll_fn(|cx| self.outbound.poll_send(&mut self.writer, cx)),
                    if !self.outbound.is_empty() =>
                {
                    self.outbound.wipe();
                    sent.map_err(|error| Stop::Fault(match error {
                        SendError::Late => LineFault::WriteDeadline,
                        SendError::Broken(error) => LineFault::Broken(error),
                    }))
                }
                count = self.line.queue.recv_many(&mut self.batch, WRITE_BATCH),
                    if self.outbound.is_empty() && self.phase != Phase::SigningOff =>
                {
                    if count == 0 {
                        Err(Stop::Done)
                    } else {
                        // Requests come in crowds, because many are committed at once: those that
                        // are ready to come now leave in the same write.
                        tokio::task::yield_now().await;
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

    /// Puts what was queued, and what was added to the queue since, into the write buffer in one go, at
    /// most [`WRITE_BATCH`] requests.
    fn take_requests(&mut self) {
        let now = Instant::now();
        let mut batch = std::mem::take(&mut self.batch);
        while batch.len() < WRITE_BATCH
            && let Ok(outgoing) = self.line.queue.try_recv()
        {
            batch.push(outgoing);
        }
        for outgoing in batch.drain(..) {
            self.take_request(outgoing, now);
        }
        self.batch = batch;
    }

    fn take_request(&mut self, outgoing: Outgoing, now: Instant) {
        let Outgoing {
            frame,
            key,
            claim_by,
            deadline,
            mut waiter,
        } = outgoing;
        // All that can refuse a request comes before the claim, and the claim before the bytes.
        if matches!(self.phase, Phase::SigningOn | Phase::SignedOff) {
            return waiter.refuse(FailureReason::HostUnavailable);
        }
        if now >= claim_by {
            return waiter.refuse(FailureReason::DeadlineBeforeSend);
        }
        if self.line.in_flight.is_waiting(key.stan) {
            return waiter.refuse(FailureReason::HostBusy);
        }
        if !waiter.claim(now) {
            return;
        }
        if self.line.in_flight.insert(key, waiter, now).is_ok() {
            self.outbound.push(&frame, now, deadline);
            let payload = self.line.profile.framing.prefix.bytes();
            self.line
                .report
                .tap(Direction::ToHost, frame.get(payload..).unwrap_or_default());
        }
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
    pub(super) fn write_network(&mut self, function: NetworkFunction) -> Result<(), LineFault> {
        let profile = &self.line.profile;
        let written = self.outbound.write(&profile.framing, |out| {
            profile.dialect.encode(&self.builder, out)
        });
        let frame = match written {
            Ok(frame) => frame,
            Err(OutboundError::Backlog) => return Err(LineFault::WriteBacklog),
            Err(OutboundError::Frame(error)) => {
                return Err(LineFault::NetworkRequest {
                    function,
                    detail: error.to_string(),
                });
            }
        };
        self.line.report.tap(Direction::ToHost, frame);
        Ok(())
    }

    /// Whether nothing is to be written and no answer is waited for.
    fn is_idle(&self) -> bool {
        self.outbound.is_empty() && self.line.load.load(Ordering::Acquire) == 0
    }

    /// Everything that happens because time passes.
    fn look_at_the_time(&mut self, now: Instant) -> Result<(), Stop> {
        if self.outbound.is_late(now) {
            return Err(LineFault::WriteDeadline.into());
        }
        if self.outbound.is_stuck(now) {
            return Err(LineFault::WriteTimeout.into());
        }
        if let Some(sent) = &self.network
            && now >= sent.due
        {
            return Err(LineFault::NetworkTimeout(sent.function).into());
        }
        self.line.in_flight.expire(now);
        if self.phase == Phase::SignedOff {
            return if self.is_idle() {
                Err(Stop::SignedOff)
            } else {
                Ok(())
            };
        }
        if self.phase == Phase::Draining && self.is_idle() && self.network.is_none() {
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
}
