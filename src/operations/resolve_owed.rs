//! What operators do with what is owed: send a suspended entry again, and end an entry by what they found out at the
//! bank. A bank's report ends entries in the same way.

use crate::hosts::message::meaning::Meaning;
use crate::payment::adjustment::{with_effect, without_effect};
use crate::payment::amounts::Amounts;
use crate::payment::custody::CustodyTimes;
use crate::payment::decline::{Approval, ResponseCode, UnknownReason};
use crate::payment::ids::{NodeId, OperationId};
use crate::payment::moment::UnixMillis;
use crate::payment::operation::{OperationEvent, OperationState, SuspendReason};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::Operation;
use crate::store::error::StoreError;
use crate::store::reads::owed::OwedEntry;
use crate::store::records::LateResponse;
use crate::store::records::callers::AuditRecord;

use super::machine::Operations;
use super::outcome::Undecidable;
use super::owed_step::{Beside, OwedStep};
use super::resolution::{
    OwedResolution, as_reported, by_operator, effect_of_asked_for, of_authorization,
    of_later_operation,
};

/// Why an operator's wish is not carried out. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OwedRefusal {
    /// There is no such message, or it is not owed any more.
    #[error("there is no such message that is owed")]
    NotOwed,
    /// It is being sent anyway; only a suspended one is sent again by hand, or ended by a report of what it undoes.
    #[error("the message is not suspended")]
    NotSuspended,
    /// A message of it left a moment ago, and would undo what is said to stand.
    #[error("a message may still be on its way to the bank")]
    InFlight,
    /// The bank did it for another amount than was asked for, so the amount asked for can't be said to stand.
    #[error("the bank approved another amount")]
    AmountDiffers,
    /// It changed at the same moment.
    #[error("the message has just changed; look at it again")]
    Moved,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Operations {
    /// Sends a suspended message again, at once: this node does.
    ///
    /// # Errors
    /// When it is not suspended, or the store can't be used.
    pub async fn retry_owed(&self, id: OperationId) -> Result<Operation, OwedRefusal> {
        let entry = self.owed(id).await?;
        let OperationState::Suspended {
            reason,
            response_code,
        } = &entry.operation.state
        else {
            return Err(OwedRefusal::NotSuspended);
        };
        let now = self.clock.now();
        // The state that says so ends here.
        if *reason == SuspendReason::AmountDiffers {
            let answered = LateResponse {
                operation_id: id,
                host_id: entry.operation.host_id,
                response_code: response_code.unwrap_or(ResponseCode::APPROVED),
                approval_code: None,
                amount_differs: true,
                received_at: entry.operation.attempts.last_at.unwrap_or(now),
            };
            self.store.record_late_response(answered).await?;
        }
        let step = retried(&entry, self.node_id, self.moment());
        Box::pin(self.record_step(entry, step))
            .await
            .map(|entry| entry.operation)
            .ok_or(OwedRefusal::Moved)
    }

    /// Ends a debt by what an operator found out. Returns the message as it was before.
    ///
    /// # Errors
    /// When it is not owed, when it can't be said to stand, or when the store can't be used.
    pub async fn resolve_owed(
        &self,
        id: OperationId,
        resolution: OwedResolution,
    ) -> Result<Operation, OwedRefusal> {
        self.resolve(id, resolution, None).await
    }

    /// Ends a debt because the bank has reported as booked what it is about, as an operator does who says that it stands.
    /// The audit trail says so in the same transaction. Returns the message as it was before.
    ///
    /// # Errors
    /// When it is not owed, when it undoes what is booked and is sent still, when that can't be said to stand, or when the
    /// store can't be used.
    pub async fn resolve_reported(
        &self,
        id: OperationId,
        act: AuditRecord,
    ) -> Result<Operation, OwedRefusal> {
        self.resolve(id, OwedResolution::Stands, Some(act)).await
    }

    async fn resolve(
        &self,
        id: OperationId,
        resolution: OwedResolution,
        reported: Option<AuditRecord>,
    ) -> Result<Operation, OwedRefusal> {
        let entry = self.owed(id).await?;
        let before = entry.operation.clone();
        let is_reported = reported.is_some();
        let (event, beside) = match before.kind {
            // What payswitch itself undoes is undone; only of what nobody sends any more the report tells the end.
            OperationKind::Reversal
                if is_reported && !matches!(before.state, OperationState::Suspended { .. }) =>
            {
                return Err(OwedRefusal::NotSuspended);
            }
            OperationKind::Reversal => self.end_of_reversal(&entry, resolution).await?,
            _ => {
                // A message that left just now may do what is said to have no effect. What is booked it does not do again.
                if !is_reported && self.clock.now() < self.in_flight_until(&before) {
                    return Err(OwedRefusal::InFlight);
                }
                self.end_of_asked_for(&entry, resolution).await?
            }
        };
        let (event, beside) = match reported {
            Some(act) => as_reported(event, beside, act),
            None => (event, beside),
        };
        let step = self.step(&entry, event, beside, |_| {});
        let recorded = Box::pin(self.record_step(entry, step)).await;
        recorded.map(|_| before).ok_or(OwedRefusal::Moved)
    }

    /// What ends a reversal, and what becomes of its original and their payment.
    async fn end_of_reversal(
        &self,
        entry: &OwedEntry,
        resolution: OwedResolution,
    ) -> Result<(OperationEvent, Beside), OwedRefusal> {
        if resolution == OwedResolution::Stands {
            // A message that left just now would undo what stands. The next one can't leave: its attempt would be
            // recorded first, from the version that this step moves on.
            if self.clock.now() < self.in_flight_until(&entry.operation) {
                return Err(OwedRefusal::InFlight);
            }
            if self.approved_another(&entry.original).await? {
                return Err(OwedRefusal::AmountDiffers);
            }
        }
        let undone = by_operator(resolution == OwedResolution::Undone);
        if without_effect(&entry.original).is_some() {
            let mut beside = of_later_operation(&entry.original, resolution);
            let is_open = matches!(entry.original.state, OperationState::Unknown { .. });
            if is_open && resolution == OwedResolution::Stands {
                beside.owes = self.released_by(&entry.payment, &entry.original).await?;
            }
            return Ok((undone, beside));
        }
        let approval = match resolution {
            OwedResolution::Stands => Some(self.approval_of(entry).await?),
            OwedResolution::Undone | OwedResolution::NeverHappened => None,
        };
        let hold_days = self.hosts.hold_days(entry.original.host_id);
        let beside = of_authorization(entry, resolution, approval, hold_days);
        Ok((undone, beside))
    }

    /// What ends what a merchant asked for, and what becomes of its payment: the bank has done it, or it has no effect.
    async fn end_of_asked_for(
        &self,
        entry: &OwedEntry,
        resolution: OwedResolution,
    ) -> Result<(OperationEvent, Beside), OwedRefusal> {
        let before = &entry.operation;
        let stands = resolution == OwedResolution::Stands;
        // Of a release, and the void of a hold, nothing would count that is not so.
        let counts = with_effect(before).is_some_and(|(_, change)| change != Amounts::ZERO);
        if stands && counts && self.approved_another(before).await? {
            return Err(OwedRefusal::AmountDiffers);
        }
        let effect = effect_of_asked_for(before, stands);
        let released = match (stands, &before.state) {
            (true, OperationState::Unknown { .. }) => {
                self.released_by(&entry.payment, before).await?
            }
            _ => Vec::new(),
        };
        let (payment, change) = effect.unzip();
        let now = self.clock.now();
        let owes = self.undone_with(payment.as_ref(), &entry.payment, None, now);
        let mut owes = owes.await?;
        owes.extend(released);
        let beside = Beside {
            payment,
            change: change.unwrap_or_default(),
            owes,
            ..Beside::default()
        };
        Ok((by_operator(stands), beside))
    }

    /// An entry that is owed; or a request whose outcome is not known and that nothing undoes (a refund), which waits
    /// for an operator too.
    async fn owed(&self, id: OperationId) -> Result<OwedEntry, OwedRefusal> {
        let entry = self.store.owed_entry(id).await?;
        let entry = entry.ok_or(OwedRefusal::NotOwed)?;
        let waits = self.store.is_owed_or_waits(&entry.operation).await?;
        Some(entry).filter(|_| waits).ok_or(OwedRefusal::NotOwed)
    }

    /// Whether the bank has said, in time or late, that it approved another amount than was asked for.
    async fn approved_another(&self, original: &Operation) -> Result<bool, StoreError> {
        let differs = matches!(
            original.state,
            OperationState::Unknown {
                reason: UnknownReason::AmountDiffers
            } | OperationState::Suspended {
                reason: SuspendReason::AmountDiffers,
                ..
            }
        );
        if differs || original.approved_amount() != original.amount {
            return Ok(true);
        }
        let late = self.store.late_responses_of(&[original.id]).await?;
        let (host_id, kind) = (original.host_id, original.kind);
        let is_another = |late: &LateResponse| {
            let meaning = self.hosts.meaning(host_id, kind, late.response_code);
            late.amount_differs || meaning == Some(Meaning::PARTLY_APPROVED)
        };
        Ok(late.iter().any(is_another))
    }

    /// The approval as it came in time or late, where it did.
    async fn approval_of(&self, entry: &OwedEntry) -> Result<Approval, StoreError> {
        if let OperationState::Approved { approval, .. } = &entry.original.state {
            return Ok(approval.clone());
        }
        let Operation {
            id, host_id, kind, ..
        } = entry.original;
        let late = self.store.late_response(id).await?;
        let approves = |code| self.hosts.meaning(host_id, kind, code) == Some(Meaning::Approved);
        let approved = late.filter(|late| approves(late.response_code));
        Ok(approved.map_or_else(
            || Approval {
                approval_code: String::new(),
                response_code: ResponseCode::APPROVED,
                partial_minor: None,
            },
            |late| Approval {
                approval_code: late.approval_code.unwrap_or_default(),
                response_code: late.response_code,
                partial_minor: None,
            },
        ))
    }
}

/// The record of a suspended message that `node_id` sends again.
///
/// # Errors
/// When it is not suspended.
pub(crate) fn retried(
    entry: &OwedEntry,
    node_id: NodeId,
    moment: (UnixMillis, CustodyTimes),
) -> Result<OwedStep, Undecidable> {
    let (event, beside) = (OperationEvent::Retried, Beside::default());
    OwedStep::of(entry, event, beside, moment, |operation| {
        operation.attempts.next_at = Some(moment.0.max(operation.deadline));
        operation.node_id = node_id;
    })
}

#[cfg(test)]
mod tests;
