//! Changes that wait for the writer, as values to bind. Their callers make them, so that the writer, for
//! which everybody waits, has the least to do.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::payment::adjustment::Adjustment;
use crate::payment::event_kind::EventKind;
use crate::store::database::connection::{Statement, StatementResult};
use crate::store::database::many_rows::ManyRows;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::tables::captures::{CAPTURE_AMOUNTS, CAPTURE_REFUNDS, NEW_CAPTURES};
use crate::store::tables::idempotency::CLAIMS;
use crate::store::tables::journals::JournalRows;
use crate::store::tables::operations::{NEW_OPERATIONS, OWED_STEPS, STEPS};
use crate::store::tables::payments::{
    ADJUSTED_PAYMENTS, AUTHORIZED_PAYMENTS, MovedPayment, NEW_PAYMENTS,
};
use crate::store::tables::refunds::NEW_REFUNDS;
use crate::store::tables::settlement_items::ItemRow;
use crate::store::tables::used_envelopes::ENVELOPES;

/// What a caller wants from the writer.
#[derive(Debug)]
pub(in crate::store) enum Request {
    /// A change of the records.
    Change(Box<ChangeRows>),
    /// Statements outside the path of a payment.
    Statements(Statements),
}

/// A change as rows, one for each table that it touches.
#[derive(Debug)]
pub(in crate::store) struct ChangeRows {
    /// Of the payment that it touches: a payment stands in a batch once.
    pub(in crate::store) payment_id: Arc<str>,
    /// Of the operation that it is about, which names the change in what statements return.
    pub(in crate::store) operation_id: Arc<str>,
    pub(in crate::store) claim: Option<Vec<Value>>,
    pub(in crate::store) envelope: Option<Vec<Value>>,
    pub(in crate::store) new_payment: Option<Vec<Value>>,
    /// The event of a new payment that has ended already.
    pub(in crate::store) new_event: Option<(EventKind, Vec<Value>)>,
    pub(in crate::store) adjusted: Option<AdjustedRow>,
    pub(in crate::store) new_operation: Option<Vec<Value>>,
    /// Whether the last value of `new_operation` is the answer to the request.
    pub(in crate::store) answered: bool,
    /// Operations that are owed from now on, as `new_operation` is: a change has any number of them.
    pub(in crate::store) owes: Vec<Vec<Value>>,
    pub(in crate::store) new_capture: Option<Vec<Value>>,
    pub(in crate::store) new_refund: Option<Vec<Value>>,
    pub(in crate::store) capture_refunds: Option<Vec<Value>>,
    pub(in crate::store) capture_amount: Option<Vec<Value>>,
    pub(in crate::store) step: Option<StepRow>,
    pub(in crate::store) owed_step: Option<Vec<Value>>,
    /// What the audit trail says of it.
    pub(in crate::store) act: Option<Vec<Value>>,
    /// What it does to the items of the bank's days.
    pub(in crate::store) item: Option<ItemRow>,
}

/// A payment that is adjusted.
#[derive(Debug)]
pub(in crate::store) struct AdjustedRow {
    /// The row for a payment that nothing else has changed.
    pub(in crate::store) values: Vec<Value>,
    /// The adjustment, for a payment that something else has changed.
    pub(in crate::store) adjustment: Adjustment,
    /// The payment's version after it, where it may have no other.
    pub(in crate::store) only_version: Option<i64>,
    /// The row of its event, for a payment that nothing else has changed.
    pub(in crate::store) event: Vec<Value>,
    /// The money that it moves.
    pub(in crate::store) journal: Option<JournalRows>,
}

/// An operation that goes on.
#[derive(Debug)]
pub(in crate::store) struct StepRow {
    pub(in crate::store) values: Vec<Value>,
    /// Whether the last value is the answer to the request that began the operation.
    pub(in crate::store) answers: bool,
}

/// The statements of a change that nothing stands in the way of, in the order in which they run.
pub(in crate::store) const PARTS: [Part; 12] = [
    (&CLAIMS, |rows| rows.claim.as_deref()),
    (&ENVELOPES, |rows| rows.envelope.as_deref()),
    (&NEW_PAYMENTS, |rows| rows.new_payment.as_deref()),
    (&STEPS, |rows| {
        rows.step.as_ref().map(|row| row.values.as_slice())
    }),
    (&OWED_STEPS, |rows| rows.owed_step.as_deref()),
    (&AUTHORIZED_PAYMENTS, |rows| adjusted(rows, true)),
    (&ADJUSTED_PAYMENTS, |rows| adjusted(rows, false)),
    (&CAPTURE_REFUNDS, |rows| rows.capture_refunds.as_deref()),
    (&CAPTURE_AMOUNTS, |rows| rows.capture_amount.as_deref()),
    (&NEW_OPERATIONS, |rows| rows.new_operation.as_deref()),
    (&NEW_CAPTURES, |rows| rows.new_capture.as_deref()),
    (&NEW_REFUNDS, |rows| rows.new_refund.as_deref()),
];

fn adjusted(rows: &ChangeRows, only_authorizes: bool) -> Option<&[Value]> {
    let row = rows.adjusted.as_ref()?;
    (row.adjustment.only_authorizes() == only_authorizes).then_some(row.values.as_slice())
}

/// A statement, and a change's row of it.
pub(in crate::store) type Part = (&'static ManyRows, fn(&ChangeRows) -> Option<&[Value]>);

impl ChangeRows {
    /// The answer that it records.
    pub(in crate::store) fn answer(&self) -> Option<&Value> {
        match (&self.step, &self.new_operation) {
            (Some(step), _) if step.answers => step.values.last(),
            (None, Some(new)) if self.answered => new.last(),
            _ => None,
        }
    }

    /// Which of [`PARTS`] it has, as bits: changes of one shape share their statements.
    pub(in crate::store) fn shape(&self) -> usize {
        PARTS.iter().fold(0, |bits, (_, row)| {
            bits << 1 | usize::from(row(self).is_some())
        })
    }
}

/// Statements that belong together, outside the path of a payment.
#[derive(Debug)]
pub(in crate::store) struct Statements {
    pub(in crate::store) statements: Vec<Statement>,
    /// Whether running them twice is the same as running them once.
    pub(in crate::store) repeatable: bool,
}

/// What became of a request.
pub(in crate::store) enum Written {
    /// The change is committed; the payment as it is, where something else had changed it too.
    Committed(Option<Box<MovedPayment>>),
    /// The change was committed by a COMMIT that was not confirmed.
    CommittedBefore,
    /// Nothing of the change was written.
    Refused(Refusal),
    /// What each of the statements did.
    Ran(Vec<StatementResult>),
}

/// What stands in the way of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Refusal {
    /// The request is there already.
    RequestTaken,
    /// The sealed card was used before.
    EnvelopeUsed,
    /// The payment's state or a limit forbids the adjustment.
    PaymentRefused,
    /// The operation is at another version.
    OperationMoved,
    /// What is voided belongs to a day that is closed.
    DayClosed,
}

/// Why a change is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum LeftOut {
    /// It can't be written.
    Refused(Refusal),
    /// An earlier COMMIT, which was not confirmed, has written it.
    WrittenBefore,
}

/// A request and its caller.
pub(in crate::store) struct Queued {
    pub(in crate::store) request: Request,
    pub(in crate::store) answer: oneshot::Sender<Result<Written, StoreError>>,
}

impl Queued {
    /// Tells the caller, who may have stopped waiting.
    pub(in crate::store) fn answer(self, written: Result<Written, StoreError>) {
        drop(self.answer.send(written));
    }

    /// Whether it is an intent that nobody waits for any more: nothing will be sent for it.
    pub(in crate::store) fn is_given_up(&self) -> bool {
        matches!(&self.request, Request::Change(rows) if rows.claim.is_some())
            && self.answer.is_closed()
    }
}
