//! A change of a payment that an operation makes: what it adds to the amounts, and what it does to the
//! state. It is a difference and no new value, so that two operations of one payment can't undo each other.

use super::amounts::{Amounts, LimitExceeded};
use super::custody::CustodyEnd;
use super::moment::UnixMillis;
use super::record::Payment;
use super::state::{self, IllegalTransition, PaymentEvent, PaymentState};

/// What an operation changes of its payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    /// What happened.
    pub event: PaymentEvent,
    /// What it adds to each amount, signed.
    pub change: Amounts,
    /// When.
    pub at: UnixMillis,
    /// What it changes of how long the card is kept.
    pub custody: CustodyEnd,
}

/// An adjustment that the payment can't take. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdjustmentError {
    /// The event has no place in the payment's state.
    #[error(transparent)]
    State(#[from] IllegalTransition),
    /// A limit between the amounts would not hold.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
}

impl Adjustment {
    /// The names of the states in which the event has a place.
    #[must_use]
    pub fn allowed_states(&self) -> &'static [&'static str] {
        self.event.allowed_states()
    }

    /// Whether no amount but the authorized one changes.
    #[must_use]
    pub fn only_authorizes(&self) -> bool {
        let authorized = Amounts {
            authorized_minor: self.change.authorized_minor,
            ..Amounts::ZERO
        };
        self.change == authorized
    }

    /// The payment after this adjustment, one version on.
    ///
    /// # Errors
    /// When the state or a limit forbids it.
    pub fn apply(&self, mut payment: Box<Payment>) -> Result<Box<Payment>, AdjustmentError> {
        payment.amounts = payment.amounts.plus(&self.change)?;
        payment.state = self.state_after(&payment.state, &payment.amounts)?;
        payment.updated_at = self.at;
        payment.version += 1;
        Ok(payment)
    }

    /// The state that follows on `before`, where the amounts are `amounts` already.
    ///
    /// # Errors
    /// When the event has no place in the state.
    pub fn state_after(
        &self,
        before: &PaymentState,
        amounts: &Amounts,
    ) -> Result<PaymentState, IllegalTransition> {
        state::apply(before, self.event.clone(), amounts)
    }
}
