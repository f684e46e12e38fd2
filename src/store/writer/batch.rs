//! The requests of one transaction.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::rows::{ChangeRows, LeftOut, Queued, Refusal, Request};
use crate::random::{HashMap, HashSet};
use crate::store::database::many_rows::rows_per_statement;
use crate::store::database::value::Value;
use crate::store::error::StoreError;

/// Takes the requests of the next transaction from the queue: of each shape of change as many as one
/// statement takes, so that nobody waits for a second statement. The others stay for the transaction
/// after it.
///
/// A payment stands in a batch once, so that a second change of it sees the first. An intent that nobody
/// waits for is dropped.
pub(in crate::store) fn next_batch(waiting: &mut VecDeque<Queued>) -> Vec<Queued> {
    waiting.retain(|queued| !queued.is_given_up());
    let mut room: BTreeMap<usize, usize> = BTreeMap::new();
    for queued in &*waiting {
        if let Request::Change(rows) = &queued.request {
            *room.entry(rows.shape()).or_default() += 1;
        }
    }
    for count in room.values_mut() {
        *count = rows_per_statement(*count);
    }
    let mut payments = HashSet::with_capacity_and_hasher(waiting.len(), Default::default());
    let mut batch = Vec::with_capacity(waiting.len());
    for _ in 0..waiting.len() {
        let Some(queued) = waiting.pop_front() else {
            break;
        };
        let fits = match &queued.request {
            Request::Statements(_) => true,
            Request::Change(rows) => match room.get_mut(&rows.shape()) {
                Some(room) if *room > 0 && payments.insert(Arc::clone(&rows.payment_id)) => {
                    *room -= 1;
                    true
                }
                _ => false,
            },
        };
        if fits {
            batch.push(queued);
        } else {
            waiting.push_back(queued);
        }
    }
    batch
}

const CLAIM_TAKEN: LeftOut = LeftOut::Refused(Refusal::RequestTaken);

/// Merchant, method and request id.
fn claim_key(rows: &ChangeRows) -> Option<Vec<Value>> {
    rows.claim.as_ref()?.get(..3).map(<[Value]>::to_vec)
}

/// Requests that are written in one transaction.
pub(in crate::store) struct Batch {
    pub(in crate::store) requests: Vec<Queued>,
    /// Whether a COMMIT of it was not confirmed.
    pub(in crate::store) may_be_written: bool,
}

impl Batch {
    /// Takes out changes, named by their operations. A change that was refused only because of the claim of
    /// another one that is taken out stays: nothing stands in its way then.
    pub(in crate::store) fn take_out(
        &mut self,
        changes: &HashMap<Arc<str>, LeftOut>,
    ) -> Vec<(Queued, LeftOut)> {
        let why = |rows: &ChangeRows| changes.get(&rows.operation_id).copied();
        let freed: HashSet<Vec<Value>> = self
            .requests
            .iter()
            .filter_map(|queued| match &queued.request {
                Request::Change(rows) if why(rows).is_some_and(|why| why != CLAIM_TAKEN) => {
                    claim_key(rows)
                }
                _ => None,
            })
            .collect();
        let mut taken = Vec::with_capacity(changes.len());
        for queued in std::mem::take(&mut self.requests) {
            let why = match &queued.request {
                Request::Change(rows) => why(rows).filter(|why| {
                    let free = claim_key(rows).is_some_and(|key| freed.contains(&key));
                    *why != CLAIM_TAKEN || !free
                }),
                Request::Statements(_) => None,
            };
            match why {
                Some(why) => taken.push((queued, why)),
                None => self.requests.push(queued),
            }
        }
        taken
    }

    /// Takes out the second half. If the whole may have been written, each half may have been.
    pub(in crate::store) fn split(&mut self) -> Self {
        Self {
            requests: self.requests.split_off(self.requests.len() / 2),
            may_be_written: self.may_be_written,
        }
    }

    /// Takes out the statements that must not run again after a commit that may have happened.
    pub(in crate::store) fn refuse_unrepeatable(&mut self, reason: &str) {
        for queued in std::mem::take(&mut self.requests) {
            if matches!(&queued.request, Request::Statements(them) if !them.repeatable) {
                queued.answer(Err(StoreError::OutcomeUnknown {
                    reason: reason.to_owned(),
                }));
            } else {
                self.requests.push(queued);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::store::writer::rows::Written;

    type Answered = oneshot::Receiver<Result<Written, StoreError>>;

    fn queued(payment: &str, claim: bool, envelope: bool) -> (Queued, Answered) {
        let (answer, answered) = oneshot::channel();
        let rows = ChangeRows {
            payment_id: payment.into(),
            operation_id: payment.into(),
            claim: claim.then(Vec::new),
            envelope: envelope.then(Vec::new),
            new_payment: None,
            new_event: None,
            adjusted: None,
            new_operation: None,
            answered: false,
            owes: Vec::new(),
            new_capture: None,
            new_refund: None,
            capture_refunds: None,
            capture_amount: None,
            step: None,
            owed_step: None,
            act: None,
            item: None,
        };
        let request = Request::Change(Box::new(rows));
        (Queued { request, answer }, answered)
    }

    fn outcome(payment: &str) -> (Queued, Answered) {
        queued(payment, false, false)
    }

    fn names(batch: &[Queued]) -> Vec<&str> {
        batch
            .iter()
            .map(|queued| match &queued.request {
                Request::Change(rows) => &*rows.payment_id,
                Request::Statements(_) => "",
            })
            .collect()
    }

    #[test]
    fn a_batch_fits_one_statement_a_shape_and_holds_no_payment_twice() {
        let sealed: Vec<String> = (1..=15).map(|number| format!("sealed {number}")).collect();
        let outcomes = ["one", "one", "two"].map(outcome);
        let intents = sealed.iter().map(|name| queued(name, true, true));
        let all = outcomes.into_iter().chain([queued("token", true, false)]);
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
        let (given_up, answered) = queued("given up", true, true);
        drop(answered);
        let (waited_for, _answered) = queued("waited for", true, true);
        let mut waiting = [given_up, waited_for, outcome("one").0].into();
        assert_eq!(names(&next_batch(&mut waiting)), ["waited for", "one"]);
        assert!(waiting.is_empty());
    }
}
