//! What the store tells, beside what the model expects: answers, payments, events, journals, what is owed.

use std::collections::BTreeSet;

use iso8583::hex;

use super::Model;
use crate::ledger::journal::canonical_text;
use crate::ledger::template::journal_of;
use crate::payment::event_kind::EventKind;
use crate::payment::record::Payment;
use crate::store::Store;
use crate::store::records::lists::{ListOrder, PaymentFilter};
use crate::store::testing::events_after;
use crate::store::tests::make::METHOD;

impl Model {
    pub(super) async fn compare(&self, store: &Store) {
        let recorded = |key: u8| self.requests.iter().find(|(other, _)| *other == key);
        for key in 0..6_u8 {
            let answer = store
                .find_answer(&self.merchant, METHOD, &format!("key-{key}"))
                .await
                .unwrap();
            let expected = recorded(key).map(|(_, it)| (it.intent.payment.id, it.told.clone()));
            let found = answer.map(|it| (it.payment_id, it.answer.map(|(one, two)| (*one, *two))));
            assert_eq!(found, expected);
        }
        for (request_id, expected) in &self.capture_answers {
            let answer = store
                .find_answer(&self.merchant, "CapturePayment", request_id)
                .await;
            let answer = answer.unwrap().expect("it was taken").answer;
            assert_eq!(answer.map(|(one, two)| (*one, *two)), *expected);
        }
        let filter = PaymentFilter::default();
        let page = store
            .list_payments(&self.merchant, &filter, ListOrder::OldestFirst, 100, None)
            .await
            .unwrap();
        let payments = self.requests.iter().map(|(_, it)| it.payment.clone());
        let mut payments: Vec<Payment> = payments.collect();
        payments.sort_by_key(|payment| payment.id);
        assert_eq!(page.items, payments);
        self.compare_events(store).await;
        let owed = store.owed().await;
        let owed: BTreeSet<_> = owed.into_iter().filter_map(|it| it.original_id).collect();
        assert!(self.reversals.is_subset(&owed));
        for (_, it) in &self.requests {
            let id = it.intent.operation.id;
            assert_eq!(owed.contains(&id), self.reversals.contains(&id));
            let operations = store.operations_of(it.payment.id).await.unwrap();
            let in_progress = operations.iter().filter(|it| it.state.is_open()).count();
            assert_eq!(
                in_progress,
                it.captures.len() + usize::from(it.told.is_none())
            );
        }
    }

    /// Each adjustment is one event, at a position of its own, and none is lost; a journal stands at its event.
    async fn compare_events(&self, store: &Store) {
        let (events, next) = events_after(store, self.last_position).await;
        let positions: Vec<i64> = events.iter().map(|event| event.position).collect();
        let expected: Vec<i64> = (self.last_position + 1..next).collect();
        assert_eq!(positions, expected, "no gap, no repeat");
        let mut journals = store
            .journals_after(None, self.last_position, 1000)
            .await
            .unwrap();
        for (_, recorded) in &self.requests {
            let mut payment = recorded.intent.payment.clone();
            let mut adjusted = recorded.adjusted.clone();
            let id = payment.id.to_string();
            for event in events.iter().filter(|event| event.payment_id == id) {
                let caused = adjusted.iter().position(|(operation, adjustment)| {
                    event.operation_id == operation.id.to_string()
                        && event.kind == EventKind::of(&adjustment.event).name()
                });
                let caused = caused.expect("an event of an adjustment that has none yet");
                let (operation, adjustment) = adjusted.swap_remove(caused);
                payment = *adjustment.apply(Box::new(payment)).unwrap();
                let now = (&event.state, event.amounts, event.sequence, event.at);
                let after = (
                    &payment.state,
                    payment.amounts,
                    payment.version,
                    payment.updated_at,
                );
                assert_eq!(now, after, "the payment as it was right after");
                let expected = journal_of(self.merchant, &operation, &adjustment).unwrap();
                let kept = journals.iter().position(|it| it.position == event.position);
                let kept = kept.map(|index| journals.remove(index));
                let kept = kept.map(|it| (it.canonical_text(), it.content_sha256));
                let expected = expected.map(|it| {
                    let text = canonical_text(it.id(), it.at(), it.lines());
                    (text, hex::encode_lower(&it.content_hash()))
                });
                assert_eq!(kept, expected);
            }
            assert_eq!(adjusted, [], "each adjustment has its event");
            assert_eq!(payment, recorded.payment);
        }
        assert_eq!(journals, [], "no journal without its event");
        let ours = self.requests.iter().map(|(_, it)| it.adjusted.len());
        assert_eq!(
            events.len(),
            ours.sum::<usize>(),
            "no event of anything else"
        );
    }
}
