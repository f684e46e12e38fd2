//! A verification: whether a card is good, as its issuer says. Nothing is held, so nothing is owed, whatever comes of
//! it.

use std::sync::Arc;

use crate::hosts::exchange::Exchange;
use crate::hosts::message::definition::Travel;
use crate::operations::flow::{Decision, Flow, Subject};
use crate::operations::new_card::{CardRefusal, NewCard, NewCards, PaymentMethod};
use crate::operations::plan::{NewPayment, Plan, PlannedPayment};
use crate::payment::amounts::Amounts;
use crate::payment::decline::UnknownReason;
use crate::payment::ids::PaymentId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::money::{Currency, Money};
use crate::payment::operation::OperationEvent;
use crate::payment::operation_kind::OperationKind;
use crate::payment::state::PaymentState;

const KIND: OperationKind = OperationKind::Verification;

/// A request to verify, checked field by field.
#[derive(Debug)]
pub struct VerifyCard {
    /// The currency that the card is to be charged in later.
    pub currency: Currency,
    /// The merchant's own reference, 1 to 64 printable characters.
    pub merchant_reference: String,
    /// Where the card comes from.
    pub payment_method: PaymentMethod,
}

/// The flow of verifications.
pub struct Verification {
    /// Opens their cards.
    pub cards: Arc<NewCards>,
}

impl Flow for Verification {
    type Command = VerifyCard;
    type Basis = ();
    type Refusal = CardRefusal;

    const METHOD: &'static str = "VerifyCard";

    fn payment_id(&self, _command: &VerifyCard) -> Option<PaymentId> {
        None
    }

    /// The operation lies with a payment of nothing, which stays as it is and which no call shows.
    fn plan(
        &self,
        merchant: &Merchant,
        command: &VerifyCard,
        _basis: (),
        now: UnixMillis,
    ) -> Result<Plan, CardRefusal> {
        let amount = Money::zero(command.currency);
        let bound_to = (amount, command.merchant_reference.as_str());
        let method = &command.payment_method;
        let NewCard {
            card,
            envelope,
            route,
        } = self.cards.open(merchant, method, bound_to, KIND, now)?;
        Ok(Plan {
            kind: KIND,
            travel: Travel::Once,
            unmoved: false,
            payment: PlannedPayment::New(Box::new(NewPayment {
                merchant_reference: command.merchant_reference.clone(),
                customer_reference: None,
                description: None,
                amount,
                card: card.summary(),
                state: PaymentState::Created,
                keeps_card: false,
            })),
            amount,
            host_id: route.host_id,
            mti: route.mti,
            terminal_id: merchant.terminal_id.clone(),
            original_id: None,
            reason: None,
            card: Some(card),
            envelope,
            accepts_partial: false,
            subject_id: None,
            resource: None,
            owes: Vec::new(),
            releases_minor: 0,
        })
    }
}

/// What the end of a verification means.
pub(crate) fn decide(exchange: &Exchange, _subject: &Subject<'_>) -> Decision {
    Decision {
        operation: ended(exchange),
        payment: None,
        change: Amounts::ZERO,
        owes: Vec::new(),
    }
}

fn ended(exchange: &Exchange) -> Vec<OperationEvent> {
    let unknown = |reason| vec![OperationEvent::OutcomeUnknown(reason)];
    match exchange {
        Exchange::Approved { approval, .. } => {
            let approved = OperationEvent::Approved(approval.clone());
            vec![OperationEvent::Sent, approved]
        }
        Exchange::Declined { decline, .. } => {
            vec![OperationEvent::Sent, OperationEvent::Declined(*decline)]
        }
        Exchange::NotSent(reason) => vec![OperationEvent::NotSent(*reason)],
        Exchange::Unknown(reason) | Exchange::Unclear { reason, .. } => unknown(*reason),
        // Answers to an advice.
        Exchange::Taken { .. } | Exchange::OriginalUnknown { .. } | Exchange::Again { .. } => {
            unknown(UnknownReason::AnswerNotUnderstood)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::decline::{
        Approval, Decline, DeclineAdvice, DeclineReason, FailureReason, ResponseCode,
    };
    use crate::payment::operation;
    use crate::payment::samples;

    #[test]
    fn each_end_is_the_operations_own() {
        let approval = Approval {
            approval_code: String::new(),
            response_code: ResponseCode::APPROVED,
            partial_minor: None,
        };
        let decline = Decline {
            reason: DeclineReason::CvvMismatch,
            response_code: "N7".parse().unwrap(),
            advice: DeclineAdvice::CorrectEntry,
        };
        let (kept, bank_us) = (Vec::new, 900);
        let reason = UnknownReason::NoAnswerInTime;
        for (exchange, expected) in [
            (Exchange::approved(approval), "APPROVED"),
            (Exchange::declined(decline), "DECLINED"),
            (Exchange::NotSent(FailureReason::HostBusy), "REJECTED"),
            (Exchange::Unknown(reason), "UNKNOWN"),
            (
                Exchange::Unclear {
                    reason,
                    response_code: "09".parse().ok(),
                    kept: kept(),
                    bank_us,
                },
                "UNKNOWN",
            ),
        ] {
            let before = samples::operation().state;
            let after = ended(&exchange)
                .into_iter()
                .try_fold(before, |state, event| operation::apply(&state, event));
            let after = after.unwrap();
            assert_eq!((after.name(), after.is_open()), (expected, false));
        }
    }
}
