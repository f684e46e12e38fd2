//! The increments of a payment that is voided: each is a message of its own, and undone by one.

use crate::hosts::message::contents::Original;
use crate::payment::event::PaymentEvent;
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::planted::{Mistake, planted};
use crate::payment::reason::Reason;
use crate::payment::record::{Operation, Payment};
use crate::store::error::StoreError;

use super::hold::held_increments;
use super::machine::Operations;
use super::outcome::Outcome;
use super::plan::Owes;

impl Operations {
    /// Adds what is owed with an outcome by which a payment is voided. Its card is kept for that.
    ///
    /// # Errors
    /// As [`undone_with`](Self::undone_with).
    pub(super) async fn undo_with(
        &self,
        outcome: &mut Outcome,
        merchant: Option<&Merchant>,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let Some(adjustment) = &mut outcome.adjustment else {
            return Ok(());
        };
        let event = Some(&adjustment.event);
        let undone = self
            .undone_with(event, &outcome.payment, merchant, now)
            .await?;
        if !undone.is_empty() {
            adjustment.custody = self.custody.times().late(now);
        }
        outcome.owes.extend(undone);
        Ok(())
    }

    /// What is owed where `event` happens to a payment: a void undoes the authorization, and each increment is
    /// reversed beside it, but for what a release undoes whole. None can come any more, since the payment was being
    /// voided.
    ///
    /// # Errors
    /// When the store can't be read, or has no numbers.
    pub(super) async fn undone_with(
        &self,
        event: Option<&PaymentEvent>,
        payment: &Payment,
        merchant: Option<&Merchant>,
        now: UnixMillis,
    ) -> Result<Vec<Operation>, StoreError> {
        let mut owed = Vec::new();
        if !undoes_increments(event) {
            return Ok(owed);
        }
        // Boxed, because it is rare, and every payment would have room for it.
        let all = Box::pin(self.store.operations_of(payment.id)).await?;
        for increment in held_increments(&all) {
            let owes = undoing(increment);
            let original = Original::of(increment);
            let reversal = self.owed_operation(payment, original, merchant, &owes, now);
            owed.push(Box::pin(reversal).await?);
        }
        Ok(owed)
    }
}

/// Whether a payment's increments are undone with this event.
pub(crate) fn undoes_increments(event: Option<&PaymentEvent>) -> bool {
    event == Some(&PaymentEvent::VoidConfirmed) && !planted(Mistake::IncrementsForgotten)
}

/// What undoes an increment of a payment that is voided.
pub(crate) fn undoing(increment: &Operation) -> Owes {
    Owes::reversal(increment, Reason::Void)
}
