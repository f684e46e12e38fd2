//! Makes what becomes owed to a bank an operation: with its numbers and all its elements, so that every message of it
//! is the same, whatever crashes or changes meanwhile.

use crate::hosts::message::contents::{Original, Outgoing};
use crate::hosts::message::definition::Travel;
use crate::payment::ids::{NodeId, OperationId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::operation::{OperationState, SuspendReason};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Attempts, Operation, Payment};
use crate::store::error::StoreError;

use super::hold::by_message;
use super::machine::Operations;
use super::plan::Owes;

impl Operations {
    /// What `owing`, an operation of `payment`, makes owed, as it is recorded first. `merchant` is the payment's, where
    /// it is at hand. What can't be built is suspended from the beginning.
    ///
    /// # Errors
    /// When the store can't be read, or has no numbers.
    pub(super) async fn owed_by(
        &self,
        payment: &Payment,
        owing: &Operation,
        merchant: Option<&Merchant>,
        owes: &[Owes],
        now: UnixMillis,
    ) -> Result<Vec<Operation>, StoreError> {
        let mut owed = Vec::with_capacity(owes.len());
        let releases = owes.iter().any(|owes| owes.kind == OperationKind::Release);
        let all = match releases && payment.is_incremented() {
            true => self.store.operations_of(payment.id).await?,
            false => Vec::new(),
        };
        for owes in &by_message(payment, &all, owes) {
            let other = owes.original_id.filter(|id| *id != owing.id);
            let other = self.original(other, &[]).await?;
            let original = Original::in_payment(other.as_deref().unwrap_or(owing), payment);
            owed.push(
                self.owed_operation(payment, original, merchant, owes, now)
                    .await?,
            );
        }
        Ok(owed)
    }

    /// The releases that `operation` makes owed, now that it has had its effect.
    ///
    /// # Errors
    /// When the store can't be read, or has no numbers.
    pub(super) async fn released_by(
        &self,
        payment: &Payment,
        operation: &Operation,
    ) -> Result<Vec<Operation>, StoreError> {
        let owes = Owes::release(payment, operation.releases_minor);
        let now = self.clock.now();
        self.owed_by(payment, operation, None, &owes, now).await
    }

    /// An operation that is owed, as it is recorded first. It is due as soon as no byte of its original can leave any
    /// more, where it travels as a message.
    ///
    /// # Errors
    /// When the store can't be read, or has no numbers.
    pub(super) async fn owed_operation(
        &self,
        payment: &Payment,
        original: Original<'_>,
        merchant: Option<&Merchant>,
        owes: &Owes,
        now: UnixMillis,
    ) -> Result<Operation, StoreError> {
        let read;
        let merchant = match merchant {
            Some(merchant) => Some(merchant),
            None => {
                read = self.store.merchant(&payment.merchant_id).await?;
                read.as_ref()
            }
        };
        let completed = original.operation;
        let host_id = completed.host_id;
        let random = self.random.bytes_for_name();
        let random = random.map_err(|error| StoreError::Unavailable {
            reason: error.to_string(),
        })?;
        let id = OperationId::from_parts(now, random);
        let mut owed = owed_record(completed, owes, (id, self.node_id), now);
        let message = self.hosts.message(host_id, owes.kind);
        let (Some(message), Some(merchant)) = (message, merchant) else {
            return Ok(suspended(owed));
        };
        let numbers = message.numbers;
        if !(numbers.stan && numbers.rrn) {
            let date = NumberDate::of(now);
            let number = self.numbers.next(&host_id, date).await?;
            if !numbers.stan {
                owed.stan = number.stan();
            }
            if !numbers.rrn {
                owed.rrn = self.hosts.rrn(host_id, merchant, number, date, now);
            }
        }
        if !numbers.transmission_date_time {
            owed.transmitted_at = now;
            owed.number_date = NumberDate::of(now);
        }
        match (message.travel(), &message.mapping) {
            (Travel::Repeated, Some(mapping)) => owed.mti = mapping.recorded_mti,
            (Travel::Recorded, _) => {
                owed.state = OperationState::Recorded;
                owed.attempts.next_at = None;
                return Ok(owed);
            }
            _ => return Ok(suspended(owed)),
        }
        let elements = self.hosts.sent_elements(Outgoing {
            original: Some(original),
            ..Outgoing::first(&owed, merchant, None)
        });
        match elements {
            Ok(elements) => owed.sent = elements,
            Err(error) => {
                tracing::error!(
                    host.id = %host_id, operation.id = %owed.id, kind = owed.kind.name(), %error,
                    "A message that is owed can't be built"
                );
                return Ok(suspended(owed));
            }
        }
        Ok(owed)
    }
}

/// The record of what is owed to the host of `completed`, before it has numbers of its own.
pub(crate) fn owed_record(
    completed: &Operation,
    owes: &Owes,
    (id, node_id): (OperationId, NodeId),
    now: UnixMillis,
) -> Operation {
    Operation {
        id,
        kind: owes.kind,
        state: OperationState::Queued,
        original_id: Some(completed.id),
        reason: Some(owes.reason),
        amount: owes.amount,
        accepts_partial: false,
        releases_minor: owes.releases_minor,
        node_id,
        bank_us: None,
        attempts: Attempts {
            next_at: Some(completed.deadline.max(now)),
            ..Attempts::default()
        },
        sent: Vec::new(),
        kept: Vec::new(),
        created_at: now,
        updated_at: now,
        version: 1,
        ..completed.clone()
    }
}

/// An operation that an operator has to look at from the beginning.
fn suspended(mut owed: Operation) -> Operation {
    owed.state = OperationState::Suspended {
        reason: SuspendReason::NotBuildable,
        response_code: None,
    };
    owed.attempts.next_at = None;
    owed
}

/// The alarm of an operation that is suspended from the beginning.
pub(super) fn log_if_suspended(operation: &Operation) {
    if let OperationState::Suspended { reason, .. } = operation.state {
        log_suspended(operation, reason);
    }
}

/// The alarm: an operator has to look.
pub(super) fn log_suspended(operation: &Operation, reason: SuspendReason) {
    tracing::error!(
        payment.id = %operation.payment_id,
        operation.id = %operation.id,
        host.id = %operation.host_id,
        stan = %operation.stan,
        rrn = %operation.rrn,
        attempts = operation.attempts.count,
        %reason,
        "What is owed to a bank is suspended: an operator has to look at it"
    );
}
