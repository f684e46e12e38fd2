//! The end of an operation, as it is recorded and remembered.

use crate::hosts::exchange::Exchange;
use crate::payment::adjustment::{Adjustment, AdjustmentError};
use crate::payment::custody::CustodyTimes;
use crate::payment::moment::UnixMillis;
use crate::payment::operation::{self, IllegalTransition};
use crate::payment::record::{Operation, Payment};
use crate::store::change::{Change, OperationStep, PaymentChange};

use super::flow::Decision;

/// The end of an operation, as it is recorded.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// The payment after it, if nothing else has changed the payment.
    pub(crate) payment: Box<Payment>,
    /// What it changes of the payment; none where it changes nothing.
    pub(crate) adjustment: Option<Adjustment>,
    /// The operation after it.
    pub(crate) operation: Box<Operation>,
    /// What is owed from now on.
    pub(crate) owes: Vec<Operation>,
    /// Whether it is the answer to the request that began the operation.
    pub(crate) answers: bool,
}

/// What came of the end of an operation.
pub(super) enum Told {
    /// This is told to the merchant.
    Ended(Box<Payment>, Box<Operation>),
    /// The merchant has cancelled the payment, which is so now: another end follows.
    Cancelled(Box<Payment>, Box<Operation>),
}

/// An end that the rules of the states don't allow: a fault in this program, never in a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Undecidable {
    /// The payment.
    #[error(transparent)]
    Payment(#[from] AdjustmentError),
    /// The operation.
    #[error(transparent)]
    Operation(#[from] IllegalTransition),
}

impl Outcome {
    /// The change that records it.
    pub(crate) fn change(&self) -> Change<'_> {
        Change {
            payment: self
                .adjustment
                .as_ref()
                .map(|adjustment| PaymentChange::Adjusted {
                    expected: &self.payment,
                    adjustment,
                }),
            step: Some(OperationStep {
                operation: &self.operation,
                answers: self.answers,
            }),
            owes: &self.owes,
            ..Change::default()
        }
    }

    /// What `decision` makes of the records, beside what it makes owed.
    pub(crate) fn of(
        payment: Box<Payment>,
        mut operation: Box<Operation>,
        exchange: &Exchange,
        decision: Decision,
        (at, custody): (UnixMillis, CustodyTimes),
    ) -> Result<Self, Undecidable> {
        for event in decision.operation {
            operation.state = operation::apply(&operation.state, event)?;
        }
        operation.bank_us = exchange.bank_us();
        operation.kept = exchange.kept().to_vec();
        operation.updated_at = at;
        operation.version += 1;
        let adjustment = decision.payment.map(|event| Adjustment {
            custody: custody.end_after(&event, &payment.amounts, at),
            event,
            change: decision.change,
            at,
        });
        Ok(Self {
            payment: match &adjustment {
                Some(adjustment) => adjustment.apply(payment)?,
                None => payment,
            },
            adjustment,
            operation,
            owes: Vec::new(),
            answers: true,
        })
    }
}
