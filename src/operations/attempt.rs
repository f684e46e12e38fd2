//! One attempt to send what is owed: recorded, sent, and its end recorded. Every record goes on from the version that
//! was read, so that a node whose entry another one has taken can record nothing.

use std::time::Duration;

use tokio::sync::Semaphore;

use crate::fault_points::FaultPoint;
use crate::hosts::exchange::Exchange;
use crate::hosts::message::contents::{Original, Outgoing};
use crate::hosts::message::definition::{MessageProfile, Repeats};
use crate::hosts::message::meaning::Meaning;
use crate::payment::adjustment::without_effect;
use crate::payment::custody::{CustodyEntry, CustodyTimes};
use crate::payment::decline::{Decline, FailureReason, UnknownReason};
use crate::payment::ids::NodeId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::operation::{Open, OperationEvent, OperationState, SuspendReason};
use crate::payment::operation_kind::OperationKind;
use crate::payment::planted::{Mistake, planted};
use crate::payment::record::{Attempts, Operation};
use crate::store::error::StoreError;
use crate::store::reads::owed::OwedEntry;

use super::flow::{OwedDecision, OwedFlow, OwedSubject};
use super::kept_card::{NoCard, fields_of};
use super::machine::Operations;
use super::outcome::Undecidable;
use super::owe::log_suspended;
use super::owed_step::{Beside, OwedStep, log_not_recorded};

impl Operations {
    /// Sends an owed message once more, when one of the places of `window` is free, and records what came of it. `card`
    /// is what was read of the payment's card before.
    pub(super) async fn attempt(
        &self,
        entry: OwedEntry,
        card: Option<CustodyEntry>,
        merchant: &Merchant,
        window: &Semaphore,
    ) {
        // The place is taken before the attempt is recorded, so that an entry that moves during the wait is not sent. A
        // drain ends the wait.
        let place = tokio::select! {
            place = window.acquire() => place.ok(),
            () = self.sending.cancelled() => None,
        };
        if place.is_none() {
            return;
        }
        let operation = &entry.operation;
        let message = self.hosts.message(operation.host_id, operation.kind);
        let Some(message) = message.filter(|message| message.is_repeated()) else {
            return self.suspend(entry, SuspendReason::NotBuildable, None).await;
        };
        let before = operation.attempts;
        if used_up(operation, &message.repeats) {
            let reason = SuspendReason::AttemptsUsedUp;
            return self.suspend(entry, reason, None).await;
        }
        match self.overtakes_a_capture(operation).await {
            Ok(false) => {}
            Ok(true) => {
                let now = self.clock.now();
                let waited_ms = now.as_i64() - operation.created_at.as_i64();
                let waited = Duration::from_millis(u64::try_from(waited_ms).unwrap_or(0)) / 4;
                let wait = waited.clamp(message.repeats.first, message.repeats.longest);
                let step = self.repeat(&entry, |attempts| attempts.next_at = Some(now.plus(wait)));
                Box::pin(self.record_step(entry, step)).await;
                return;
            }
            // The entry stays due.
            Err(error) => return log_not_recorded(&entry, &error),
        }
        let card = match self.kept_card(&entry.payment, operation, card).await {
            Ok(card) => card,
            Err(NoCard::Gone) => return self.suspend(entry, SuspendReason::NoCard, None).await,
            // The entry is due again a little later, so that other entries are sent meanwhile.
            Err(NoCard::NotNow) => {
                let next_at = self.clock.now().plus(message.repeats.first);
                let step = self.repeat(&entry, |attempts| attempts.next_at = Some(next_at));
                Box::pin(self.record_step(entry, step)).await;
                return;
            }
        };
        let Some(mut entry) = self.begin_attempt(entry, message).await else {
            return;
        };
        let outgoing = Outgoing {
            original: Some(Original::of(&entry.original)),
            repeat: entry.operation.attempts.count > 1,
            ..Outgoing::first(&entry.operation, merchant, card.as_ref().map(fields_of))
        };
        // Recording the attempt may have taken long. No byte leaves later than the record allows.
        let exchange = if self.clock.now() < self.leaves_until(&entry.operation) {
            let owns_until = self.store.owns_until();
            self.hosts.send_owed(outgoing, owns_until).await
        } else {
            Exchange::NotSent(FailureReason::DeadlineBeforeSend)
        };
        drop((card, place));
        if let Exchange::NotSent(_) = exchange {
            // The attempt does not count.
            entry.operation.attempts = before;
        }
        self.end_attempt(entry, &exchange).await;
    }

    /// As [`overtakes_a_capture`].
    async fn overtakes_a_capture(&self, operation: &Operation) -> Result<bool, StoreError> {
        if operation.kind != OperationKind::Release {
            return Ok(false);
        }
        let all = self.store.operations_of(operation.payment_id).await?;
        Ok(overtakes_a_capture(operation, &all))
    }

    /// After this moment no byte of the last attempt leaves.
    fn leaves_until(&self, operation: &Operation) -> UnixMillis {
        let last_at = operation.attempts.last_at.unwrap_or(UnixMillis::new(0));
        last_at.plus(self.hosts.reply_timeout(operation.host_id))
    }

    /// After this moment nobody waits for an answer to the last attempt.
    pub(super) fn in_flight_until(&self, operation: &Operation) -> UnixMillis {
        let reply = self.hosts.reply_timeout(operation.host_id);
        self.leaves_until(operation).plus(reply)
    }

    /// Records an attempt before a byte of it leaves. Until its end is known, the next one is due after the host's
    /// time for an answer and the back-off. None where somebody else has changed the entry.
    async fn begin_attempt(&self, entry: OwedEntry, message: &MessageProfile) -> Option<OwedEntry> {
        let flow = self.flows.owed(entry.operation.kind)?;
        let reply = self.hosts.reply_timeout(entry.operation.host_id);
        let step = begun(
            &entry,
            flow,
            (&message.repeats, reply),
            self.node_id,
            self.moment(),
        );
        if step.is_err() {
            // The payment would not take it the next time either.
            let reason = SuspendReason::NotBuildable;
            self.suspend(entry, reason, None).await;
            return None;
        }
        Box::pin(self.record_step(entry, step)).await
    }

    /// Records what the end of an attempt means.
    pub(super) async fn end_attempt(&self, entry: OwedEntry, exchange: &Exchange) {
        let operation = &entry.operation;
        let message = self.hosts.message(operation.host_id, operation.kind);
        let (Some(flow), Some(message)) = (self.flows.owed(operation.kind), message) else {
            return;
        };
        let repeats = &message.repeats;
        let approved = match exchange {
            Exchange::OriginalUnknown { .. } => self.has_approved(&entry.original).await,
            _ => Ok(false),
        };
        let approved = match approved {
            Ok(approved) => approved,
            // The message is sent again.
            Err(error) => return log_not_recorded(&entry, &error),
        };
        let decision = flow.decide(
            exchange,
            &OwedSubject {
                operation,
                original: &entry.original,
                payment: &entry.payment,
                repeats,
                approved,
            },
        );
        let owes = match &decision {
            OwedDecision::Done { payment, .. } => {
                FaultPoint::Acknowledgement.pass();
                let event = payment.as_ref().map(|(event, _)| event);
                let now = self.clock.now();
                match self.undone_with(event, &entry.payment, None, now).await {
                    Ok(owes) => owes,
                    // The message is sent again.
                    Err(error) => return log_not_recorded(&entry, &error),
                }
            }
            _ => Vec::new(),
        };
        let refused = match &decision {
            OwedDecision::Refused(decline) => Some(*decline),
            _ => None,
        };
        let sender = (self.node_id, repeats);
        let end = End {
            exchange,
            decision,
            owes,
        };
        let Some(step) = ended(&entry, end, sender, self.moment()) else {
            return;
        };
        if let Some(decline) = refused {
            log_refused(operation, &decline);
        }
        let suspended = match &step {
            Ok(step) => step.suspended(),
            Err(_) => None,
        };
        let before = (entry.operation.clone(), entry.original.version);
        let operation_id = before.0.id;
        if let Some(entry) = Box::pin(self.record_step(entry, step)).await {
            if let Some(reason) = suspended {
                log_suspended(&entry.operation, reason);
            }
            return;
        }
        let Ok(Some(moved)) = self.store.owed_entry(operation_id).await else {
            return;
        };
        if original_moved_alone((before.0.version, before.1), &moved) {
            return Box::pin(self.end_attempt(moved, exchange)).await;
        }
        if let Exchange::Approved { .. } | Exchange::Taken { .. } = exchange {
            log_if_resolved(&moved.operation);
        }
    }

    /// Whether the bank has said, in time or late, that it approved a request, be it for another amount.
    async fn has_approved(&self, original: &Operation) -> Result<bool, StoreError> {
        if approved_in_time(original) {
            return Ok(true);
        }
        let late = self.store.late_response(original.id).await?;
        let meaning = |code| self.hosts.meaning(original.host_id, original.kind, code);
        Ok(late.is_some_and(|late| {
            let meaning = meaning(late.response_code);
            matches!(meaning, Some(Meaning::Approved | Meaning::PARTLY_APPROVED))
        }))
    }
}

/// The record of an attempt, before a byte of it leaves. Until its end is known, the next one is due after the host's
/// time for an answer and the back-off.
///
/// # Errors
/// When the payment can't take what begins.
pub(crate) fn begun(
    entry: &OwedEntry,
    flow: &dyn OwedFlow,
    (repeats, reply): (&Repeats, Duration),
    node_id: NodeId,
    moment: (UnixMillis, CustodyTimes),
) -> Result<OwedStep, Undecidable> {
    let now = moment.0;
    let first = entry.operation.state == OperationState::Queued;
    let beside = Beside {
        payment: flow.begun(&entry.payment).filter(|_| first),
        ..Beside::default()
    };
    OwedStep::of(entry, OperationEvent::Sent, beside, moment, |operation| {
        let attempts = &mut operation.attempts;
        attempts.count = attempts.count.saturating_add(1);
        attempts.first_at = attempts.first_at.or(Some(now));
        attempts.last_at = Some(now);
        let wait = repeats.wait_after(attempts.count);
        attempts.next_at = Some(now.plus(wait.saturating_add(reply)));
        operation.node_id = node_id;
    })
}

/// Whether the host allows no further message, and the end of the last one was not recorded.
pub(crate) fn used_up(operation: &Operation, repeats: &Repeats) -> bool {
    let count = operation.attempts.count;
    repeats.cap.is_some_and(|cap| count >= cap) && operation.state == OperationState::Sent
}

/// The end of an attempt.
pub(crate) struct End<'a> {
    pub(crate) exchange: &'a Exchange,
    /// What it means.
    pub(crate) decision: OwedDecision,
    /// What is owed from now on.
    pub(crate) owes: Vec<Operation>,
}

/// The record of the end of an attempt; none where nothing follows from it.
pub(crate) fn ended(
    entry: &OwedEntry,
    end: End<'_>,
    (node_id, repeats): (NodeId, &Repeats),
    moment: (UnixMillis, CustodyTimes),
) -> Option<Result<OwedStep, Undecidable>> {
    let operation = &entry.operation;
    let is_suspended = matches!(operation.state, OperationState::Suspended { .. });
    if is_suspended && !matches!(end.decision, OwedDecision::Done { .. }) {
        return None;
    }
    let now = moment.0;
    let answered = |operation: &mut Operation| {
        operation.bank_us = end.exchange.bank_us();
        operation.kept = end.exchange.kept().to_vec();
    };
    let next_at = |at: UnixMillis| {
        let attempts = |attempts: &mut Attempts| attempts.next_at = Some(at);
        Ok(OwedStep::repeat(entry, node_id, now, attempts))
    };
    Some(match end.decision {
        OwedDecision::Done {
            approval,
            acknowledged,
            original,
            payment,
        } => {
            let event = OperationEvent::Acknowledged(approval, acknowledged);
            let (payment, change) = payment.unzip();
            let beside = Beside {
                original,
                payment,
                change: change.unwrap_or_default(),
                owes: end.owes,
                ..Beside::default()
            };
            OwedStep::of(entry, event, beside, moment, answered)
        }
        OwedDecision::Refused(decline) => {
            let effect = without_effect(operation);
            let effect = effect.filter(|_| !planted(Mistake::RefusalForgotten));
            let (payment, change) = effect.unzip();
            let beside = Beside {
                payment,
                change: change.unwrap_or_default(),
                ..Beside::default()
            };
            let event = OperationEvent::Declined(decline);
            OwedStep::of(entry, event, beside, moment, answered)
        }
        OwedDecision::NotSent => next_at(now.plus(repeats.first)),
        OwedDecision::Again => next_at(now.plus(repeats.wait_after(operation.attempts.count))),
        OwedDecision::AgainAt(at) => next_at(at.max(now.plus(repeats.first))),
        OwedDecision::Suspend {
            reason,
            response_code,
        } => {
            let event = OperationEvent::Suspended {
                reason,
                response_code,
            };
            OwedStep::of(entry, event, Beside::default(), moment, |_| {})
        }
    })
}

/// Whether the original has changed since these versions, and the entry has not. A late answer to the original may
/// change what the answer to the entry means.
pub(crate) fn original_moved_alone((version, of_original): (i64, i64), moved: &OwedEntry) -> bool {
    moved.operation.version == version && moved.original.version != of_original
}

/// Whether `operation` is a release that would come to the bank before a capture of its payment, which might find no
/// hold.
pub(crate) fn overtakes_a_capture(operation: &Operation, all: &[Operation]) -> bool {
    let is_on_its_way =
        |other: &Operation| other.kind == OperationKind::Capture && other.state.open() != Open::No;
    operation.kind == OperationKind::Release && all.iter().any(is_on_its_way)
}

/// Whether the bank has said in time that it approved a request, be it for another amount.
pub(crate) fn approved_in_time(original: &Operation) -> bool {
    // Only an operation that the bank approved ends with `CancelledByMerchant`.
    matches!(
        original.state,
        OperationState::Approved { .. }
            | OperationState::Unknown {
                reason: UnknownReason::AmountDiffers | UnknownReason::CancelledByMerchant,
            }
    )
}

fn log_refused(operation: &Operation, decline: &Decline) {
    tracing::warn!(
        payment.id = %operation.payment_id,
        operation.id = %operation.id,
        host.id = %operation.host_id,
        stan = %operation.stan,
        rrn = %operation.rrn,
        kind = operation.kind.name(),
        response_code = %decline.response_code,
        "A bank has refused what was owed to it"
    );
}

/// The alarm: the host acknowledged a message after an operator had said what became of it. The two may differ.
fn log_if_resolved(operation: &Operation) {
    let OperationState::Resolved { .. } = operation.state else {
        return;
    };
    tracing::error!(
        payment.id = %operation.payment_id,
        operation.id = %operation.id,
        host.id = %operation.host_id,
        "A bank acknowledged a message that an operator had resolved: compare the payment with the bank's books"
    );
}
