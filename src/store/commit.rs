//! Commits a change: turns its parts into rows, hands them to the writer, and says what became of them.

use std::sync::Arc;

use tracing::Instrument as _;

use super::Store;
use super::change::{Change, PaymentChange, Verdict};
use super::database::value::Value;
use super::error::StoreError;
use super::tables::audit::audit_values;
use super::tables::captures::new_capture_row;
use super::tables::events::{ChangedPayment, event_row};
use super::tables::idempotency::{answer, claim_row};
use super::tables::journals::JournalRows;
use super::tables::operations::{new_operation_row, owed_step_row, step_row};
use super::tables::payments::{MovedPayment, adjusted_payment_row, new_payment_row};
use super::tables::refunds::new_refund_row;
use super::tables::settlement_items::ItemRow;
use super::tables::text_buffer::{Names, TextBuffer};
use super::tables::used_envelopes::envelope_row;
use super::writer::rows::{AdjustedRow, ChangeRows, Refusal, Request, StepRow, Written};
use crate::ledger::template::journal_of;
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::capture::approved_part;
use crate::payment::event_kind::EventKind;
use crate::payment::record::{Operation, Payment};
use crate::payment::refund::refunded_of_capture;
use crate::payment::settlement::ItemChange;
use crate::payment::state::PaymentState;
use crate::traces;

impl Store {
    /// Makes a change durable, whole or not at all. Of any number of changes that claim the same (merchant,
    /// method, request id), at once or on several nodes, exactly one is committed; so it is with a sealed
    /// card, and with the steps of an operation from one version. Committing the very same step again is
    /// fine.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for parts that do not belong together, [`StoreError::Busy`] when too much
    /// waits, [`StoreError::Conflict`] when an identity or an RRN with its STAN is there already,
    /// [`StoreError::OutcomeUnknown`] when the database went away while it committed: an intent must not be
    /// sent then, and a step may be committed again; [`StoreError::SchemaMovedOn`] for a claim after another
    /// process has migrated the database.
    pub async fn commit(&self, change: &Change<'_>) -> Result<Verdict, StoreError> {
        if change.claim.is_some() {
            self.inner.housekeeping.check_schema()?;
        }
        let operation = belonging(change)?;
        let rows = rows(change, operation)?;
        let written = self
            .inner
            .writer
            .submit(Request::Change(Box::new(rows)))
            .instrument(traces::commit())
            .await?;
        Ok(match written {
            Written::Committed(moved) => Verdict::Committed {
                payment: moved.and_then(|moved| moved_payment(change, *moved)),
            },
            // Boxed, because it is rare, and every payment would have room for it.
            Written::CommittedBefore => match Box::pin(self.told(operation.id)).await {
                Ok(told) => Verdict::Committed {
                    payment: told.and_then(|(payment, _)| unexpected(change, payment)),
                },
                Err(error) => {
                    return Err(StoreError::OutcomeUnknown {
                        reason: error.to_string(),
                    });
                }
            },
            Written::Refused(Refusal::RequestTaken) => Verdict::RequestTaken,
            Written::Refused(Refusal::EnvelopeUsed) => Verdict::EnvelopeUsed,
            Written::Refused(Refusal::PaymentRefused) => Verdict::PaymentRefused,
            Written::Refused(Refusal::DayClosed) => Verdict::DayClosed,
            // The very same step may have been taken by an earlier call that was not told, or by a COMMIT
            // that was not confirmed.
            Written::Refused(Refusal::OperationMoved) => {
                match Box::pin(self.told(operation.id)).await? {
                    Some((payment, standing))
                        if *standing == *operation && self.acted(change).await? =>
                    {
                        Verdict::Committed {
                            payment: unexpected(change, payment),
                        }
                    }
                    _ => Verdict::OperationMoved,
                }
            }
            Written::Ran(_) => Verdict::Committed { payment: None },
        })
    }

    /// Whether the audit trail has what a change would put there. Two callers that do the same to an operation in the
    /// same millisecond make equal steps, and their rows of the audit trail tell them apart.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    async fn acted(&self, change: &Change<'_>) -> Result<bool, StoreError> {
        let Some(act) = change.act else {
            return Ok(true);
        };
        let found = self.find_audit(&act.operator, &act.request_id).await?;
        Ok(found.is_some_and(|found| found.id == act.id))
    }
}

/// The payment, where it is not the one that the caller expects after its change.
fn unexpected(change: &Change<'_>, payment: Box<Payment>) -> Option<Box<Payment>> {
    match change.payment {
        Some(PaymentChange::Adjusted { expected, .. }) if *expected != *payment => Some(payment),
        _ => None,
    }
}

/// The payment as it is after an adjustment, where it is not as expected.
fn moved_payment(change: &Change<'_>, moved: MovedPayment) -> Option<Box<Payment>> {
    let Some(PaymentChange::Adjusted { expected, .. }) = change.payment else {
        return None;
    };
    let MovedPayment {
        amounts,
        state,
        version,
    } = moved;
    let payment = Payment {
        amounts,
        state,
        version,
        ..expected.clone()
    };
    unexpected(change, Box::new(payment))
}

/// A change as rows.
///
/// # Errors
/// When a value can't be written as JSON.
fn rows(change: &Change<'_>, operation: &Operation) -> Result<ChangeRows, StoreError> {
    let mut texts = TextBuffer::new();
    let names = Names {
        payment_id: texts.text(operation.payment_id),
        operation_id: texts.text(operation.id),
    };
    let texts = &mut texts;
    let id_of = |texts: &mut TextBuffer, other: &Operation| {
        if other.id == operation.id {
            Arc::clone(&names.operation_id)
        } else {
            texts.text(other.id)
        }
    };
    let envelope = change.envelope.zip(change.claim);
    let (mut new_payment, mut adjusted, mut refunded) = (None, None, None);
    let mut new_event = None;
    match change.payment {
        None => {}
        Some(PaymentChange::New { payment, card }) => {
            new_payment = Some(new_payment_row(texts, payment, card, &names)?);
            new_event = ended_event(texts, payment, &names)?;
        }
        Some(PaymentChange::Adjusted {
            expected,
            adjustment,
        }) => {
            refunded = refunded_of_capture(operation, &adjustment.change);
            let row = adjusted_row(texts, expected, adjustment, operation, &names)?;
            adjusted = Some(AdjustedRow {
                only_version: change.unmoved.then_some(expected.version),
                ..row
            });
        }
    }
    let step = match change.step {
        None => None,
        Some(step) => {
            let told = match change.payment {
                Some(PaymentChange::Adjusted { expected, .. }) if step.answers => {
                    Some(answer(texts, expected, step.operation)?)
                }
                _ => None,
            };
            let id = id_of(texts, step.operation);
            Some(StepRow {
                answers: told.is_some(),
                values: step_row(texts, step.operation, &id, told)?,
            })
        }
    };
    let step_of_sale = change.step.and_then(|step| {
        let part = approved_part(step.operation)?;
        Some((step.operation, part))
    });
    let new_operation = match change.new_operation {
        None => None,
        Some(new) => {
            let payment = change.payment.map(|payment| match payment {
                PaymentChange::New { payment, .. } => payment,
                PaymentChange::Adjusted { expected, .. } => expected,
            });
            let told = match payment {
                Some(payment) if change.answered => Some(answer(texts, payment, new)?),
                _ => None,
            };
            let id = id_of(texts, new);
            Some(new_operation_row(texts, new, &id, &names.payment_id, told)?)
        }
    };
    let owed = change.owes.iter().map(|owed| {
        let id = texts.text(owed.id);
        new_operation_row(texts, owed, &id, &names.payment_id, None)
    });
    let owes = owed.collect::<Result<_, _>>()?;
    let of_step = change.step.map(|step| step.operation);
    let operations = [change.owed_step, of_step, change.new_operation];
    let item = operations
        .into_iter()
        .flatten()
        .chain(change.owes)
        .filter_map(|it| Some((it, ItemChange::of(it)?)))
        .collect::<Vec<_>>();
    let item = match &*item {
        [] => None,
        [one] => Some(*one),
        _ => return Err(not_one_operation()),
    };
    let item = item.map(|(it, change)| {
        let id = id_of(texts, it);
        ItemRow::of(texts, change, (it, &id), &names)
    });
    let owed_step = change.owed_step;
    let owed_step = owed_step.map(|owed| owed_step_row(texts, owed, &names.operation_id));
    Ok(ChangeRows {
        claim: change.claim.map(|claim| claim_row(texts, claim, &names)),
        envelope: envelope
            .map(|(envelope, claim)| envelope_row(texts, claim.merchant_id, envelope, &names)),
        new_payment,
        new_event,
        adjusted,
        new_operation,
        answered: change.answered,
        owes,
        new_capture: change
            .new_capture
            .map(|capture| new_capture_row(texts, capture, &names.operation_id, &names.payment_id)),
        new_refund: change
            .new_refund
            .map(|refund| new_refund_row(texts, refund, &names.operation_id, &names.payment_id)),
        capture_refunds: refunded.map(|(capture, minor)| {
            let row: Vec<Value> = vec![texts.text(capture).into(), minor.into()];
            row
        }),
        capture_amount: step_of_sale.map(|(operation, minor)| {
            let row: Vec<Value> = vec![id_of(texts, operation).into(), minor.into()];
            row
        }),
        step,
        owed_step: owed_step.transpose()?,
        act: change.act.map(audit_values),
        item,
        payment_id: names.payment_id,
        operation_id: names.operation_id,
    })
}

/// The event of a new payment that has ended already: payswitch itself has declined it.
///
/// # Errors
/// When a value can't be written as JSON.
fn ended_event(
    texts: &mut TextBuffer,
    payment: &Payment,
    names: &Names,
) -> Result<Option<(EventKind, Vec<Value>)>, StoreError> {
    let PaymentState::Declined { .. } = payment.state else {
        return Ok(None);
    };
    let kind = EventKind::PaymentDeclined;
    let changed = ChangedPayment {
        payment_id: &names.payment_id,
        merchant_id: payment.merchant_id.as_str().into(),
        version: payment.version,
        state: texts.json(&payment.state)?,
        amounts: &payment.amounts,
    };
    let happened = (kind, payment.created_at);
    let row = event_row(texts, changed, happened, &names.operation_id)?;
    Ok(Some((kind, row)))
}

/// An adjusted payment as rows, with its event and its journal: no caller can forget them.
///
/// # Errors
/// When a value can't be written as JSON, or the adjustment makes no journal.
fn adjusted_row(
    texts: &mut TextBuffer,
    expected: &Payment,
    adjustment: &Adjustment,
    operation: &Operation,
    names: &Names,
) -> Result<AdjustedRow, StoreError> {
    let journal = journal_of(expected.merchant_id, operation, adjustment);
    let journal = journal.map_err(|error| StoreError::Invalid {
        expected: "a change of a payment that makes a journal",
        got: error.to_string(),
    })?;
    let state = texts.json(&expected.state)?;
    let values = adjusted_payment_row(expected, &state, adjustment, names);
    let payment = ChangedPayment {
        payment_id: &names.payment_id,
        merchant_id: expected.merchant_id.as_str().into(),
        version: expected.version,
        state,
        amounts: &expected.amounts,
    };
    let happened = (EventKind::of(&adjustment.event), adjustment.at);
    Ok(AdjustedRow {
        values,
        event: event_row(texts, payment, happened, &names.operation_id)?,
        journal: journal.map(|journal| JournalRows::of(texts, &journal)),
        adjustment: adjustment.clone(),
        only_version: None,
    })
}

/// The operation that a change is about: the one whose version is its fence, or a new one.
///
/// # Errors
/// When the parts do not belong together: they are of different payments, merchants or operations, what is
/// new is not new, or what goes on has no earlier version.
fn belonging<'a>(change: &Change<'a>) -> Result<&'a Operation, StoreError> {
    let payment = match change.payment {
        Some(PaymentChange::New { payment, .. }) => Some((payment, true)),
        Some(PaymentChange::Adjusted { expected, .. }) => Some((expected, false)),
        None => None,
    };
    let claims = change.claim.is_some() || change.envelope.is_some();
    let step = change.step.map(|step| step.operation);
    let undoes = |owed: &Operation, original: &Operation| {
        owed.original_id == Some(original.id) && owed.payment_id == original.payment_id
    };
    let about = change
        .about
        .filter(|_| change.payment.is_some() || change.claim.is_some());
    let (operation, fits) = match (change.owed_step, step, change.new_operation.or(about)) {
        (None, None, Some(by_itself)) if change.new_operation.is_none() => {
            (by_itself, change.envelope.is_none())
        }
        (None, None, Some(new)) => (
            new,
            new.version == 1 && (change.envelope.is_none() || change.claim.is_some()),
        ),
        (None, Some(step), None) => (step, step.version > 1 && !claims),
        (Some(owed), step, None) => (
            owed,
            owed.version > 1
                && !claims
                && step.is_none_or(|step| step.version > 1 && undoes(owed, step)),
        ),
        _ => return Err(not_one_operation()),
    };
    let payment_fits = payment.is_none_or(|(payment, new)| {
        payment.id == operation.payment_id
            && payment.amount.currency() == operation.amount.currency()
            && (payment.version == 1) == new
            && (!new
                || payment.amounts == Amounts::ZERO
                    && payment.authorization.operation_id == operation.id)
            && change
                .claim
                .is_none_or(|claim| claim.merchant_id == payment.merchant_id)
    });
    let owed_fits = change.owes.iter().all(|owed| {
        owed.version == 1
            && owed.original_id.is_some()
            && owed.payment_id == operation.payment_id
            && owed.amount.currency() == operation.amount.currency()
    });
    let capture_fits = change.new_capture.is_none_or(|capture| {
        operation.version == 1
            && capture.operation_id == operation.id
            && capture.payment_id == operation.payment_id
            && capture.amount == operation.amount
    });
    let refund_fits = change.new_refund.is_none_or(|refund| {
        operation.version == 1
            && refund.operation_id == operation.id
            && refund.payment_id == operation.payment_id
            && refund.amount == operation.amount
    });
    if fits && payment_fits && owed_fits && capture_fits && refund_fits {
        return Ok(operation);
    }
    Err(StoreError::Invalid {
        expected: "parts of one payment, one merchant and one operation, each new or one version on",
        got: format!(
            "operation {} version {} of payment {} in {}, payment {}",
            operation.id,
            operation.version,
            operation.payment_id,
            operation.amount.currency().code(),
            payment.map_or_else(String::new, |(payment, _)| format!(
                "{} version {} of {} in {}",
                payment.id,
                payment.version,
                payment.merchant_id,
                payment.amount.currency().code()
            )),
        ),
    })
}

fn not_one_operation() -> StoreError {
    StoreError::Invalid {
        expected: "a change with either a new operation or a step of one",
        got: "both or neither".into(),
    }
}
