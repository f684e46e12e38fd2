//! A step of what is owed: what happens to an entry, its original and their payment, recorded together. Every step goes
//! on from the version that was read, so that a node whose entry another one has taken can record nothing.

use tokio::time::Instant;

use crate::payment::adjustment::{Adjustment, without_effect};
use crate::payment::amounts::Amounts;
use crate::payment::custody::{CustodyEnd, CustodyTimes};
use crate::payment::decline::{Decline, ResponseCode};
use crate::payment::event::PaymentEvent;
use crate::payment::ids::NodeId;
use crate::payment::moment::UnixMillis;
use crate::payment::operation::{
    self, Acknowledged, OperationEvent, OperationState, ResolvedBy, SuspendReason,
};
use crate::payment::planted::{Mistake, planted};
use crate::payment::record::{Attempts, Operation, Payment};
use crate::store::change::{Change, OperationStep, PaymentChange, Verdict};
use crate::store::error::StoreError;
use crate::store::reads::owed::OwedEntry;
use crate::store::records::callers::AuditRecord;

use super::conclude::{RECORD_AGAIN_AFTER, RECORD_WITHIN, may_pass};
use super::machine::Operations;
use super::outcome::Undecidable;
use super::owe::log_suspended;

/// A step of an owed operation, with what it does to its original and their payment.
pub(crate) struct OwedStep {
    operation: Operation,
    original: Option<Operation>,
    payment: Option<(Payment, Adjustment)>,
    owes: Vec<Operation>,
    act: Option<AuditRecord>,
}

impl OwedStep {
    /// What `event` and `change` make of an entry. What is not sent any more has no next attempt.
    ///
    /// # Errors
    /// When the event has no place in the state of the entry, of its original or of their payment.
    pub(crate) fn of(
        entry: &OwedEntry,
        event: OperationEvent,
        beside: Beside,
        (at, times): (UnixMillis, CustodyTimes),
        change: impl FnOnce(&mut Operation),
    ) -> Result<Self, Undecidable> {
        let on = |operation: &Operation, event| -> Result<Operation, Undecidable> {
            Ok(Operation {
                state: operation::apply(&operation.state, event)?,
                updated_at: at,
                version: operation.version + 1,
                ..operation.clone()
            })
        };
        let mut operation = on(&entry.operation, event)?;
        if !matches!(
            operation.state,
            OperationState::Queued | OperationState::Sent
        ) {
            operation.attempts.next_at = None;
        }
        change(&mut operation);
        let original = beside.original.map(|event| on(&entry.original, event));
        let change = beside.change;
        let undone = match &original {
            Some(Ok(original)) => original,
            _ => &entry.original,
        };
        let may_come = may_have_undone_nothing(&operation, undone);
        let payment = beside.payment.map(|event| {
            let custody = match event {
                // What is undone by other messages is owed still.
                PaymentEvent::VoidConfirmed if !beside.owes.is_empty() => times.late(at),
                // What the bank did not undo by this very message may still come.
                PaymentEvent::ReversalConfirmed | PaymentEvent::VoidConfirmed if may_come => {
                    times.late(at)
                }
                _ => times.end_after(&event, &entry.payment.amounts, at),
            };
            adjusted(&entry.payment, event, change, custody, at)
        });
        Ok(Self {
            operation,
            original: original.transpose()?,
            payment: payment.transpose()?,
            owes: beside.owes,
            act: beside.act,
        })
    }

    /// A step that changes nothing but the attempts, and makes `node_id` the one that sends the entry.
    pub(crate) fn repeat(
        entry: &OwedEntry,
        node_id: NodeId,
        at: UnixMillis,
        attempts: impl FnOnce(&mut Attempts),
    ) -> Self {
        let mut operation = entry.operation.clone();
        attempts(&mut operation.attempts);
        operation.node_id = node_id;
        operation.updated_at = at;
        operation.version += 1;
        Self {
            operation,
            original: None,
            payment: None,
            owes: Vec::new(),
            act: None,
        }
    }

    /// Why it leaves the entry to an operator, where it does.
    pub(super) fn suspended(&self) -> Option<SuspendReason> {
        match self.operation.state {
            OperationState::Suspended { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// The change that records it.
    pub(crate) fn change(&self) -> Change<'_> {
        Change {
            owed_step: Some(&self.operation),
            owes: &self.owes,
            step: self.original.as_ref().map(|operation| OperationStep {
                operation,
                answers: planted(Mistake::AnswerChanges),
            }),
            payment: PaymentChange::adjusted(self.payment.as_ref()),
            act: self.act.as_ref(),
            ..Change::default()
        }
    }

    /// The entry after the step.
    pub(crate) fn entry(self, before: OwedEntry, moved: Option<Box<Payment>>) -> OwedEntry {
        let expected = self.payment.map(|(payment, _)| payment);
        OwedEntry {
            operation: self.operation,
            original: self.original.unwrap_or(before.original),
            payment: moved.map_or_else(|| expected.unwrap_or(before.payment), |moved| *moved),
        }
    }
}

/// What happens to the original, and to the payment, with an owed operation's step.
#[derive(Default)]
pub(crate) struct Beside {
    pub(crate) original: Option<OperationEvent>,
    pub(crate) payment: Option<PaymentEvent>,
    /// What is added to the payment's amounts.
    pub(crate) change: Amounts,
    /// What is owed from now on.
    pub(crate) owes: Vec<Operation>,
    /// What the audit trail says of it, where it is done by itself.
    pub(crate) act: Option<AuditRecord>,
}

impl Beside {
    /// What a late decline of the original comes to where its reversal was not sent yet.
    pub(crate) fn declined_late(original: &Operation, decline: &Decline) -> Self {
        let (payment, change) = without_effect(original)
            .unwrap_or((PaymentEvent::DeclinedLate(*decline), Amounts::ZERO));
        Self {
            original: Some(OperationEvent::Resolved {
                by: ResolvedBy::LateResponse,
                response_code: Some(decline.response_code),
                took_effect: planted(Mistake::LateDeclineCounts),
                decline: Some(*decline),
            }),
            payment: Some(payment),
            change,
            ..Self::default()
        }
    }
}

impl Operations {
    /// Ends a debt before its message was sent: the bank has declined the original.
    pub(super) async fn cancel_owed(&self, entry: OwedEntry, decline: &Decline) {
        let beside = Beside::declined_late(&entry.original, decline);
        let step = self.step(&entry, OperationEvent::Cancelled, beside, |_| {});
        Box::pin(self.record_step(entry, step)).await;
    }

    /// Leaves an entry to an operator.
    pub(super) async fn suspend(
        &self,
        entry: OwedEntry,
        reason: SuspendReason,
        response_code: Option<ResponseCode>,
    ) {
        let event = OperationEvent::Suspended {
            reason,
            response_code,
        };
        let step = self.step(&entry, event, Beside::default(), |_| {});
        if let Some(entry) = Box::pin(self.record_step(entry, step)).await {
            log_suspended(&entry.operation, reason);
        }
    }

    /// [`OwedStep::repeat`] by this node, now.
    pub(super) fn repeat(
        &self,
        entry: &OwedEntry,
        attempts: impl FnOnce(&mut Attempts),
    ) -> Result<OwedStep, Undecidable> {
        let now = self.clock.now();
        Ok(OwedStep::repeat(entry, self.node_id, now, attempts))
    }

    /// [`OwedStep::of`], now.
    pub(super) fn step(
        &self,
        entry: &OwedEntry,
        event: OperationEvent,
        beside: Beside,
        change: impl FnOnce(&mut Operation),
    ) -> Result<OwedStep, Undecidable> {
        OwedStep::of(entry, event, beside, self.moment(), change)
    }

    /// Now, and how long cards are kept.
    pub(super) fn moment(&self) -> (UnixMillis, CustodyTimes) {
        (self.clock.now(), self.custody.times())
    }

    /// Offers a step to the store until it takes it, for a bounded time. None where it was not recorded: what is
    /// stored then says when the message is sent next.
    pub(super) async fn record_step(
        &self,
        entry: OwedEntry,
        step: Result<OwedStep, Undecidable>,
    ) -> Option<OwedEntry> {
        let step = match step {
            Ok(step) => step,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(operation.id = %entry.operation.id, error, "A step of what is owed does not fit");
                return None;
            }
        };
        let give_up_at = Instant::now() + RECORD_WITHIN;
        loop {
            match self.store.commit(&step.change()).await {
                Ok(Verdict::Committed { payment }) => return Some(step.entry(entry, payment)),
                // Another node has it, or a late answer has ended it.
                Ok(verdict) => {
                    tracing::info!(operation.id = %entry.operation.id, ?verdict, "What is owed has moved on");
                    return None;
                }
                Err(error) if may_pass(&error) && Instant::now() < give_up_at => {
                    tokio::time::sleep(RECORD_AGAIN_AFTER).await;
                }
                Err(error) => {
                    log_not_recorded(&entry, &error);
                    return None;
                }
            }
        }
    }
}

/// Whether a reversal ended, and nobody has said that it undid its original: the bank took the message only, or did not
/// know the original, or an operator was told that; or it was never sent.
pub(crate) fn may_have_undone_nothing(reversal: &Operation, original: &Operation) -> bool {
    match &reversal.state {
        OperationState::Approved { acknowledged, .. } => *acknowledged != Some(Acknowledged::Done),
        // Where the bank has undone it, the original is reversed.
        OperationState::Resolved { .. } => original.state != OperationState::Reversed,
        OperationState::Cancelled => true,
        _ => false,
    }
}

pub(crate) fn adjusted(
    payment: &Payment,
    event: PaymentEvent,
    change: Amounts,
    custody: CustodyEnd,
    at: UnixMillis,
) -> Result<(Payment, Adjustment), Undecidable> {
    let adjustment = Adjustment {
        event,
        change,
        at,
        custody,
    };
    let after = adjustment.apply(Box::new(payment.clone()))?;
    Ok((*after, adjustment))
}

pub(super) fn log_not_recorded(entry: &OwedEntry, error: &StoreError) {
    let error = error as &dyn std::error::Error;
    tracing::error!(operation.id = %entry.operation.id, error, "A step of what is owed can't be recorded");
}
