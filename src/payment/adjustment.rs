//! A change of a payment that an operation makes: what it adds to the amounts, and what it does to the
//! state. It is a difference and no new value, so that two operations of one payment can't undo each other.

use super::amounts::{Amounts, LimitExceeded};
use super::custody::CustodyEnd;
use super::event::PaymentEvent;
use super::moment::UnixMillis;
use super::operation::Open;
use super::operation_kind::OperationKind;
use super::planted::{Mistake, planted};
use super::record::{Operation, Payment};
use super::state::{self, IllegalTransition, PaymentState};

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
    /// More of the hold is taken than there is, since the hold has ended.
    #[error("the hold ended before that")]
    HoldEnded,
    /// The hold lasts.
    #[error("the hold lasts longer than that")]
    HoldLasts,
}

/// What happens to the payment where an operation that was recorded turns out to have no effect at its bank; none
/// where nothing does. The amount of a request without an outcome is pending, that of a message that is repeated is
/// not.
#[must_use]
pub fn without_effect(operation: &Operation) -> Option<(PaymentEvent, Amounts)> {
    let given_back = -operation.amount.amount_minor();
    let pending = match operation.state.open() {
        Open::Owed => 0,
        _ if planted(Mistake::RefusedStaysPending) => 0,
        Open::No | Open::Request => given_back,
    };
    match operation.kind {
        OperationKind::Capture => Some((
            PaymentEvent::CaptureRefused,
            Amounts {
                captured_minor: given_back,
                captured_pending_minor: pending,
                released_minor: -operation.releases_minor,
                ..Amounts::ZERO
            },
        )),
        OperationKind::Refund => Some((
            PaymentEvent::RefundRefused,
            Amounts {
                refunded_minor: given_back,
                refunded_pending_minor: pending,
                ..Amounts::ZERO
            },
        )),
        OperationKind::Increment => Some((
            PaymentEvent::IncrementRefused,
            Amounts {
                authorized_minor: given_back,
                authorized_pending_minor: pending,
                ..Amounts::ZERO
            },
        )),
        OperationKind::Void => Some((PaymentEvent::VoidRefused, Amounts::ZERO)),
        OperationKind::Authorization
        | OperationKind::Verification
        | OperationKind::Sale
        | OperationKind::Reversal
        | OperationKind::Release
        | OperationKind::Inquiry
        | OperationKind::Chargeback
        | OperationKind::ChargebackReversal => None,
    }
}

/// What happens to the payment where a request whose outcome was not known turns out to have had its effect: what was
/// pending counts, and what is voided does not any more. None of a kind that is not pending.
#[must_use]
pub fn with_effect(operation: &Operation) -> Option<(PaymentEvent, Amounts)> {
    let confirmed = -operation.amount.amount_minor();
    match operation.kind {
        OperationKind::Capture => Some((
            PaymentEvent::Captured,
            Amounts {
                captured_pending_minor: confirmed,
                ..Amounts::ZERO
            },
        )),
        OperationKind::Refund => Some((
            PaymentEvent::Refunded,
            Amounts {
                refunded_pending_minor: confirmed,
                ..Amounts::ZERO
            },
        )),
        OperationKind::Increment => Some((
            PaymentEvent::Incremented,
            Amounts {
                authorized_pending_minor: confirmed,
                ..Amounts::ZERO
            },
        )),
        OperationKind::Void => Some((PaymentEvent::VoidConfirmed, given_back_by_void(operation))),
        OperationKind::Release => Some((PaymentEvent::Released, Amounts::ZERO)),
        _ => None,
    }
}

/// What a void takes back of what counts: all of a sale, whose capture it names, and nothing of a hold.
#[must_use]
pub fn given_back_by_void(operation: &Operation) -> Amounts {
    Amounts {
        captured_minor: match operation.subject_id {
            Some(_) => -operation.amount.amount_minor(),
            None => 0,
        },
        ..Amounts::ZERO
    }
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

    /// The state that follows on `before`, where the amounts are `amounts` already. What takes more of a hold must
    /// come before the hold's end, and that end not before its time.
    ///
    /// # Errors
    /// When the event has no place in the state, or comes on the wrong side of the hold's end.
    pub fn state_after(
        &self,
        before: &PaymentState,
        amounts: &Amounts,
    ) -> Result<PaymentState, AdjustmentError> {
        let has_ended = before.expires_at().is_some_and(|end| end <= self.at);
        let takes = self.change.captured_minor > 0 || self.change.authorized_pending_minor > 0;
        let ends = self.event == PaymentEvent::HoldExpired;
        match (has_ended, before.expires_at()) {
            (true, _) if takes => Err(AdjustmentError::HoldEnded),
            (false, Some(_)) if ends => Err(AdjustmentError::HoldLasts),
            _ => Ok(state::apply(before, self.event.clone(), amounts)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, NOW};
    use super::*;

    #[test]
    fn what_takes_of_a_hold_comes_before_its_end() {
        let mut payment = samples::payment_of(&samples::operation());
        payment.state = PaymentState::Authorized {
            approval: samples::approval(),
            expires_at: NOW,
        };
        payment.amounts.authorized_minor = 1000;
        let taken = Amounts {
            captured_minor: 400,
            ..Amounts::ZERO
        };
        let (before, ended) = (NOW.plus_ms(-1), NOW);
        for (event, change, at, expected) in [
            (PaymentEvent::Captured, taken, before, "PARTIALLY_CAPTURED"),
            (PaymentEvent::Captured, taken, ended, "HoldEnded"),
            // Its amount was taken before.
            (
                PaymentEvent::CaptureRefused,
                Amounts::ZERO,
                ended,
                "AUTHORIZED",
            ),
            (
                PaymentEvent::HoldExpired,
                Amounts::ZERO,
                before,
                "HoldLasts",
            ),
            (PaymentEvent::HoldExpired, Amounts::ZERO, ended, "EXPIRED"),
        ] {
            let adjustment = Adjustment {
                event,
                change,
                at,
                custody: CustodyEnd::Unchanged,
            };
            let after = adjustment.apply(Box::new(payment.clone()));
            let shown = after.map_or_else(
                |error| format!("{error:?}"),
                |after| after.state.name().to_owned(),
            );
            assert_eq!(shown, expected, "{adjustment:?}");
        }
    }
}
