//! What a connection receives: frames out of the stream, messages out of frames, and which request each
//! answers.

use std::sync::Arc;

use iso8583::Message;
use iso8583::mti::Class;
use tokio::time::Instant;
use zeroize::Zeroize;

use crate::payment::decline::{Approval, Decline, DeclineReason, ResponseCode, UnknownReason};
use crate::payment::operation::OperationKind;

use crate::hosts::exchange::Exchange;
use crate::hosts::message::definition::Style;
use crate::hosts::message::kept::kept_elements;
use crate::hosts::message::match_key::ReceivedKey;
use crate::hosts::message::response_codes::{Meaning, usual_advice};
use crate::hosts::notice::QuarantineReason;
use crate::hosts::profile::HostProfile;
use crate::hosts::tap::Direction;

use super::connection::{Connection, NetworkRequest, Phase, Stop};
use super::fault::LineFault;
use super::in_flight::{Match, Read};
use super::network::{self, NetworkFunction};
use super::report::{approval_code_of, response_code_of};

impl Connection<'_> {
    /// Takes every whole frame out of what was read.
    pub(super) fn receive_frames(&mut self) -> Result<(), Stop> {
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
                    self.receive_frame(frame, now)
                }
                Err(error) => {
                    self.line.report.quarantine_unframed(&error);
                    Err(LineFault::Undecodable(error.to_string()).into())
                }
            };
        }
        let left = inbound.len().saturating_sub(start);
        inbound.copy_within(start.., 0);
        if let Some(consumed) = inbound.get_mut(left..) {
            consumed.zeroize();
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
        self.line.report.tap(Direction::FromHost, frame);
        let dialect = Arc::clone(&self.line.profile.dialect);
        let message = match dialect.decode(frame) {
            Ok(message) => message,
            Err(error) => {
                let detail = error.to_string();
                let reason = QuarantineReason::Undecodable {
                    detail: detail.clone(),
                };
                self.line.report.quarantine(error.partial(), frame, reason);
                let answered = error
                    .partial()
                    .is_some_and(|part| self.receive_partial(part));
                return if answered {
                    Ok(())
                } else {
                    Err(LineFault::Undecodable(detail).into())
                };
            }
        };
        let mti = message.mti();
        if mti.class() == Class::NetworkManagement {
            self.receive_network_message(&message)
        } else {
            if mti.is_response() {
                self.receive_response(&message, now);
            } else {
                self.line.report.quarantine(
                    Some(&message),
                    frame,
                    QuarantineReason::UnexpectedRequest,
                );
            }
            Ok(())
        }
    }

    /// Ends the payment that a message answers of which type and whole key could be read, and something
    /// else could not: what the bank decided is not known, and no other payment on the line need
    /// suffer for it. Whether there is such a payment.
    fn receive_partial(&mut self, part: &Message<'_>) -> bool {
        let response = part.mti().is_response() && part.mti().class() != Class::NetworkManagement;
        if !response {
            return false;
        }
        match self
            .line
            .in_flight
            .answer(&ReceivedKey::of(part), Read::InPart)
        {
            Match::Found(mut waiter) => {
                waiter.end(Exchange::Unknown(UnknownReason::AnswerNotUnderstood));
                true
            }
            Match::Duplicate | Match::Mismatch(_) | Match::Unmatched => false,
        }
    }

    fn receive_response(&mut self, message: &Message<'_>, now: Instant) {
        let received = ReceivedKey::of(message);
        let reason = match self.line.in_flight.answer(&received, Read::Whole) {
            Match::Found(mut waiter) => {
                let response_code = response_code_of(message);
                let approval_code = approval_code_of(message);
                let took = now.saturating_duration_since(waiter.written_at);
                let bank_us = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
                let outcome = outcome(
                    &self.line.profile,
                    waiter.kind,
                    message,
                    response_code,
                    &approval_code,
                    bank_us,
                );
                let decides = outcome.is_decided();
                if waiter.end(outcome) && decides {
                    return;
                }
                let Some(response_code) = response_code else {
                    let reason = QuarantineReason::NoResponseCode;
                    let bytes = message.as_bytes();
                    return self.line.report.quarantine(Some(message), bytes, reason);
                };
                return self.line.report.late_response(
                    waiter.operation_id,
                    response_code,
                    approval_code,
                );
            }
            Match::Duplicate => QuarantineReason::Duplicate,
            Match::Mismatch(fields) => QuarantineReason::KeyMismatch {
                fields: fields.to_vec(),
            },
            Match::Unmatched => QuarantineReason::NoMatch,
        };
        self.line
            .report
            .quarantine(Some(message), message.as_bytes(), reason);
    }

    fn receive_network_message(&mut self, message: &Message<'_>) -> Result<(), Stop> {
        if let Some(function) = network::requested(message) {
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
                .quarantine(Some(message), message.as_bytes(), reason);
            return Ok(());
        };
        let response_code = response_code_of(message);
        if let Some(asked) = asked {
            asked.answered(response_code);
        }
        if function == NetworkFunction::SignOff {
            return Err(Stop::Drained);
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
}

/// The outcome that an answer stands for, as the profile reads the answers to this kind of message. An answer
/// without a readable code is not understood: the bank may have approved.
fn outcome(
    profile: &HostProfile,
    kind: OperationKind,
    message: &Message<'_>,
    response_code: Option<ResponseCode>,
    approval_code: &str,
    bank_us: i64,
) -> Exchange {
    let (Some(sent), Some(response_code)) = (profile.messages.get(kind), response_code) else {
        return Exchange::Unknown(UnknownReason::AnswerNotUnderstood);
    };
    let declined = |reason, advice| Exchange::Declined {
        decline: Decline {
            reason,
            response_code,
            advice,
        },
        kept: kept_elements(message, &sent.keep, profile.subelements),
        bank_us,
    };
    let has_error = sent.error_element.is_some_and(|de| message.has(de));
    match sent.response_codes.meaning(response_code) {
        Meaning::Approved if has_error && sent.style == Style::Advice => declined(
            DeclineReason::FormatError,
            usual_advice(DeclineReason::FormatError),
        ),
        Meaning::Approved if has_error => Exchange::Unknown(UnknownReason::AnswerNotUnderstood),
        Meaning::Approved => Exchange::Approved {
            approval: Approval {
                approval_code: approval_code.to_owned(),
                response_code,
            },
            kept: kept_elements(message, &sent.keep, profile.subelements),
            bank_us,
        },
        Meaning::Declined { reason, advice } => declined(reason, advice),
        Meaning::Unclear => Exchange::Unknown(UnknownReason::AnswerNotUnderstood),
    }
}
