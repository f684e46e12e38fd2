//! Queues what an outcome makes owed to the bank: with its numbers and all its elements, so that every message of it
//! is the same, whatever crashes or changes meanwhile.

use crate::hosts::message::contents::{Original, Outgoing};
use crate::payment::ids::OperationId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::operation::{OperationKind, OperationState, SuspendReason};
use crate::payment::reason::Reason;
use crate::payment::record::{Attempts, Operation, Payment};
use crate::store::error::StoreError;

use super::attempt::log_suspended;
use super::machine::Operations;

impl Operations {
    /// A reversal of `original`, as it is recorded first. It is due as soon as no byte of its original can leave any
    /// more. `merchant` is the payment's, where it is at hand.
    ///
    /// # Errors
    /// When the store has no numbers for it.
    pub(super) async fn reversal(
        &self,
        payment: &Payment,
        original: Original<'_>,
        merchant: Option<&Merchant>,
        reason: Reason,
        now: UnixMillis,
    ) -> Result<Box<Operation>, StoreError> {
        let read;
        let merchant = match merchant {
            Some(merchant) => Some(merchant),
            None => {
                read = self.store.merchant(&payment.merchant_id).await?;
                read.as_ref()
            }
        };
        let undone = original.operation;
        let host_id = undone.host_id;
        let kind = OperationKind::Reversal;
        let random = self.random.bytes_for_name();
        let random = random.map_err(|error| StoreError::Unavailable {
            reason: error.to_string(),
        })?;
        let mut reversal = Box::new(Operation {
            id: OperationId::from_parts(now, random),
            kind,
            state: OperationState::Queued,
            original_id: Some(undone.id),
            reason: Some(reason),
            business_date: None,
            node_id: self.node_id,
            bank_us: None,
            attempts: Attempts {
                next_at: Some(undone.deadline.max(now)),
                ..Attempts::default()
            },
            sent: Vec::new(),
            kept: Vec::new(),
            created_at: now,
            updated_at: now,
            version: 1,
            ..undone.clone()
        });
        let message = self.hosts.message(host_id, kind);
        let (Some(message), Some(merchant)) = (message, merchant) else {
            return Ok(suspended(reversal));
        };
        let Some(mapping) = &message.mapping else {
            return Ok(suspended(reversal));
        };
        reversal.mti = mapping.mti.to_string().parse().unwrap_or(reversal.mti);
        let numbers = message.numbers;
        if !(numbers.stan && numbers.rrn) {
            let date = NumberDate::of(now);
            let number = self.numbers.next(&host_id, date).await?;
            if !numbers.stan {
                reversal.stan = number.stan();
            }
            if !numbers.rrn {
                reversal.rrn = self.hosts.rrn(host_id, merchant, number, date, now);
            }
        }
        if !numbers.transmission_date_time {
            reversal.transmitted_at = now;
            reversal.number_date = NumberDate::of(now);
        }
        let elements = self.hosts.sent_elements(Outgoing {
            original: Some(original),
            ..Outgoing::first(&reversal, merchant, None)
        });
        match elements {
            Ok(elements) => reversal.sent = elements,
            Err(error) => {
                tracing::error!(
                    host.id = %host_id, operation.id = %reversal.id, %error,
                    "A reversal can't be built"
                );
                return Ok(suspended(reversal));
            }
        }
        Ok(reversal)
    }
}

/// A reversal that an operator has to look at from the beginning.
fn suspended(mut reversal: Box<Operation>) -> Box<Operation> {
    reversal.state = OperationState::Suspended {
        reason: SuspendReason::NotBuildable,
        response_code: None,
    };
    reversal.attempts.next_at = None;
    log_suspended(&reversal, SuspendReason::NotBuildable);
    reversal
}
