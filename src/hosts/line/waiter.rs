//! The sender of a request waits for its outcome, and each request ends exactly once.
//!
//! The sender and the line share a stage. The first to move it wins: the line by claiming the request for
//! the write, or by answering it; the sender by giving up. So "not sent" is certain when it is said, and
//! an answer that races the time-out is either taken or late, never both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::payment::decline::{FailureReason, UnknownReason};
use crate::payment::ids::OperationId;
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::Operation;

use crate::hosts::exchange::Exchange;
use crate::hosts::message::amount::AskedAmount;
use crate::hosts::status::LinePlace;

use super::in_flight::Waiting;

const QUEUED: u8 = 0;
const WRITTEN: u8 = 1;
const ENDED: u8 = 2;

/// How far a request is.
#[derive(Debug, Default)]
struct Stage(AtomicU8);

impl Stage {
    fn advance(&self, from: u8, to: u8) -> bool {
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

/// The line's end of a request.
#[derive(Debug)]
pub(in crate::hosts) struct Waiter {
    stage: Arc<Stage>,
    reply: Option<oneshot::Sender<Exchange>>,
    /// The operation that it is about.
    pub(in crate::hosts) operation_id: OperationId,
    /// Its kind: the profile reads the answer to each kind in its own way.
    pub(in crate::hosts) kind: OperationKind,
    /// The amount that it names, by which the amount of its answer is judged; none before the claim.
    pub(in crate::hosts) asked: Option<AskedAmount>,
    /// When it was claimed for the write.
    pub(in crate::hosts) written_at: Instant,
}

/// The sender's end of a request. Dropping it gives up, and gives its place on the line back.
#[derive(Debug)]
pub(in crate::hosts) struct Pending {
    stage: Arc<Stage>,
    reply: oneshot::Receiver<Exchange>,
    _place: LinePlace,
}

/// Both ends of a new request, which takes up `place`.
pub(in crate::hosts) fn request(
    operation: &Operation,
    place: LinePlace,
    now: Instant,
) -> (Waiter, Pending) {
    let stage = Arc::new(Stage::default());
    let (sender, receiver) = oneshot::channel();
    let waiter = Waiter {
        stage: Arc::clone(&stage),
        reply: Some(sender),
        operation_id: operation.id,
        kind: operation.kind,
        asked: None,
        written_at: now,
    };
    let pending = Pending {
        stage,
        reply: receiver,
        _place: place,
    };
    (waiter, pending)
}

impl Waiter {
    /// Claims the request for a write that begins at `now`; from then on it may have been sent.
    /// `false` when its sender gave up before.
    pub(in crate::hosts) fn claim(&mut self, asked: AskedAmount, now: Instant) -> bool {
        self.asked = Some(asked);
        self.written_at = now;
        self.stage.advance(QUEUED, WRITTEN)
    }

    /// Whether somebody still waits for the answer.
    pub(in crate::hosts) fn is_waiting(&self) -> bool {
        self.stage.0.load(Ordering::Acquire) == WRITTEN
    }

    /// Ends a request that was not claimed: certainly not sent.
    pub(in crate::hosts) fn refuse(mut self, reason: FailureReason) {
        if self.stage.advance(QUEUED, ENDED) {
            self.send(Exchange::NotSent(reason));
        }
    }

    /// Ends a request that was claimed. Gives back what has come too late: the sender has given up.
    pub(in crate::hosts) fn end(&mut self, exchange: Exchange) -> Option<Exchange> {
        if !self.stage.advance(WRITTEN, ENDED) {
            return Some(exchange);
        }
        self.send(exchange);
        None
    }

    fn send(&mut self, exchange: Exchange) {
        if let Some(reply) = self.reply.take() {
            // The receiver is dropped only by a sender that gave up in the same moment; there is no
            // one to tell then.
            let _ = reply.send(exchange);
        }
    }
}

impl Waiting for Waiter {
    fn is_waiting(&self) -> bool {
        Waiter::is_waiting(self)
    }
}

impl Pending {
    /// The outcome: what the line says, or at `until` what the stage proves.
    pub(in crate::hosts) async fn outcome(mut self, until: Instant) -> Exchange {
        match tokio::time::timeout_at(until, &mut self.reply).await {
            Ok(Ok(exchange)) => exchange,
            // The line's task ended without an answer.
            Ok(Err(_)) => self.ended_by(
                FailureReason::HostUnavailable,
                UnknownReason::ConnectionLost,
            ),
            Err(_) => {
                self.give_up(
                    FailureReason::DeadlineBeforeSend,
                    UnknownReason::NoAnswerInTime,
                )
                .await
            }
        }
    }

    /// Ends the request from this side; says "not sent" only when the line never claimed it.
    fn ended_by(&self, not_sent: FailureReason, unknown: UnknownReason) -> Exchange {
        if self.stage.advance(QUEUED, ENDED) {
            return Exchange::NotSent(not_sent);
        }
        self.stage.advance(WRITTEN, ENDED);
        Exchange::Unknown(unknown)
    }

    async fn give_up(&mut self, not_sent: FailureReason, unknown: UnknownReason) -> Exchange {
        if self.stage.advance(QUEUED, ENDED) {
            return Exchange::NotSent(not_sent);
        }
        if self.stage.advance(WRITTEN, ENDED) {
            return Exchange::Unknown(unknown);
        }
        // The line ended it in the same moment: it sends right after, or its task is gone and the
        // channel with it. Either ends this at once.
        (&mut self.reply)
            .await
            .unwrap_or(Exchange::Unknown(unknown))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.stage.advance(QUEUED, ENDED) {
            self.stage.advance(WRITTEN, ENDED);
        }
    }
}
