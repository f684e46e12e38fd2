//! What is done about discrepancies: each step once, with its event and its journal.

use super::make::NOW;
use super::on_both;
use super::reports::{import, kept, line_of};
use super::settlement::{day, host};
use crate::ledger::account::AccountKind;
use crate::ledger::template::Posting;
use crate::payment::difference::{Difference, DifferenceKind};
use crate::payment::discrepancy::{
    Bearer, Discrepancy, DiscrepancyChange, DiscrepancyState, Ending, Step, Stepped,
};
use crate::payment::event_kind::EventKind;
use crate::store::Store;
use crate::store::reads::events::Subject;
use crate::store::records::lists::ListOrder;
use crate::store::records::settlement::{DiscrepancyFilter, RunFilter};
use crate::store::testing::TestDatabase;

on_both!(
    a_step_is_taken_once_with_its_event_and_its_journal,
    what_is_found_and_what_ends_by_itself_is_told_once,
);

impl Store {
    async fn listed(&self, filter: DiscrepancyFilter) -> Vec<Discrepancy> {
        let order = ListOrder::OldestFirst;
        let listed = self.list_discrepancies(None, &filter, order, 10, None);
        listed.await.unwrap().items
    }

    /// The states of discrepancies that events have told.
    async fn told_states(&self) -> Vec<DiscrepancyState> {
        let last = self.last_position().await.unwrap();
        let events = self.events_between(1, last, &|_| true).await.unwrap();
        let told = events.iter().filter_map(|(_, event)| event.as_ref());
        let told = told.filter(|event| event.kind == EventKind::DiscrepancyUpdated);
        let states = told.filter_map(|event| match &event.subject {
            Subject::Discrepancy { discrepancy, .. } => Some(discrepancy.state),
            _ => None,
        });
        states.collect()
    }

    /// Takes a step, with a journal where something moves.
    async fn step(&self, before: &Discrepancy, after: &Stepped) -> bool {
        let change = DiscrepancyChange {
            at: NOW,
            state: after.state,
            actor: "alice".into(),
            reason: "a test".into(),
        };
        let moves = after.moves.or(after.undoes.then_some((-1, Bearer::House)));
        let journal = moves.map(|(minor, _)| {
            let posting = Posting {
                source: format!("{}.{}", before.id, before.version + 1),
                merchant_id: "shop".parse().unwrap(),
                host_id: host(),
                at: NOW,
            };
            let currency = before.found.currency();
            let journal = posting.correction(AccountKind::Receivable, currency, minor);
            journal.unwrap()
        });
        let changed = self.change_discrepancy(before, after, &change, journal.as_ref(), None);
        changed.await.unwrap()
    }
}

async fn a_step_is_taken_once_with_its_event_and_its_journal(database: TestDatabase) {
    let store = database.open().await;
    let (_, sales) = store.closed_day_of(1).await;
    let given = import(1, 1);
    assert!(store.insert_import(&given, false).await.unwrap());
    let line = line_of(sales[0], 1_251);
    let applied = store.apply_lines(&given, &kept(2, 1), &line, NOW).await;
    assert_eq!(applied, Ok(true));
    assert!(store.finish_import(&given, None).await.unwrap());
    let open = DiscrepancyFilter {
        is_open: true,
        ..DiscrepancyFilter::default()
    };
    let [found] = &store.listed(open.clone()).await[..] else {
        panic!("one discrepancy");
    };
    let in_report = found.found.in_report().unwrap();
    assert_eq!(in_report.difference, line.differences[0]);
    assert_eq!((found.state, found.version), (DiscrepancyState::Open, 1));
    assert!(in_report.item_rrn.is_some() && found.due_at.is_some());

    let end = Step::End(Ending::Correct(Bearer::House));
    let corrected = found.step(&end, "alice", 1).unwrap();
    assert!(store.step(found, &corrected).await);
    assert!(
        !store
            .step(found, &found.step(&Step::AskBank, "bob", 1).unwrap())
            .await
    );
    assert_eq!(store.listed(open.clone()).await, []);
    let shop = "shop".parse().unwrap();
    let now = store
        .discrepancy(&found.id, Some(&shop))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((now.state, now.version), (DiscrepancyState::Corrected, 2));
    let journal = now.correction.clone().unwrap();
    assert_eq!(journal, format!("{}.2:correction", found.id));
    let other = "other".parse().unwrap();
    assert_eq!(store.discrepancy(&found.id, Some(&other)).await, Ok(None));
    // A report that something was corrected of is not replaced.
    assert!(!store.insert_import(&import(2, 1), true).await.unwrap());

    let reopened = now.step(&Step::Reopen, "bob", 1).unwrap();
    assert!(store.step(&now, &reopened).await);
    let now = &store.listed(open).await[0];
    assert_eq!((now.version, now.correction.clone()), (3, None));
    let changes = store.discrepancy_changes(&found.id).await.unwrap();
    let states: Vec<_> = changes.iter().map(|change| change.state).collect();
    assert_eq!(
        states,
        [DiscrepancyState::Corrected, DiscrepancyState::Open]
    );
    assert_eq!(store.told_states().await, states);
    let of_kind = DiscrepancyFilter {
        kind: Some(DifferenceKind::NotInReport),
        ..DiscrepancyFilter::default()
    };
    assert_eq!(store.listed(of_kind).await, []);
    let all = RunFilter::default();
    let runs = store.report_runs(&shop, &all, ListOrder::NewestFirst, 10, None);
    let runs = runs.await.unwrap().items;
    assert_eq!((runs[0].matched, runs[0].discrepancies), (1, 1));
    assert_eq!(runs[0].business_date, day(1));
    store.close().await;
}

/// Nobody is told while a report is applied; then each of its discrepancies is, however often that is asked for.
async fn what_is_found_and_what_ends_by_itself_is_told_once(database: TestDatabase) {
    use DiscrepancyState::{Accepted, Open};
    let store = database.open().await;
    let (_, sales) = store.closed_day_of(3).await;
    let given = import(1, 1);
    assert!(store.insert_import(&given, false).await.unwrap());
    let missing: Vec<_> = (sales.iter())
        .map(|sale| Difference {
            kind: DifferenceKind::NotInReport,
            line: None,
            theirs: None,
            ..line_of(*sale, 1_251).differences.remove(0)
        })
        .collect();
    store.add_differences(&given, &missing, NOW).await.unwrap();
    assert_eq!(store.told_states().await, []);
    let before = store.last_position().await.unwrap();
    let (one, other) = tokio::join!(
        store.try_to_tell_discrepancies(),
        store.try_to_tell_discrepancies()
    );
    assert_eq!((one, other), (Ok(()), Ok(())));
    assert_eq!(store.told_states().await, [Open, Open, Open]);
    // Positions have no gap.
    assert_eq!(store.last_position().await.unwrap(), before + 3);

    let ended = store.accept_differences(&host(), day(1), NOW).await;
    assert_eq!(ended, Ok(3));
    store.try_to_tell_discrepancies().await.unwrap();
    store.try_to_tell_discrepancies().await.unwrap();
    let expected = [[Open; 3], [Accepted; 3]].concat();
    assert_eq!(store.told_states().await, expected);
    assert_eq!(store.last_position().await.unwrap(), before + 6);

    // What an amended report had is gone. A list of its events alone comes to its end.
    let amending = import(2, 0);
    assert!(store.insert_import(&amending, true).await.unwrap());
    while !store.clear_amended(&amending, NOW).await.unwrap() {}
    let kinds = [EventKind::DiscrepancyUpdated];
    let shop = "shop".parse().unwrap();
    let mut next = Some(0);
    while let Some(after) = next {
        let listed = store
            .events_of(&shop, Some(&kinds), after, 2)
            .await
            .unwrap();
        assert_eq!(listed.items, []);
        next = listed.next;
    }
    store.close().await;
}
