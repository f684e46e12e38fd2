//! The changes of one transaction.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::change::{Change, QueuedChange};
use super::transaction::WriteMode;
use crate::store::database::many_rows::rows_per_statement;
use crate::store::error::StoreError;

/// Takes the changes of the next transaction from the queue: as many intents and as many outcomes as one
/// statement takes, so that nobody waits for a second statement. The others stay for the transaction
/// after it.
///
/// A payment that has two outcomes is changed in two transactions, so that the second sees the first.
/// An intent that nobody waits for is dropped: nothing will be sent for it.
pub(in crate::store) fn next_batch(waiting: &mut VecDeque<QueuedChange>) -> Vec<QueuedChange> {
    let count = |wanted: fn(&Change) -> bool| {
        let wanted = waiting.iter().filter(|queued| wanted(&queued.change));
        rows_per_statement(wanted.count())
    };
    let mut sealed = count(|change| change.is_intent(true));
    let mut other = count(|change| change.is_intent(false));
    let mut outcomes = count(|change| matches!(change, Change::Outcome(_)));
    let mut payments = HashSet::with_capacity(outcomes);
    let mut batch = Vec::with_capacity(waiting.len());
    for _ in 0..waiting.len() {
        let Some(queued) = waiting.pop_front() else {
            break;
        };
        let room = match &queued.change {
            Change::Intent(_) if queued.answer.is_closed() => continue,
            Change::Intent(rows) if rows.envelope.is_some() => &mut sealed,
            Change::Intent(_) => &mut other,
            Change::Outcome(rows) if payments.insert(Arc::clone(&rows.payment_id)) => &mut outcomes,
            Change::Outcome(_) => &mut 0,
            Change::Statements(_) => &mut 1,
        };
        if *room > 0 {
            *room -= 1;
            batch.push(queued);
        } else {
            waiting.push_back(queued);
        }
    }
    batch
}

/// Changes that are written in one transaction.
pub(in crate::store) struct Batch {
    pub(in crate::store) changes: Vec<QueuedChange>,
    /// Whether a COMMIT of it was not confirmed.
    pub(in crate::store) may_be_written: bool,
}

impl Batch {
    pub(in crate::store) fn mode(&self) -> WriteMode {
        if self.may_be_written {
            WriteMode::Retried
        } else {
            WriteMode::Optimistic
        }
    }

    /// Takes out the second half. If the whole may have been written, each half may have been.
    pub(in crate::store) fn split(&mut self) -> Self {
        Self {
            changes: self.changes.split_off(self.changes.len() / 2),
            may_be_written: self.may_be_written,
        }
    }

    /// Takes out the changes that must not run again after a commit that may have happened.
    pub(in crate::store) fn refuse_unrepeatable(&mut self, reason: &str) {
        for queued in std::mem::take(&mut self.changes) {
            if matches!(&queued.change, Change::Statements(them) if !them.repeatable) {
                queued.answer(Err(StoreError::OutcomeUnknown {
                    reason: reason.to_owned(),
                }));
            } else {
                self.changes.push(queued);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::store::writer::change::{IntentRows, OutcomeRows, Verdict};

    type Answered = oneshot::Receiver<Result<Verdict, StoreError>>;

    fn queued(change: Change) -> (QueuedChange, Answered) {
        let (answer, answered) = oneshot::channel();
        (QueuedChange { change, answer }, answered)
    }

    fn outcome(payment: &str) -> (QueuedChange, Answered) {
        queued(Change::Outcome(Box::new(OutcomeRows {
            payment_id: payment.into(),
            operation_id: payment.into(),
            payment: Vec::new(),
            operation: Vec::new(),
            reversal: None,
        })))
    }

    fn intent(operation: &str, sealed: bool) -> (QueuedChange, Answered) {
        queued(Change::Intent(Box::new(IntentRows {
            key: (operation.into(), "".into(), "".into()),
            operation_id: operation.into(),
            idempotency: Vec::new(),
            envelope: sealed.then(Vec::new),
            payment: Vec::new(),
            operation: Vec::new(),
        })))
    }

    fn names(batch: &[QueuedChange]) -> Vec<&str> {
        batch
            .iter()
            .map(|queued| match &queued.change {
                Change::Intent(rows) => &*rows.operation_id,
                Change::Outcome(rows) => &*rows.operation_id,
                Change::Statements(_) => "",
            })
            .collect()
    }

    #[test]
    fn a_batch_fits_one_statement_and_holds_no_payment_twice() {
        let sealed: Vec<String> = (1..=15).map(|number| format!("sealed {number}")).collect();
        let outcomes = ["one", "one", "two"].map(outcome);
        let intents = sealed.iter().map(|name| intent(name, true));
        let all = outcomes.into_iter().chain([intent("token", false)]);
        let (mut waiting, _answered): (VecDeque<_>, Vec<_>) = all.chain(intents).unzip();

        let mut expected = vec!["one", "two", "token"];
        expected.extend(sealed.iter().take(14).map(String::as_str));
        assert_eq!(names(&next_batch(&mut waiting)), expected);
        assert_eq!(names(&next_batch(&mut waiting)), ["one", "sealed 15"]);
        assert!(waiting.is_empty());
        assert!(next_batch(&mut waiting).is_empty());
    }

    #[test]
    fn an_intent_that_nobody_waits_for_is_left_out() {
        let (given_up, answered) = intent("given up", true);
        drop(answered);
        let (waited_for, _answered) = intent("waited for", true);
        let mut waiting = [given_up, waited_for, outcome("one").0].into();
        assert_eq!(names(&next_batch(&mut waiting)), ["waited for", "one"]);
        assert!(waiting.is_empty());
    }
}
