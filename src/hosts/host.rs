//! One host as the senders see it: encodes a request, chooses a line, waits.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::payment::decline::FailureReason;
use crate::payment::merchant::Merchant;
use crate::payment::operation::OperationKind;
use crate::payment::record::Operation;

use super::exchange::Exchange;
use super::line::{LineHandle, QueuedRequest, claim_by, waiter};
use super::message::build::{Encoder, MessageError, request_key};
use super::message::contents::{CardFields, Contents};
use super::message::match_key::{ReceivedKey, RequestKey};
use super::profile::HostProfile;

/// Encoders that a host keeps for reuse; more are made when more are needed at once.
const SPARE_ENCODERS: usize = 64;

/// One host, as the senders see it.
pub(super) struct Host {
    pub(super) profile: Arc<HostProfile>,
    lines: Vec<LineHandle>,
    encoders: Mutex<Vec<Encoder>>,
}

impl Host {
    pub(super) fn new(profile: Arc<HostProfile>, lines: Vec<LineHandle>) -> Self {
        Self {
            profile,
            lines,
            encoders: Mutex::default(),
        }
    }

    /// See [`Hosts::send`](super::Hosts::send).
    pub(super) async fn send(
        &self,
        operation: &Operation,
        merchant: &Merchant,
        card: Option<CardFields<'_>>,
        deadline: Instant,
    ) -> Exchange {
        let now = Instant::now();
        if now >= deadline {
            return Exchange::NotSent(FailureReason::DeadlineBeforeSend);
        }
        let until = deadline.min(now + self.profile.reply_timeout);
        let line = match self.reserve_place() {
            Ok(line) => line,
            Err(reason) => return Exchange::NotSent(reason),
        };
        // From here on `pending` gives the place on the line back, however this ends.
        let (waiter, pending) = waiter::request(operation.id, Arc::clone(&line.load), now);
        let contents = Contents {
            operation,
            merchant,
            card,
        };
        let encoded = self.encode(contents);
        let (frame, key) = match encoded {
            Ok(encoded) => encoded,
            Err(error) => {
                tracing::error!(
                    host.id = %self.profile.host_id,
                    payment.id = %operation.payment_id,
                    %error,
                    "a message could not be built"
                );
                return Exchange::NotSent(FailureReason::MessageNotBuildable);
            }
        };
        let queued = QueuedRequest {
            frame,
            key,
            claim_by: claim_by(now, until),
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

    /// Whether a message would be taken for the answer to an operation.
    pub(super) fn is_answer(&self, received: &ReceivedKey, operation: &Operation) -> bool {
        request_key(&self.profile.authorization, operation).is_ok_and(|sent| {
            let differing = self.profile.match_rule.differences(&sent, received);
            differing.is_empty()
        })
    }

    /// Takes a place on the signed-on line with the fewest requests in flight.
    fn reserve_place(&self) -> Result<&LineHandle, FailureReason> {
        let limit = self.profile.in_flight_limit;
        // Others take places at the same time, so a line that had one may be full when asked.
        for _ in 0..=self.lines.len() {
            let line = self
                .lines
                .iter()
                .filter(|line| line.open.load(Ordering::Acquire))
                .min_by_key(|line| line.load.load(Ordering::Relaxed))
                .ok_or(FailureReason::HostUnavailable)?;
            let taken = line
                .load
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                    (count < limit).then_some(count + 1)
                });
            if taken.is_ok() {
                return Ok(line);
            }
        }
        Err(FailureReason::HostBusy)
    }

    fn encode(
        &self,
        contents: Contents<'_>,
    ) -> Result<(Zeroizing<Vec<u8>>, RequestKey), MessageError> {
        let mapping = match contents.operation.kind {
            OperationKind::Authorization => &self.profile.authorization,
            kind => return Err(MessageError::NoMapping { kind }),
        };
        let key = request_key(mapping, contents.operation)?;
        let spare = self.spare_encoders().pop();
        let mut encoder = spare.unwrap_or_else(Encoder::new);
        let frame = encoder.encode(mapping, self.profile.writing(), contents);
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
