//! An authorization: the issuer holds an amount of the customer's for the merchant; or a sale, which takes it at once.

use std::sync::Arc;

use crate::hosts::exchange::Exchange;
use crate::hosts::message::definition::Travel;
use crate::operations::flow::{Decision, Flow, Subject};
use crate::operations::new_card::{CardRefusal, NewCard, NewCards, PaymentMethod};
use crate::operations::plan::{NewPayment, NewResource, Owes, Plan, PlannedPayment};
use crate::payment::amounts::Amounts;
use crate::payment::decline::{Approval, FailureReason, UnknownReason};
use crate::payment::event::PaymentEvent;
use crate::payment::ids::PaymentId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::money::Money;
use crate::payment::operation::OperationEvent;
use crate::payment::operation_kind::OperationKind;
use crate::payment::planted::{Mistake, planted};
use crate::payment::record::Operation;
use crate::payment::state::PaymentState;

/// A request to authorize, checked field by field.
#[derive(Debug)]
pub struct Authorize {
    /// How much to hold; more than zero.
    pub amount: Money,
    /// The merchant's order reference, 1 to 64 printable characters.
    pub merchant_reference: String,
    /// The merchant's customer reference.
    pub customer_reference: Option<String>,
    /// What the payment is for, up to 200 characters.
    pub description: Option<String>,
    /// The terminal to send it under, instead of the merchant's own.
    pub terminal_id: Option<String>,
    /// Where the card comes from.
    pub payment_method: PaymentMethod,
    /// Whether the amount is taken at once, by the same message.
    pub is_sale: bool,
    /// Whether less will do, where the bank approves less.
    pub accepts_partial: bool,
}

/// The flow of authorizations.
pub struct Authorization {
    /// Opens their cards.
    pub cards: Arc<NewCards>,
}

impl Flow for Authorization {
    type Command = Authorize;
    type Basis = ();
    type Refusal = CardRefusal;

    const METHOD: &'static str = "AuthorizePayment";

    fn payment_id(&self, _command: &Authorize) -> Option<PaymentId> {
        None
    }

    fn plan(
        &self,
        merchant: &Merchant,
        command: &Authorize,
        _basis: (),
        now: UnixMillis,
    ) -> Result<Plan, CardRefusal> {
        let kind = match command.is_sale {
            true => OperationKind::Sale,
            false => OperationKind::Authorization,
        };
        let bound_to = (command.amount, command.merchant_reference.as_str());
        let NewCard {
            card,
            envelope,
            route,
        } = self
            .cards
            .open(merchant, &command.payment_method, bound_to, kind, now)?;
        let terminal_id = command.terminal_id.as_ref();
        Ok(Plan {
            kind,
            travel: Travel::Once,
            unmoved: false,
            payment: PlannedPayment::New(Box::new(NewPayment {
                merchant_reference: command.merchant_reference.clone(),
                customer_reference: command.customer_reference.clone(),
                description: command.description.clone(),
                amount: command.amount,
                card: card.summary(),
                state: PaymentState::Authorizing { pending: None },
                keeps_card: true,
            })),
            amount: command.amount,
            accepts_partial: command.accepts_partial,
            host_id: route.host_id,
            mti: route.mti,
            terminal_id: terminal_id.unwrap_or(&merchant.terminal_id).clone(),
            original_id: None,
            reason: None,
            card: Some(card),
            envelope,
            subject_id: None,
            resource: command.is_sale.then_some(NewResource::Capture {
                is_final: true,
                merchant_reference: None,
            }),
            owes: Vec::new(),
            releases_minor: 0,
        })
    }
}

/// What the end of an authorization means. What the bank may have processed without anybody knowing owes a
/// reversal.
pub(crate) fn decide(exchange: &Exchange, subject: &Subject<'_>) -> Decision {
    let none = Amounts::ZERO;
    let is_cancelled =
        subject.payment.state.is_cancelled() && !planted(Mistake::CancellationForgotten);
    match exchange {
        Exchange::Approved { approval, .. } if is_cancelled => cancelled(approval, subject),
        Exchange::Declined { decline, .. } if is_cancelled => Decision {
            operation: vec![OperationEvent::Sent, OperationEvent::Declined(*decline)],
            payment: Some(PaymentEvent::DeclinedLate(*decline)),
            change: none,
            owes: Vec::new(),
        },
        Exchange::Approved { approval, .. } => {
            let asked_minor = subject.operation.amount.amount_minor();
            let approved_minor = approval.partial_minor.unwrap_or(asked_minor);
            Decision {
                operation: vec![
                    OperationEvent::Sent,
                    OperationEvent::Approved(approval.clone()),
                ],
                payment: Some(match subject.operation.kind {
                    OperationKind::Sale => PaymentEvent::Sold(approval.clone()),
                    _ => PaymentEvent::Approved {
                        approval: approval.clone(),
                        expires_at: subject.now.plus_days(subject.hold_days),
                    },
                }),
                change: Amounts {
                    authorized_minor: approved_minor,
                    captured_minor: match subject.operation.kind {
                        OperationKind::Sale => approved_minor,
                        _ => 0,
                    },
                    ..none
                },
                owes: Vec::new(),
            }
        }
        Exchange::Declined { decline, .. } => Decision {
            operation: vec![OperationEvent::Sent, OperationEvent::Declined(*decline)],
            payment: Some(PaymentEvent::Declined(*decline)),
            change: none,
            owes: Vec::new(),
        },
        Exchange::NotSent(reason) => Decision {
            operation: vec![OperationEvent::NotSent(*reason)],
            payment: Some(PaymentEvent::NotSent(*reason)),
            change: none,
            owes: Vec::new(),
        },
        Exchange::Unknown(reason) | Exchange::Unclear { reason, .. } => {
            unknown(subject.operation, *reason)
        }
        // The answer to an advice, which an authorization is not.
        Exchange::Taken { .. } | Exchange::OriginalUnknown { .. } | Exchange::Again { .. } => {
            unknown(subject.operation, UnknownReason::AnswerNotUnderstood)
        }
    }
}

/// Approved, and not wanted any more: reversed. A sale has a capture, which is none that counts; that the bank approved
/// a part of it is all that is kept then.
fn cancelled(approval: &Approval, subject: &Subject<'_>) -> Decision {
    let reason = UnknownReason::CancelledByMerchant;
    let reversed = unknown(subject.operation, reason);
    match subject.operation.kind {
        OperationKind::Sale if approval.partial_minor.is_some() => Decision {
            operation: vec![OperationEvent::OutcomeUnknown(UnknownReason::AmountDiffers)],
            ..reversed
        },
        OperationKind::Sale => reversed,
        _ => Decision {
            operation: vec![
                OperationEvent::Sent,
                OperationEvent::Approved(approval.clone()),
            ],
            ..reversed
        },
    }
}

fn unknown(operation: &Operation, reason: UnknownReason) -> Decision {
    Decision {
        operation: vec![OperationEvent::OutcomeUnknown(reason)],
        payment: Some(match planted(Mistake::TimeOutFails) {
            true => PaymentEvent::NotSent(FailureReason::HostBusy),
            false => PaymentEvent::OutcomeUnknown(reason),
        }),
        change: Amounts::ZERO,
        owes: match planted(Mistake::NothingOwed) {
            true => Vec::new(),
            false => vec![Owes::reversal(operation, reason)],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::message::definition::UnknownRule;
    use crate::payment::decline::{Decline, DeclineAdvice, DeclineReason, ResponseCode};
    use crate::payment::operation;
    use crate::payment::record::Operation;
    use crate::payment::samples::{self, NOW};
    use crate::payment::state;

    /// Each end of an exchange: the states that follow, the hold, and whether a reversal is owed.
    #[test]
    fn each_end_leads_where_it_should() {
        let lost = UnknownReason::ConnectionLost;
        let approved = |partial_minor| {
            Exchange::approved(Approval {
                approval_code: "A1B2C3".into(),
                response_code: ResponseCode::APPROVED,
                partial_minor,
            })
        };
        let table = [
            (approved(None), "AUTHORIZED", "APPROVED", 1250, None),
            (approved(Some(500)), "AUTHORIZED", "APPROVED", 500, None),
            (
                Exchange::declined(Decline {
                    reason: DeclineReason::InsufficientFunds,
                    response_code: "51".parse().unwrap(),
                    advice: DeclineAdvice::RetryLater,
                }),
                "DECLINED",
                "DECLINED",
                0,
                None,
            ),
            (
                Exchange::NotSent(FailureReason::HostBusy),
                "FAILED",
                "REJECTED",
                0,
                None,
            ),
            (
                Exchange::Unknown(lost),
                "AUTHORIZING",
                "UNKNOWN",
                0,
                Some(lost),
            ),
            (
                Exchange::Unclear {
                    reason: UnknownReason::AmountDiffers,
                    response_code: "10".parse().ok(),
                    kept: Vec::new(),
                    bank_us: 900,
                },
                "AUTHORIZING",
                "UNKNOWN",
                0,
                Some(UnknownReason::AmountDiffers),
            ),
        ];
        let operation = samples::operation();
        let payment = samples::payment_of(&operation);
        let subject = Subject::of((&payment, &operation), UnknownRule::Reverse, NOW);
        for (exchange, payment_state, operation_state, held, owed) in table {
            let decision = decide(&exchange, &subject);
            let amounts = payment.amounts.plus(&decision.change).unwrap();
            let after = state::apply(&payment.state, decision.payment.unwrap(), &amounts).unwrap();
            assert_eq!(after.name(), payment_state);
            let ended = decision
                .operation
                .into_iter()
                .try_fold(operation.state.clone(), |state, event| {
                    operation::apply(&state, event)
                })
                .unwrap();
            assert_eq!(ended.name(), operation_state, "{payment_state}");
            assert!(!ended.is_open(), "{payment_state}");
            assert_eq!(amounts.authorized_minor, held, "{payment_state}");
            let owed = owed.map(|reason| Owes::reversal(&operation, reason));
            assert_eq!(decision.owes, Vec::from_iter(owed), "{payment_state}");
            if let PaymentState::Authorized { expires_at, .. } = after {
                assert_eq!(expires_at, NOW.plus_ms(7 * 86_400_000));
                let sale = Operation {
                    kind: OperationKind::Sale,
                    ..operation.clone()
                };
                let sold = Subject {
                    operation: &sale,
                    ..subject
                };
                let sold = decide(&exchange, &sold);
                assert!(matches!(sold.payment, Some(PaymentEvent::Sold(_))));
                let amounts = payment.amounts.plus(&sold.change).unwrap();
                let got = (amounts.authorized_minor, amounts.captured_minor);
                assert_eq!(got, (held, held));
            }
        }
    }

    /// A merchant that has cancelled the request is authorized nothing, whatever the bank says.
    #[test]
    fn a_cancelled_request_ends_without_a_hold() {
        let approved = Exchange::approved(samples::approval());
        let declined = Exchange::declined(Decline {
            reason: DeclineReason::InsufficientFunds,
            response_code: "51".parse().unwrap(),
            advice: DeclineAdvice::RetryLater,
        });
        let unsent = Exchange::NotSent(FailureReason::HostBusy);
        let lost = Exchange::Unknown(UnknownReason::ConnectionLost);
        for (exchange, kind, operation_state, payment_state, owes) in [
            (
                &approved,
                OperationKind::Authorization,
                "APPROVED",
                "AUTHORIZING",
                1,
            ),
            (&approved, OperationKind::Sale, "UNKNOWN", "AUTHORIZING", 1),
            (
                &declined,
                OperationKind::Authorization,
                "DECLINED",
                "DECLINED",
                0,
            ),
            (
                &unsent,
                OperationKind::Authorization,
                "REJECTED",
                "FAILED",
                0,
            ),
            (
                &lost,
                OperationKind::Authorization,
                "UNKNOWN",
                "AUTHORIZING",
                1,
            ),
        ] {
            let operation = Operation {
                kind,
                ..samples::operation()
            };
            let mut payment = samples::payment_of(&operation);
            payment.state = PaymentState::Authorizing {
                pending: Some(UnknownReason::CancelledByMerchant),
            };
            let subject = Subject::of((&payment, &operation), UnknownRule::Reverse, NOW);
            let decision = decide(exchange, &subject);
            assert_eq!(decision.change, Amounts::ZERO);
            let after =
                state::apply(&payment.state, decision.payment.unwrap(), &Amounts::ZERO).unwrap();
            assert_eq!(after.name(), payment_state);
            let ended = decision
                .operation
                .into_iter()
                .try_fold(operation.state.clone(), |state, event| {
                    operation::apply(&state, event)
                })
                .unwrap();
            assert_eq!(ended.name(), operation_state);
            assert_eq!(decision.owes.len(), owes);
        }
    }
}
