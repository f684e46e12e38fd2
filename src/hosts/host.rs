//! One host as the senders see it: encodes a request, chooses a line, waits.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::payment::decline::{FailureReason, UnknownReason};
use crate::payment::ids::OperationId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Element, Operation};
use crate::payment::reference::{Rrn, SequenceNumber};
use crate::stack;

use super::circuit::Circuit;
use super::exchange::Exchange;
use super::line::endpoint::Endpoint;
use super::line::orders::Order;
use super::line::{LineHandle, QueuedRequest, waiter};
use super::message::build::{Encoder, request_key, sent_elements};
use super::message::contents::Outgoing;
use super::message::definition::MessageProfile;
use super::message::error::MessageError;
use super::message::local_clock::time_zone;
use super::message::match_key::{ReceivedKey, RequestKey};
use super::message::rrn::RrnForm;
use super::message::shown::{self, ShownElement};
use super::profile::HostProfile;
use super::status::{LinePlace, Share};

/// The most requests of which it is remembered which connection carried them.
const MOST_CARRIED: usize = 16_384;
/// Encoders that a host keeps for reuse; more are made when more are needed at once.
const SPARE_ENCODERS: usize = 64;

/// One host, as the senders see it.
pub(super) struct Host {
    pub(super) profile: Arc<HostProfile>,
    pub(super) lines: Vec<LineHandle>,
    /// How it is reached, as the lines see it.
    pub(super) endpoint: watch::Sender<Arc<Endpoint>>,
    /// What the lines are to do.
    pub(super) order: watch::Sender<Order>,
    pub(super) circuit: Arc<Circuit>,
    encoders: Mutex<Vec<Encoder>>,
    /// The connections that carried requests without an answer: the line, and its number on that line. The names
    /// of operations begin with the time, so the first is the oldest.
    carried: Mutex<BTreeMap<OperationId, (usize, u64)>>,
}

impl Host {
    pub(super) fn new(
        profile: Arc<HostProfile>,
        lines: Vec<LineHandle>,
        endpoint: watch::Sender<Arc<Endpoint>>,
        order: watch::Sender<Order>,
        circuit: Arc<Circuit>,
    ) -> Self {
        Self {
            profile,
            lines,
            endpoint,
            order,
            circuit,
            encoders: Mutex::default(),
            carried: Mutex::default(),
        }
    }

    /// See [`Hosts::send`](super::Hosts::send).
    pub(super) async fn send(&self, outgoing: Outgoing<'_>, deadline: Instant) -> Exchange {
        let now = Instant::now();
        if now >= deadline {
            return Exchange::NotSent(FailureReason::DeadlineBeforeSend);
        }
        let until = deadline.min(now + self.profile.reply_timeout);
        let operation_id = outgoing.operation.id;
        let (line, place) = match self.reserve_place(Share::Requests, None) {
            Ok(reserved) => reserved,
            Err(reason) => return Exchange::NotSent(reason),
        };
        let Some(admitted) = self.circuit.admit(outgoing.merchant.id, now) else {
            return Exchange::NotSent(FailureReason::CircuitOpen);
        };
        let claim_by = until.checked_sub(self.profile.least_reply);
        let exchange = self.exchange(outgoing, (line, place), claim_by, until);
        let exchange = exchange.await;
        let ended_at = Instant::now();
        match exchange {
            Exchange::NotSent(_) => drop(admitted),
            // A connection that breaks says nothing of a request that it has just carried.
            Exchange::Unknown(UnknownReason::ConnectionLost)
                if ended_at < now + self.profile.least_reply =>
            {
                drop(admitted);
            }
            Exchange::Unknown(_) => admitted.ended(false, ended_at),
            _ => admitted.ended(true, ended_at),
        }
        if exchange == Exchange::Unknown(UnknownReason::NoAnswerInTime) {
            self.remember_carrier(operation_id, line);
        }
        exchange
    }

    /// See [`Hosts::send_owed`](super::Hosts::send_owed).
    pub(super) async fn send_owed(&self, outgoing: Outgoing<'_>, claim_by: Instant) -> Exchange {
        let until = Instant::now() + self.profile.reply_timeout;
        let carrier = outgoing
            .original
            .and_then(|original| self.carrier(original.operation.id));
        let (line, place) = match self.reserve_place(Share::Owed, carrier) {
            Ok(reserved) => reserved,
            Err(reason) => return Exchange::NotSent(reason),
        };
        let usual = until.checked_sub(self.profile.least_reply);
        let claim_by = usual.map(|usual| usual.min(claim_by));
        self.exchange(outgoing, (line, place), claim_by, until)
            .await
    }

    /// Whether a line takes messages.
    pub(super) fn is_up(&self) -> bool {
        let up = |line: &LineHandle| line.open.load(Ordering::Acquire);
        self.lines.iter().any(up)
    }

    /// Sends a message on a line on which it has a place, not after `claim_by`, and waits for the answer until
    /// `until`.
    async fn exchange(
        &self,
        outgoing: Outgoing<'_>,
        (line, place): (usize, LinePlace),
        claim_by: Option<Instant>,
        until: Instant,
    ) -> Exchange {
        let operation = outgoing.operation;
        let now = Instant::now();
        let Some(claim_by) = claim_by.filter(|claim_by| now < *claim_by) else {
            return Exchange::NotSent(FailureReason::NoTimeForTheBank);
        };
        let Some(line) = self.lines.get(line) else {
            return Exchange::NotSent(FailureReason::HostUnavailable);
        };
        // From here on `pending` gives the place on the line back, however this ends.
        let (waiter, pending) = waiter::request(operation, place, now);
        let (frame, key) = match self.encode(outgoing) {
            Ok(encoded) => encoded,
            Err(error) => {
                tracing::error!(
                    host.id = %self.profile.host_id,
                    payment.id = %operation.payment_id,
                    operation.id = %operation.id,
                    %error,
                    "a message could not be built"
                );
                return Exchange::NotSent(FailureReason::MessageNotBuildable);
            }
        };
        let queued = QueuedRequest {
            frame,
            key,
            claim_by,
            deadline: until,
            waiter,
        };
        if let Err(error) = line.queue.try_send(queued) {
            return Exchange::NotSent(match error {
                mpsc::error::TrySendError::Full(_) => FailureReason::HostBusy,
                mpsc::error::TrySendError::Closed(_) => FailureReason::HostUnavailable,
            });
        }
        pending.outcome(until).await
    }

    /// Remembers which connection carried a request that was not answered in time: the one that the line has now,
    /// since a request ends with its connection.
    fn remember_carrier(&self, operation_id: OperationId, line: usize) {
        let connection = self.connection_of(line);
        let mut carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        carried.insert(operation_id, (line, connection));
        if carried.len() > MOST_CARRIED {
            carried.pop_first();
        }
    }

    /// The line whose connection carried a request, while that connection lives.
    fn carrier(&self, operation_id: OperationId) -> Option<usize> {
        let carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        let (line, connection) = *carried.get(&operation_id)?;
        (connection > 0 && self.connection_of(line) == connection).then_some(line)
    }

    /// The number of a line's connection; 0 where it is not signed on.
    fn connection_of(&self, line: usize) -> u64 {
        let line = self.lines.get(line);
        line.map_or(0, |line| line.connection.load(Ordering::Acquire))
    }

    /// See [`Hosts::rrn`](super::Hosts::rrn).
    pub(super) fn rrn(
        &self,
        merchant: &Merchant,
        number: SequenceNumber,
        date: NumberDate,
        at: UnixMillis,
    ) -> Rrn {
        if self.profile.rrn == RrnForm::Sequence {
            return number.rrn(date);
        }
        let zone = match &self.profile.time_zone {
            Some(zone) => Some(zone.clone()),
            None => time_zone(&merchant.time_zone),
        };
        // Without a time zone the message can't be built either.
        zone.map_or_else(
            || number.rrn(date),
            |zone| self.profile.rrn.rrn(number, date, at, &zone),
        )
    }

    /// See [`Hosts::sent_elements`](super::Hosts::sent_elements).
    pub(super) fn sent_elements(
        &self,
        outgoing: Outgoing<'_>,
    ) -> Result<Vec<Element>, MessageError> {
        let message = self.message(outgoing.operation.kind)?;
        sent_elements(message, self.profile.format(), outgoing)
    }

    /// See [`Hosts::shown_request`](super::Hosts::shown_request).
    pub(super) fn shown_request(&self, outgoing: Outgoing<'_>) -> Vec<ShownElement> {
        let Ok(message) = self.message(outgoing.operation.kind) else {
            return Vec::new();
        };
        let format = self.profile.format();
        shown::request(message, format, outgoing)
            .unwrap_or_else(|_| shown::elements_of(message, format, &outgoing.operation.sent))
    }

    /// See [`Hosts::shown_answer`](super::Hosts::shown_answer).
    pub(super) fn shown_answer(&self, operation: &Operation) -> Vec<ShownElement> {
        let message = self.message(operation.kind);
        message.map_or_else(
            |_| Vec::new(),
            |message| shown::answer(message, self.profile.format(), operation),
        )
    }

    /// Whether a message would be taken for the answer to an operation.
    pub(super) fn is_answer(&self, received: &ReceivedKey, operation: &Operation) -> bool {
        let Ok(message) = self.message(operation.kind) else {
            return false;
        };
        request_key(message, self.profile.format(), operation, None)
            .is_ok_and(|sent| sent.rule.differences(&sent, received).is_empty())
    }

    /// Takes a place on the signed-on line with the fewest requests in flight, or on the line `on`.
    fn reserve_place(
        &self,
        share: Share,
        on: Option<usize>,
    ) -> Result<(usize, LinePlace), FailureReason> {
        let limit = self.profile.in_flight_limit;
        // Others take places at the same time, so a line that had one may be full when asked.
        for _ in 0..=self.lines.len() {
            let (number, line) = self
                .lines
                .iter()
                .enumerate()
                .filter(|(number, _)| on.is_none_or(|on| on == *number))
                .filter(|(_, line)| line.open.load(Ordering::Acquire))
                .min_by_key(|(_, line)| line.load.taken())
                .ok_or(FailureReason::HostUnavailable)?;
            if let Some(place) = line.load.take(share, limit) {
                return Ok((number, place));
            }
        }
        Err(FailureReason::HostBusy)
    }

    fn message(&self, kind: OperationKind) -> Result<&MessageProfile, MessageError> {
        self.profile
            .messages
            .get(kind)
            .ok_or(MessageError::NoMapping { kind })
    }

    fn encode(
        &self,
        outgoing: Outgoing<'_>,
    ) -> Result<(Zeroizing<Vec<u8>>, RequestKey), MessageError> {
        let message = self.message(outgoing.operation.kind)?;
        let format = self.profile.format();
        let original = outgoing.original.map(|original| original.operation);
        let key = request_key(message, format, outgoing.operation, original)?;
        let spare = self.spare_encoders().pop();
        let mut encoder = spare.unwrap_or_else(Encoder::new);
        let frame = stack::wiped_after_shallow(|| encoder.encode(message, format, outgoing));
        let mut spares = self.spare_encoders();
        if spares.len() < SPARE_ENCODERS {
            spares.push(encoder);
        }
        drop(spares);
        Ok((frame?, key))
    }

    fn spare_encoders(&self) -> std::sync::MutexGuard<'_, Vec<Encoder>> {
        self.encoders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
