//! What a connection receives: frames out of the stream, messages out of frames, and which request each
//! answers.

use std::sync::Arc;

use iso8583::mti::{Class, Function};
use iso8583::{DecodeError, Message};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::payment::decline::UnknownReason;
use crate::payment::moment::{BusinessDate, NumberDate};
use crate::stack::wipe_bytes;

use crate::hosts::exchange::Exchange;
use crate::hosts::message::answer::{approval_code_of, outcome_of, response_code_of};
use crate::hosts::message::match_key::ReceivedKey;
use crate::hosts::message::standard_codes::Edition;
use crate::hosts::notice::QuarantineReason;

use super::connection::{Connection, NetworkRequest, Phase, Stop};
use super::fault::LineFault;
use super::in_flight::Match;
use super::network::{self, NetworkFunction};
use super::settlement::{self, AnnouncedCutover};

impl Connection<'_> {
    /// Takes every whole frame out of what was read.
    pub(super) fn receive_frames(&mut self) -> Result<(), Stop> {
        let now = Instant::now();
        self.last_received = now;
        self.unheard_since = None;
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
                    self.receive_frame(frame, now)
                }
                Err(error) => {
                    let kept = self.line.report.quarantine_unframed(&error);
                    Err(kept
                        .err()
                        .unwrap_or_else(|| LineFault::Undecodable(error.to_string()))
                        .into())
                }
            };
        }
        let left = inbound.len().saturating_sub(start);
        inbound.copy_within(start.., 0);
        if let Some(consumed) = inbound.get_mut(left..) {
            wipe_bytes(consumed);
        }
        inbound.truncate(left);
        self.inbound = inbound;
        taken
    }

    fn receive_frame(&mut self, frame: &[u8], now: Instant) -> Result<(), Stop> {
        if frame.is_empty() {
            // Some hosts keep a line open with empty frames.
            return Ok(());
        }
        let dialect = Arc::clone(&self.line.profile.dialect);
        match dialect.decode(frame) {
            Ok(message) => self.receive_message(&message, now),
            Err(error) => self.receive_unreadable(&error, frame, now),
        }
    }

    fn receive_message(&mut self, message: &Message<'_>, now: Instant) -> Result<(), Stop> {
        if message.mti().class() == Class::NetworkManagement {
            return self.receive_network_message(message);
        }
        let unmatched = if settlement::is_of_settlement(message.mti()) {
            self.receive_of_settlement(message)
        } else if message.mti().is_response() {
            self.receive_response(message, now)
        } else {
            Some(QuarantineReason::UnexpectedRequest)
        };
        if let Some(reason) = unmatched {
            let bytes = message.as_bytes();
            self.line.report.quarantine(Some(message), bytes, reason)?;
        }
        Ok(())
    }

    /// Takes what can be read of a message with a fault. An answer that finds its payment all the same
    /// counts, unless what is unreadable decides; one that does not costs that payment alone. Only where not
    /// even the message type can be read, the stream may be out of step.
    fn receive_unreadable(
        &mut self,
        error: &DecodeError<'_>,
        frame: &[u8],
        now: Instant,
    ) -> Result<(), Stop> {
        let detail = error.to_string();
        let reason = QuarantineReason::Undecodable {
            detail: detail.clone(),
        };
        self.line
            .report
            .quarantine(error.partial(), frame, reason)?;
        let Some(part) = error.partial() else {
            return Err(LineFault::Undecodable(detail).into());
        };
        let mti = part.mti();
        if mti.is_response() && mti.class() != Class::NetworkManagement {
            // It is in the quarantine already, whether it matches or not.
            let _ = self.receive_response(part, now);
        }
        Ok(())
    }

    /// Gives an answer to the payment that waits for it, or reports it as late; else says why the quarantine
    /// is its place.
    fn receive_response(
        &mut self,
        message: &Message<'_>,
        now: Instant,
    ) -> Option<QuarantineReason> {
        let mut waiter = match self.line.in_flight.answer(&ReceivedKey::of(message)) {
            Match::Found(waiter) => waiter,
            // Each repeat of a message may be answered.
            Match::Duplicate if is_repeated(message) => {
                tracing::debug!(host.id = %self.line.profile.host_id, "another acknowledgement");
                return None;
            }
            Match::Duplicate => return Some(QuarantineReason::Duplicate),
            Match::Mismatch(fields) => {
                return Some(QuarantineReason::KeyMismatch {
                    fields: fields.to_vec(),
                });
            }
            Match::Unmatched => return Some(QuarantineReason::NoMatch),
        };
        let profile = &self.line.profile;
        let took = now.saturating_duration_since(waiter.written_at);
        let bank_us = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        let outcome = match (profile.messages.get(waiter.kind), waiter.asked) {
            (Some(sent), Some(asked)) => {
                outcome_of(message, sent, profile.subelements, asked, bank_us)
            }
            // Nothing is claimed without both.
            _ => Exchange::Unknown(UnknownReason::AnswerNotUnderstood),
        };
        let decides = outcome.is_decided();
        let exchange = match waiter.end(outcome) {
            None if decides => return None,
            None => Exchange::Unknown(UnknownReason::AnswerNotUnderstood),
            Some(late) => late,
        };
        let Some(response_code) = response_code_of(message) else {
            return Some(QuarantineReason::NoResponseCode);
        };
        let approval_code = approval_code_of(message);
        self.line
            .report
            .late_response(waiter.operation_id, response_code, approval_code, exchange);
        None
    }

    /// Gives the answer to totals, or to an uploaded item, to whoever waits for it.
    fn receive_of_settlement(&mut self, message: &Message<'_>) -> Option<QuarantineReason> {
        if !message.mti().is_response() {
            return Some(QuarantineReason::UnexpectedRequest);
        }
        let mut waiting = self.settlement.iter();
        let Some(found) = waiting.position(|waiting| waiting.is_answered_by(message)) else {
            return Some(QuarantineReason::NoMatch);
        };
        self.settlement.swap_remove(found).answered(message);
        None
    }

    /// Has the cutover of the host recorded. It is answered then; where it says no date, at once.
    fn receive_cutover(&mut self, message: &Message<'_>) -> Result<(), Stop> {
        let Some(mti) = message
            .mti()
            .response()
            .filter(|_| self.announced.is_none())
        else {
            // It is announced again while it is being recorded.
            return Ok(());
        };
        let (answer, recorded) = oneshot::channel();
        let announced = AnnouncedCutover {
            mti,
            header: message.header().to_vec(),
            elements: network::echoed(message),
            recorded,
        };
        let near = NumberDate::of(self.line.report.clock.now());
        match network::cutover_date(message)
            .and_then(|text| BusinessDate::named(&text, near.into()))
        {
            Some(next) => self.line.report.cutover(next, answer),
            None => {
                // It is refused below.
                let _ = answer.send(false);
            }
        }
        self.announced = Some(announced);
        Ok(())
    }

    fn receive_network_message(&mut self, message: &Message<'_>) -> Result<(), Stop> {
        let requested = network::requested(message);
        if requested == Some(NetworkFunction::Cutover)
            && self.line.profile.calendar.is_cut_by_host()
        {
            return self.receive_cutover(message);
        }
        // A host whose days end by the clock does not say so.
        let requested = requested.filter(|function| *function != NetworkFunction::Cutover);
        if let Some(function) = requested {
            network::build_confirmation(&mut self.builder, message);
            self.write_network(function)?;
            if function == NetworkFunction::SignOff {
                self.host_signed_off();
            }
            return Ok(());
        }
        let answered = self
            .network_request
            .take_if(|sent| network::answers(message, sent.function, sent.stan));
        let Some(NetworkRequest {
            function, asked, ..
        }) = answered
        else {
            let reason = if message.mti().is_response() {
                QuarantineReason::NoMatch
            } else {
                QuarantineReason::UnexpectedRequest
            };
            self.line
                .report
                .quarantine(Some(message), message.as_bytes(), reason)?;
            return Ok(());
        };
        let response_code = response_code_of(message);
        if let Some(asked) = asked {
            asked.answered(response_code);
        }
        if function == NetworkFunction::SignOff {
            return Err(Stop::Drained);
        }
        let accepted = Edition::of(message.dialect().version()).network_accepted;
        if response_code.is_none_or(|code| code.as_str() != accepted) {
            return Err(LineFault::NetworkRefused {
                function,
                response_code,
            }
            .into());
        }
        if function == NetworkFunction::SignOn && self.phase == Phase::SigningOn {
            self.come_up();
        }
        self.heard();
        Ok(())
    }
}

/// Whether a response answers a message that is repeated until it is acknowledged.
fn is_repeated(message: &Message<'_>) -> bool {
    message.mti().class() == Class::Reversal || message.mti().function() == Function::AdviceResponse
}
