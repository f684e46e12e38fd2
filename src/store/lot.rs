//! What goes into one transaction.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::batch::Care;
use super::error::StoreError;
use super::item::Item;
use super::sql::piece_of;

/// Takes out what goes into the next transaction: of intents and of outcomes as many as one statement
/// takes, so that nobody waits for a second one, and the rest gets on with what comes while this
/// commits. A payment that is in twice is changed in two transactions, so that each change sees what
/// the other did. An intent that nobody waits for any more is left out: its caller has given it up, so
/// nothing will be sent for it.
pub(super) fn take_lot(waiting: &mut VecDeque<Item>) -> Vec<Item> {
    let count = |wanted: fn(&Item) -> bool| waiting.iter().filter(|item| wanted(item)).count();
    let mut sealed = piece_of(count(|item| item.is_intent(true)));
    let mut other = piece_of(count(|item| item.is_intent(false)));
    let mut outcomes = piece_of(count(|item| matches!(item, Item::Outcome(..))));
    let mut payments = HashSet::with_capacity(outcomes);
    let mut lot = Vec::with_capacity(waiting.len());
    for _ in 0..waiting.len() {
        let Some(item) = waiting.pop_front() else {
            break;
        };
        if matches!(&item, Item::Intent(_, answer) if answer.is_closed()) {
            continue;
        }
        let room = match &item {
            Item::Intent(rows, _) if rows.envelope.is_some() => &mut sealed,
            Item::Intent(..) => &mut other,
            Item::Outcome(rows, _) if payments.insert(Arc::clone(&rows.payment_id)) => {
                &mut outcomes
            }
            Item::Outcome(..) => &mut 0,
            Item::Work(..) | Item::Close(_) => &mut 1,
        };
        if *room > 0 {
            *room -= 1;
            lot.push(item);
        } else {
            waiting.push_back(item);
        }
    }
    lot
}

/// What is written in one transaction.
pub(super) struct Lot {
    pub(super) items: Vec<Item>,
    /// Whether a COMMIT of it was not confirmed.
    pub(super) may_be_written: bool,
}

impl Lot {
    pub(super) fn care(&self) -> Care {
        if self.may_be_written {
            Care::Repeated
        } else {
            Care::Hopeful
        }
    }

    /// Takes out the second half. What may have been written of the whole may have been written of
    /// each half.
    pub(super) fn halve(&mut self) -> Self {
        Self {
            items: self.items.split_off(self.items.len() / 2),
            may_be_written: self.may_be_written,
        }
    }

    /// Takes out what can't be run a second time after a commit that may have happened.
    pub(super) fn refuse_unrepeatable(&mut self, reason: &str) {
        let unrepeatable = |item: &Item| matches!(item, Item::Work(work, _) if !work.repeatable);
        for item in std::mem::take(&mut self.items) {
            if unrepeatable(&item) {
                item.refuse(StoreError::OutcomeUnknown {
                    reason: reason.to_owned(),
                });
            } else {
                self.items.push(item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::store::item::{IntentFate, IntentRows, OutcomeRows};

    fn outcome(payment: &str) -> Item {
        let rows = OutcomeRows {
            payment_id: payment.into(),
            operation_id: payment.into(),
            payment: Vec::new(),
            operation: Vec::new(),
            reversal: None,
        };
        Item::Outcome(Box::new(rows), oneshot::channel().0)
    }

    /// An intent and who waits for it.
    fn intent(
        operation: &str,
        sealed: bool,
    ) -> (Item, oneshot::Receiver<Result<IntentFate, StoreError>>) {
        let rows = IntentRows {
            key: (operation.into(), "".into(), "".into()),
            operation_id: operation.into(),
            idempotency: Vec::new(),
            envelope: sealed.then(Vec::new),
            payment: Vec::new(),
            operation: Vec::new(),
        };
        let (answer, answered) = oneshot::channel();
        (Item::Intent(Box::new(rows), answer), answered)
    }

    fn name(item: &Item) -> &str {
        match item {
            Item::Intent(rows, _) => &rows.operation_id,
            Item::Outcome(rows, _) => &rows.operation_id,
            Item::Work(..) | Item::Close(_) => "",
        }
    }

    fn names(items: &[Item]) -> Vec<&str> {
        items.iter().map(name).collect()
    }

    #[test]
    fn a_lot_is_what_one_statement_takes_and_no_payment_is_in_it_twice() {
        let sealed: Vec<String> = (1..=15).map(|number| format!("sealed {number}")).collect();
        let mut waiting: VecDeque<Item> = ["one", "one", "two"].map(outcome).into();
        let (token, _token_answered) = intent("token", false);
        waiting.push_back(token);
        let (sealed_items, _answered): (Vec<_>, Vec<_>) =
            sealed.iter().map(|name| intent(name, true)).unzip();
        waiting.extend(sealed_items);

        let mut expected = vec!["one", "two", "token"];
        expected.extend(sealed.iter().take(14).map(String::as_str));
        assert_eq!(names(&take_lot(&mut waiting)), expected);
        assert_eq!(names(&take_lot(&mut waiting)), ["one", "sealed 15"]);
        assert!(waiting.is_empty());
        assert!(take_lot(&mut waiting).is_empty());
    }

    #[test]
    fn an_intent_that_nobody_waits_for_is_left_out() {
        let (given_up, answered) = intent("given up", true);
        drop(answered);
        let (waited_for, _answered) = intent("waited for", true);
        let mut waiting: VecDeque<Item> = [given_up, waited_for, outcome("one")].into();
        assert_eq!(names(&take_lot(&mut waiting)), ["waited for", "one"]);
        assert!(waiting.is_empty());
    }
}
