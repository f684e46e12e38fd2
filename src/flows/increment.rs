//! An increment: the issuer is asked to hold more than it holds already.

use crate::hosts::exchange::Exchange;
use crate::operations::basis::Found;
use crate::operations::flow::{Decision, Flow, Subject};
use crate::operations::later::{LaterRefusal, Why, amount_of, decided, way_of};
use crate::operations::plan::Plan;
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::custody::CustodyEnd;
use crate::payment::event::PaymentEvent;
use crate::payment::ids::PaymentId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::money::{MAX_AMOUNT_MINOR, Money};
use crate::payment::operation_kind::OperationKind;
use crate::payment::state::PaymentState;

const KIND: OperationKind = OperationKind::Increment;

/// A request to hold more, checked field by field.
#[derive(Debug)]
pub struct IncrementAuthorization {
    /// The payment.
    pub payment_id: PaymentId,
    /// How much more; more than zero.
    pub amount: Money,
}

/// The flow of increments.
pub struct Increment;

impl Flow for Increment {
    type Command = IncrementAuthorization;
    type Basis = Found;
    type Refusal = LaterRefusal;

    const METHOD: &'static str = "IncrementAuthorization";

    fn payment_id(&self, command: &IncrementAuthorization) -> Option<PaymentId> {
        Some(command.payment_id)
    }

    /// The amount is pending until it is approved. The hold ends when it would have ended.
    fn plan(
        &self,
        _merchant: &Merchant,
        command: &IncrementAuthorization,
        found: Found,
        now: UnixMillis,
    ) -> Result<Plan, LaterRefusal> {
        let way = way_of(&found, KIND)?;
        let payment = found.payment;
        let refused = |why| Err(LaterRefusal::of(&payment, why));
        match payment.state {
            PaymentState::Authorized { expires_at, .. } if expires_at <= now => {
                return refused(Why::HoldExpired);
            }
            PaymentState::Authorized { .. } if payment.amounts.captured_minor > 0 => {
                return refused(Why::InProgress);
            }
            PaymentState::Authorized { .. } => {}
            PaymentState::Expired => return refused(Why::HoldExpired),
            _ => return refused(Why::State(KIND)),
        }
        if payment.has_all_increments() {
            return refused(Why::TooManyIncrements);
        }
        let left_minor = MAX_AMOUNT_MINOR - payment.amounts.authorized_minor;
        let too_much = Why::ExceedsAuthorizable { left_minor };
        let amount = amount_of(&payment, Some(command.amount), left_minor, too_much)?;
        let adjustment = Adjustment {
            event: PaymentEvent::IncrementStarted,
            change: Amounts {
                authorized_minor: amount.amount_minor(),
                authorized_pending_minor: amount.amount_minor(),
                ..Amounts::ZERO
            },
            at: now,
            custody: CustodyEnd::Unchanged,
        };
        Ok(Plan {
            // What is captured at this moment comes first, and then no increment is taken.
            unmoved: true,
            ..Plan::later(payment, (KIND, way), amount, adjustment)
        })
    }
}

/// What the end of an increment means.
pub(crate) fn decide(exchange: &Exchange, subject: &Subject<'_>) -> Decision {
    decided(exchange, subject, PaymentEvent::IncrementUnknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::message::definition::Travel;
    use crate::operations::basis::{Way, Ways};
    use crate::payment::record::{MOST_INCREMENTS, Payment};
    use crate::payment::samples::{self, NOW, approval, eur};

    fn held(captured_minor: i64) -> Payment {
        let mut payment = samples::payment_of(&samples::operation());
        payment.state = PaymentState::Authorized {
            approval: approval(),
            expires_at: NOW.plus_ms(1),
        };
        payment.amounts = Amounts {
            authorized_minor: 1250,
            captured_minor,
            captured_pending_minor: captured_minor,
            ..Amounts::ZERO
        };
        payment
    }

    /// What is authorized and what of it is pending, or why not.
    #[test]
    fn only_a_hold_of_which_nothing_is_captured_is_raised() {
        let captured = PaymentState::PartiallyCaptured {
            approval: approval(),
            expires_at: NOW.plus_ms(1),
        };
        let too_late = NOW.plus_ms(1);
        let most = MAX_AMOUNT_MINOR - 1250;
        for (state, captured_minor, minor, now, expected) in [
            (None, 0, 500, NOW, "1750 500"),
            (None, 0, most, NOW, "999999999999 999999998749"),
            (
                None,
                0,
                most + 1,
                NOW,
                "ExceedsAuthorizable { left_minor: 999999998749 }",
            ),
            (None, 400, 500, NOW, "InProgress"),
            (None, 0, 500, too_late, "HoldExpired"),
            (Some(captured), 0, 500, NOW, "State(Increment)"),
            (Some(PaymentState::Voided), 0, 500, NOW, "State(Increment)"),
            (Some(PaymentState::Expired), 0, 500, NOW, "HoldExpired"),
            (None, 0, 501, NOW, "TooManyIncrements"),
        ] {
            let mut payment = held(captured_minor);
            // The last row's was raised often.
            if minor == 501 {
                payment.version = 2 * MOST_INCREMENTS + 1;
            }
            payment.state = state.unwrap_or(payment.state);
            let command = IncrementAuthorization {
                payment_id: payment.id,
                amount: eur(minor),
            };
            let way = Way::of(Travel::Once);
            let found = Found::with_ways(payment, Ways(vec![(KIND, way)]));
            let got = match Increment.plan(&samples::merchant(), &command, found, now) {
                Err(refusal) => format!("{:?}", refusal.why),
                Ok(plan) => {
                    let amounts = plan.after_it().amounts;
                    let pending_minor = amounts.authorized_pending_minor;
                    format!("{} {pending_minor}", amounts.authorized_minor)
                }
            };
            assert_eq!(got, expected);
        }
    }
}
