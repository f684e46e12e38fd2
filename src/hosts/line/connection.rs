//! The state of one connection, and what is sent on it. It does no I/O: the session reads and writes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use iso8583::{MessageBuilder, Mti};
use tokio::time::Instant;

use crate::fault_points::FaultPoint;
use crate::hosts::exchange::Exchange;
use crate::hosts::message::standard_codes::Edition;
use crate::hosts::status::LineState;
use crate::payment::decline::FailureReason;
use crate::stack::wipe_bytes;

use super::fault::LineFault;
use super::network::{self, NetworkFunction};
use super::orders::EchoRequest;
use super::outbound::{Outbound, OutboundError, RequestTimes};
use super::settlement::{AnnouncedCutover, SettlementRequest, WaitingForTotals};
use super::socket::TakenBytes;
use super::{Line, QueuedRequest};

/// Room for what is read at once, beside one frame of the greatest length.
const READ_BYTES: usize = 16 * 1024;

/// Why a session stops.
pub(super) enum Stop {
    /// It was drained.
    Drained,
    /// The host signed off.
    SignedOff,
    /// The connection is at fault.
    Fault(LineFault),
}

impl From<LineFault> for Stop {
    fn from(fault: LineFault) -> Self {
        Self::Fault(fault)
    }
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The sign-on is not confirmed yet.
    SigningOn,
    /// It takes payments.
    Up,
    /// It takes no new requests and waits for answers.
    Draining,
    /// The sign-off is not confirmed yet.
    SigningOff,
    /// The host signed off: it is sent nothing more, and its answers to what it has are waited for.
    SignedOff,
}

/// A network management request that waits for its answer.
pub(super) struct NetworkRequest {
    pub(super) function: NetworkFunction,
    pub(super) stan: u32,
    /// Who asked for it; none where the line sends it of its own.
    pub(super) asked: Option<EchoRequest>,
    due: Instant,
}

/// One connection of a line.
pub(super) struct Connection<'a> {
    pub(super) line: &'a mut Line,
    /// The bytes that were read and are not yet a whole frame.
    pub(super) inbound: Vec<u8>,
    pub(super) outbound: Outbound,
    pub(super) builder: MessageBuilder,
    pub(super) phase: Phase,
    pub(super) network_request: Option<NetworkRequest>,
    /// The messages of settlement that are not answered yet.
    pub(super) settlement: Vec<WaitingForTotals>,
    /// The cutover that the host has announced.
    pub(super) announced: Option<AnnouncedCutover>,
    pub(super) last_received: Instant,
    /// When the first request was written since the host said anything.
    pub(super) unheard_since: Option<Instant>,
    /// Whether the host was silent for too long: the line takes no payment until it answers the echo.
    pub(super) is_silent: bool,
}

impl<'a> Connection<'a> {
    /// A connection over a socket that counts what it has taken in `taken`.
    pub(super) fn new(line: &'a mut Line, taken: TakenBytes) -> Self {
        let now = Instant::now();
        let frame_bytes = line
            .profile
            .framing
            .max_frame_bytes
            .saturating_add(line.profile.framing.prefix.bytes());
        Self {
            inbound: Vec::with_capacity(frame_bytes.saturating_add(READ_BYTES)),
            outbound: Outbound::new(taken, now),
            builder: MessageBuilder::new(Mti::NETWORK_REQUEST),
            phase: Phase::SigningOn,
            network_request: None,
            settlement: Vec::new(),
            announced: None,
            last_received: now,
            unheard_since: None,
            is_silent: false,
            line,
        }
    }

    /// Signs on, where the host wants it; else the line is up at once.
    ///
    /// # Errors
    /// When the sign-on can't be written.
    pub(super) fn begin(&mut self) -> Result<(), LineFault> {
        if self.line.profile.network.sign_on {
            self.line.report.state(LineState::SigningOn, None);
            self.request_network(NetworkFunction::SignOn)
        } else {
            self.come_up();
            Ok(())
        }
    }

    /// Wipes what was read and what was to be written.
    fn wipe(&mut self) {
        self.outbound.wipe();
        wipe_bytes(&mut self.inbound);
    }

    /// Opens the line for payments.
    pub(super) fn come_up(&mut self) {
        self.phase = Phase::Up;
        self.line.connections += 1;
        let number = self.line.connections;
        self.line.connection.store(number, Ordering::Release);
        self.line.open.store(true, Ordering::Release);
        self.line.report.line_up();
    }

    /// Closes the line for payments; it goes on until its answers have come.
    pub(super) fn start_draining(&mut self) {
        self.phase = Phase::Draining;
        self.close_for_payments();
    }

    /// The host signed off. Nothing changes where the line is being signed off anyway.
    pub(super) fn host_signed_off(&mut self) {
        if self.phase != Phase::SigningOff {
            self.phase = Phase::SignedOff;
            // Requests that the host got before it signed off need not be answered.
            self.network_request = None;
            self.close_for_payments();
        }
    }

    fn close_for_payments(&mut self) {
        self.line.open.store(false, Ordering::Release);
        self.line.report.state(LineState::Draining, None);
    }

    /// Claims a request and puts it into what is to be written, or refuses it.
    pub(super) fn send(&mut self, request: QueuedRequest, now: Instant) {
        let QueuedRequest {
            frame,
            key,
            claim_by,
            deadline,
            mut waiter,
        } = request;
        // All that can refuse a request comes before the claim, and the claim before the bytes.
        if self.is_silent || matches!(self.phase, Phase::SigningOn | Phase::SignedOff) {
            return waiter.refuse(FailureReason::HostUnavailable);
        }
        if now >= claim_by {
            return waiter.refuse(FailureReason::NoTimeForTheBank);
        }
        if self.line.in_flight.is_waiting(&key) {
            return waiter.refuse(FailureReason::HostBusy);
        }
        if !waiter.claim(key.asked, now) {
            return;
        }
        self.unheard_since.get_or_insert(now);
        if self.line.in_flight.insert(key, waiter, now).is_ok() {
            let times = RequestTimes {
                key,
                claim_by,
                deadline,
            };
            self.outbound.push(&frame, now, times);
        }
    }

    /// Takes out the requests that were not handed to the socket and have no time left for an answer: they
    /// are certainly not sent, and the line goes on.
    pub(super) fn take_out_expired(&mut self, now: Instant) {
        let in_flight = &mut self.line.in_flight;
        let expired = |request: &RequestTimes| now >= request.claim_by;
        self.outbound.take_out(expired, |key| {
            if let Some(mut waiter) = in_flight.withdraw(key) {
                waiter.end(Exchange::NotSent(FailureReason::NoTimeForTheBank));
            }
        });
    }

    /// Ends everything that waits, once the connection is lost: of what the socket has taken the outcome is
    /// unknown, and everything else is certainly not sent.
    pub(super) fn end_all_as_lost(&mut self) {
        let in_flight = &mut self.line.in_flight;
        self.outbound.take_out_unsent(|key| {
            if let Some(mut waiter) = in_flight.withdraw(key) {
                waiter.end(Exchange::NotSent(FailureReason::HostUnavailable));
            }
        });
        self.wipe();
        self.line.end_all_as_lost();
    }

    fn request_network(&mut self, function: NetworkFunction) -> Result<(), LineFault> {
        let stan = self.line.network_stans.next();
        let now = self.line.report.clock.now();
        network::build_request(
            &mut self.builder,
            &self.line.profile.dialect,
            &self.line.profile.header,
            function,
            stan,
            now,
        );
        self.write_network(function)?;
        self.network_request = Some(NetworkRequest {
            function,
            stan,
            asked: None,
            due: Instant::now() + self.line.profile.network.echo_timeout,
        });
        Ok(())
    }

    /// Sends the echo that somebody asked for, and still waits for.
    ///
    /// # Errors
    /// When it can't be written.
    pub(super) fn echo(&mut self, asked: EchoRequest) -> Result<(), LineFault> {
        if asked.is_abandoned() {
            return Ok(());
        }
        self.request_network(NetworkFunction::Echo)?;
        if let Some(request) = &mut self.network_request {
            request.asked = Some(asked.sent());
        }
        Ok(())
    }

    /// Puts a message of settlement into what is to be written. One that can't be written is given up: whoever waits
    /// for the answer sends it again.
    pub(super) fn send_settlement(&mut self, request: SettlementRequest) {
        if request.answer.is_closed() {
            return;
        }
        let profile = Arc::clone(&self.line.profile);
        self.builder.clear(request.mti);
        self.builder.header(&profile.header);
        for (de, value) in &request.elements {
            self.builder.text(*de, value);
        }
        let sent = Some(FaultPoint::TotalsSend);
        let written = self.outbound.write(&profile.framing, sent, |out| {
            profile.dialect.encode(&self.builder, out)
        });
        match written {
            Ok(()) => self.settlement.push(WaitingForTotals::of(request)),
            Err(error) => {
                let detail = match error {
                    OutboundError::Backlog => "too much waits to be written".to_owned(),
                    OutboundError::Frame(error) => error.to_string(),
                };
                tracing::error!(
                    host.id = %profile.host_id, mti = %request.mti, detail,
                    "A message of settlement can't be written"
                );
            }
        }
    }

    /// Answers the cutover that the host has announced: accepted, refused, or not at all.
    ///
    /// # Errors
    /// When the answer can't be written.
    pub(super) fn answer_cutover(&mut self, recorded: Option<bool>) -> Result<(), LineFault> {
        let (Some(announced), Some(recorded)) = (self.announced.take(), recorded) else {
            return Ok(());
        };
        let edition = Edition::of(self.line.profile.dialect.version());
        self.builder.clear(announced.mti);
        self.builder.header(&announced.header);
        for (de, value) in &announced.elements {
            self.builder.text(*de, value);
        }
        let code = match recorded {
            true => edition.network_accepted,
            false => edition.network_refused,
        };
        self.builder.text(39, code);
        self.write_network(NetworkFunction::Cutover)
    }

    /// Appends the message in the builder to what is to be written.
    ///
    /// # Errors
    /// When too much waits to be written, or the message can't be encoded.
    pub(super) fn write_network(&mut self, function: NetworkFunction) -> Result<(), LineFault> {
        let profile = &self.line.profile;
        let written = self.outbound.write(&profile.framing, None, |out| {
            profile.dialect.encode(&self.builder, out)
        });
        match written {
            Ok(()) => Ok(()),
            Err(OutboundError::Backlog) => Err(LineFault::WriteBacklog),
            Err(OutboundError::Frame(error)) => Err(LineFault::NetworkRequest {
                function,
                detail: error.to_string(),
            }),
        }
    }

    /// Whether nothing is to be written and no answer is waited for.
    pub(super) fn is_idle(&self) -> bool {
        self.outbound.is_empty() && self.line.load.taken() == 0
    }

    /// Everything that happens because time passes: time-outs, echoes, the end of a drain.
    ///
    /// # Errors
    /// Why the session stops.
    pub(super) fn check_timeouts(&mut self, now: Instant) -> Result<(), Stop> {
        self.take_out_expired(now);
        if self.outbound.is_late(now) {
            return Err(LineFault::WriteDeadline.into());
        }
        if self.outbound.is_stuck(now) {
            return Err(LineFault::WriteTimeout.into());
        }
        if let Some(sent) = &self.network_request
            && now >= sent.due
        {
            return Err(LineFault::NetworkTimeout(sent.function).into());
        }
        self.line.in_flight.expire(now);
        self.settlement.retain(|waiting| !waiting.is_abandoned());
        if self.phase == Phase::SignedOff {
            return if self.is_idle() {
                Err(Stop::SignedOff)
            } else {
                Ok(())
            };
        }
        if self.phase == Phase::Draining && self.is_idle() && self.network_request.is_none() {
            if !self.line.profile.network.sign_on {
                return Err(Stop::Drained);
            }
            self.phase = Phase::SigningOff;
            self.request_network(NetworkFunction::SignOff)?;
        }
        let network = self.line.profile.network;
        let since = |at: Instant| now.saturating_duration_since(at);
        if self.phase == Phase::Up
            && !self.is_silent
            && self
                .unheard_since
                .is_some_and(|at| since(at) >= network.silence)
        {
            self.is_silent = true;
            self.line.open.store(false, Ordering::Release);
            self.line.report.line_silent();
        }
        let echo_is_due = self.is_silent || since(self.last_received) >= network.echo_interval;
        if echo_is_due && self.network_request.is_none() {
            self.request_network(NetworkFunction::Echo)?;
        }
        Ok(())
    }

    /// The host answered the echo: a line that was silent takes payments again.
    pub(super) fn heard(&mut self) {
        if std::mem::take(&mut self.is_silent) && self.phase == Phase::Up {
            self.line.open.store(true, Ordering::Release);
        }
    }
}

/// However the session ends, even by a panic, no card stays in memory.
impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.wipe();
    }
}
