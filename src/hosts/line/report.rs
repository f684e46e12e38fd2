//! Reports the events of a line: to the status board, the store and the log.

use std::sync::Arc;

use iso8583::{FramingError, Message, masked};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::payment::decline::ResponseCode;
use crate::payment::ids::OperationId;
use crate::payment::moment::BusinessDate;

use crate::hosts::circuit::Circuit;
use crate::hosts::exchange::Exchange;
use crate::hosts::message::answer::{approval_code_of, response_code_of};
use crate::hosts::message::match_key::{ReceivedKey, rrn_of, stan_of};
use crate::hosts::notice::{HostCutover, HostNotice, QuarantineReason, Quarantined};
use crate::hosts::profile::HostProfile;
use crate::hosts::status::{LineState, StatusBoard};

use super::fault::LineFault;
use super::unmatched::{Treatment, Unmatched};

/// The reporter of one line.
pub(in crate::hosts) struct Reporter {
    pub(in crate::hosts) profile: Arc<HostProfile>,
    /// Its host's place on the board.
    pub(in crate::hosts) host: usize,
    /// Its own place, from 0.
    pub(in crate::hosts) line: usize,
    pub(in crate::hosts) board: Arc<StatusBoard>,
    pub(in crate::hosts) clock: Arc<dyn Clock>,
    pub(in crate::hosts) notices: mpsc::Sender<HostNotice>,
    pub(in crate::hosts) cutovers: mpsc::Sender<HostCutover>,
    pub(in crate::hosts) circuit: Arc<Circuit>,
    pub(in crate::hosts) unmatched: Unmatched,
}

impl Reporter {
    /// The line's number for people: from 1, as operators see it everywhere.
    const fn number(&self) -> usize {
        self.line.saturating_add(1)
    }

    /// Records what the line is doing.
    pub(super) fn state(&self, state: LineState, fault: Option<String>) {
        self.board
            .set(self.host, self.line, state, self.clock.now(), fault);
    }

    /// Passes a notice on. A full queue does not hold up the line: the notice goes to the log
    /// instead, where it can still be seen.
    pub(super) fn notice(&self, notice: HostNotice) {
        if let Err(error) = self.notices.try_send(notice) {
            let (mpsc::error::TrySendError::Full(notice)
            | mpsc::error::TrySendError::Closed(notice)) = error;
            tracing::error!(
                host.id = %self.profile.host_id,
                line = self.number(),
                ?notice,
                "a notice could not be recorded"
            );
        }
    }

    /// The line signed on.
    pub(super) fn line_up(&self) {
        self.state(LineState::SignedOn, None);
        tracing::info!(host.id = %self.profile.host_id, line = self.number(), "the line is up");
    }

    /// The host has not said anything since a request was written, for longer than its profile expects.
    pub(super) fn line_silent(&self) {
        tracing::warn!(
            host.id = %self.profile.host_id,
            line = self.number(),
            "the host is silent; the line takes no payments until it answers an echo"
        );
    }

    /// The host would not be trusted any more: the line finishes what is in flight, and connects again.
    pub(super) fn not_trusted(&self, fault: &LineFault) {
        tracing::warn!(
            host.id = %self.profile.host_id, line = self.number(), %fault,
            "the line signs off and connects again"
        );
        self.state(LineState::Draining, Some(fault.to_string()));
    }

    /// The line was lost, and why.
    pub(super) fn line_lost(&self, fault: &LineFault) {
        tracing::warn!(
            host.id = %self.profile.host_id, line = self.number(), %fault, "the line is down"
        );
        self.state(LineState::BackingOff, Some(fault.to_string()));
    }

    /// The line ended as it was asked to.
    pub(super) fn line_closed(&self) {
        self.state(LineState::Closed, None);
        tracing::info!(host.id = %self.profile.host_id, line = self.number(), "the line is closed");
    }

    /// The host has begun another date. Where nobody can record it now, the host is not answered.
    pub(super) fn cutover(&self, next: BusinessDate, recorded: oneshot::Sender<bool>) {
        let cutover = HostCutover {
            host_id: self.profile.host_id,
            next,
            recorded,
        };
        if self.cutovers.try_send(cutover).is_err() {
            tracing::error!(host.id = %self.profile.host_id, %next, "a cutover of the host could not be recorded");
        }
    }

    /// The answer to an operation decided nothing: its sender had given up, or it does
    /// not say for certain what the bank did.
    pub(super) fn late_response(
        &self,
        operation_id: OperationId,
        response_code: ResponseCode,
        approval_code: String,
        exchange: Exchange,
    ) {
        self.circuit.answered_late(Instant::now());
        self.notice(HostNotice::LateResponse {
            host_id: self.profile.host_id,
            operation_id,
            response_code,
            approval_code,
            exchange,
            at: self.clock.now(),
        });
    }

    /// Puts a message into the quarantine: what could be read of it, and its bytes, masked. Of a flood of them the first
    /// ones are kept.
    ///
    /// # Errors
    /// [`LineFault::Flood`] when there were too many.
    pub(super) fn quarantine(
        &self,
        message: Option<&Message<'_>>,
        bytes: &[u8],
        reason: QuarantineReason,
    ) -> Result<(), LineFault> {
        self.board.unmatched(self.host, self.line);
        match self.unmatched.came(Instant::now()) {
            Treatment::Keep => {}
            Treatment::LastSaid => {
                tracing::error!(
                    host.id = %self.profile.host_id, line = self.number(),
                    "the host sends many messages that nobody waits for; the next ones are only counted"
                );
                return Ok(());
            }
            Treatment::Count => return Ok(()),
            Treatment::Close => return Err(LineFault::Flood),
        }
        let quarantined = Quarantined {
            host_id: self.profile.host_id,
            line: self.number(),
            reason,
            mti: message.map(|message| message.mti().to_string()),
            stan: message.and_then(stan_of),
            rrn: message.and_then(rrn_of),
            shows_rrn: message.is_some_and(|message| masked::is_shown(message, 37)),
            response_code: message.and_then(response_code_of),
            approval_code: message.map(approval_code_of).unwrap_or_default(),
            key: message.map(ReceivedKey::of),
            masked: masked::masked_hex(&self.profile.dialect, bytes),
            at: self.clock.now(),
        };
        tracing::warn!(
            host.id = %self.profile.host_id,
            line = self.number(),
            reason = %quarantined.reason,
            mti = quarantined.mti.as_deref(),
            stan = quarantined.stan.map(tracing::field::display),
            rrn = quarantined.shown_rrn().map(tracing::field::display),
            "a message went to the quarantine"
        );
        self.notice(HostNotice::Quarantined(Box::new(quarantined)));
        Ok(())
    }

    /// Says in the quarantine that a stream fell out of step. None of its bytes go there: where one
    /// can't tell a message's beginning, a PAN may lie anywhere.
    ///
    /// # Errors
    /// [`LineFault::Flood`] when there were too many.
    pub(super) fn quarantine_unframed(&self, error: &FramingError) -> Result<(), LineFault> {
        let reason = QuarantineReason::Undecodable {
            detail: error.to_string(),
        };
        self.quarantine(None, &[], reason)
    }
}
