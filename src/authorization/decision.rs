//! What an exchange with the bank means for the payment and its operation: pure, and tested as a table.

use crate::hosts::exchange::Exchange;
use crate::payment::moment::UnixMillis;
use crate::payment::operation::{self, OperationEvent};
use crate::payment::record::{Operation, Payment};
use crate::payment::state::{self, PaymentEvent};
use crate::store::records::{AuthorizationOutcome, ReversalOwed};

/// One day, in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// A change that the rules of the states don't allow: a fault in this program, never in a request.
#[derive(Debug, thiserror::Error)]
pub enum UndecidableError {
    /// The payment's state.
    #[error(transparent)]
    Payment(#[from] state::IllegalTransition),
    /// The operation's state.
    #[error(transparent)]
    Operation(#[from] operation::IllegalTransition),
}

/// What `exchange` makes of a payment that is being authorized: both records one version on, and the
/// reversal that is owed, when one is.
///
/// # Errors
/// When the records are not in the states in which an exchange can end.
pub fn decide(
    payment: Box<Payment>,
    operation: Box<Operation>,
    exchange: Exchange,
    hold_days: u16,
    now: UnixMillis,
) -> Result<AuthorizationOutcome, UndecidableError> {
    let mut next = AuthorizationOutcome {
        payment,
        operation,
        reversal: None,
    };
    let (payment_event, operation_events) = match exchange {
        Exchange::Approved { approval, bank_us } => {
            next.payment.authorized_minor = next.payment.amount.amount_minor();
            next.operation.bank_us = Some(bank_us);
            let event = PaymentEvent::Approved {
                approval: approval.clone(),
                expires_at: now.plus_ms(i64::from(hold_days) * DAY_MS),
            };
            (
                event,
                vec![OperationEvent::Sent, OperationEvent::Approved(approval)],
            )
        }
        Exchange::Declined { decline, bank_us } => {
            next.operation.bank_us = Some(bank_us);
            (
                PaymentEvent::Declined(decline),
                vec![OperationEvent::Sent, OperationEvent::Declined(decline)],
            )
        }
        Exchange::NotSent(reason) => (
            PaymentEvent::NotSent(reason),
            vec![OperationEvent::NotSent(reason)],
        ),
        Exchange::Unknown(reason) => {
            next.reversal = Some(ReversalOwed {
                operation_id: next.operation.id,
                reason,
                due_at: now,
            });
            (
                PaymentEvent::OutcomeUnknown(reason),
                vec![
                    OperationEvent::OutcomeUnknown(reason),
                    OperationEvent::ReversalQueued,
                ],
            )
        }
    };
    next.payment.state = state::apply(&next.payment.state, payment_event)?;
    for event in operation_events {
        next.operation.state = operation::apply(&next.operation.state, event)?;
    }
    next.payment.updated_at = now;
    next.payment.version += 1;
    next.operation.updated_at = now;
    next.operation.version += 1;
    Ok(next)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::payment::decline::{
        Approval, Decline, DeclineAdvice, DeclineReason, FailureReason, ResponseCode, UnknownReason,
    };
    use crate::payment::ids::{NodeId, OperationId, PaymentId};
    use crate::payment::moment::BusinessDate;
    use crate::payment::money::Money;
    use crate::payment::operation::{OperationKind, OperationState};
    use crate::payment::record::{CardBrand, CardSummary};
    use crate::payment::reference::SequenceNumber;
    use crate::payment::state::PaymentState;

    const NOW: UnixMillis = UnixMillis::new(1_795_000_000_000);

    /// A payment that is about to be sent, and its operation.
    pub(in crate::authorization) fn records() -> (Box<Payment>, Box<Operation>) {
        let date = BusinessDate::of(NOW);
        let number = SequenceNumber::new(41).unwrap();
        let amount = Money::new(1250, "EUR".parse().unwrap()).unwrap();
        let payment = Payment {
            id: PaymentId::from_parts(NOW, [1; 10]),
            merchant_id: "demo-shop".parse().unwrap(),
            merchant_reference: "order-1".into(),
            customer_reference: None,
            description: None,
            terminal_id: "WEB00001".into(),
            amount,
            authorized_minor: 0,
            captured_minor: 0,
            refunded_minor: 0,
            disputed_minor: 0,
            state: PaymentState::Authorizing { pending: None },
            card: CardSummary {
                brand: CardBrand::Visa,
                bin: "411111".into(),
                last_four: "1111".into(),
            },
            host_id: "acquirer".parse().unwrap(),
            stan: number.stan(),
            rrn: number.rrn(date),
            business_date: date,
            created_at: NOW,
            updated_at: NOW,
            version: 1,
        };
        let operation = Operation {
            id: OperationId::from_parts(NOW, [2; 10]),
            payment_id: payment.id,
            kind: OperationKind::Authorization,
            state: OperationState::Created,
            host_id: payment.host_id,
            amount,
            stan: payment.stan,
            rrn: payment.rrn,
            transmitted_at: NOW,
            business_date: date,
            deadline: NOW.plus_ms(4000),
            node_id: NodeId::from_parts(NOW, [3; 10]),
            bank_us: None,
            created_at: NOW,
            updated_at: NOW,
            version: 1,
        };
        (Box::new(payment), Box::new(operation))
    }

    #[test]
    fn each_exchange_leads_where_it_should() {
        let approval = Approval {
            approval_code: "A1B2C3".into(),
            response_code: ResponseCode::APPROVED,
        };
        let decline = Decline {
            reason: DeclineReason::InsufficientFunds,
            response_code: "51".parse().unwrap(),
            advice: DeclineAdvice::RetryLater,
        };
        let lost = UnknownReason::ConnectionLost;
        let table = [
            (
                Exchange::Approved {
                    approval,
                    bank_us: 900,
                },
                "AUTHORIZED",
                "APPROVED",
                1250,
                None,
            ),
            (
                Exchange::Declined {
                    decline,
                    bank_us: 900,
                },
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
                "REVERSAL_QUEUED",
                0,
                Some(lost),
            ),
        ];
        let (payment, operation) = records();
        for (exchange, payment_state, operation_state, held, owed) in table {
            let later = NOW.plus_ms(50);
            let decision = decide(payment.clone(), operation.clone(), exchange, 7, later).unwrap();
            assert_eq!(decision.payment.state.name(), payment_state);
            assert_eq!(decision.operation.state.name(), operation_state);
            assert_eq!(decision.payment.authorized_minor, held, "{payment_state}");
            let due = owed.map(|reason| ReversalOwed {
                operation_id: operation.id,
                reason,
                due_at: later,
            });
            assert_eq!(decision.reversal, due, "{payment_state}");
            assert_eq!(
                (decision.payment.version, decision.operation.version),
                (2, 2)
            );
            assert_eq!(decision.payment.updated_at, later);
            // What was decided once is not decided again by a second answer.
            let again = Exchange::NotSent(FailureReason::HostBusy);
            assert!(decide(decision.payment, decision.operation, again, 7, later).is_err());
        }
    }
}
