//! Dates that a bank reports in several files.

use std::collections::BTreeSet;

use super::make::NOW;
use super::on_both;
use super::reports::{import, kept, line_of};
use super::settlement::{day, host};
use crate::payment::difference::{Difference, DifferenceKind};
use crate::payment::discrepancy::DiscrepancyState;
use crate::payment::ids::OperationId;
use crate::payment::settlement::BatchState;
use crate::payment::settlement_import::{
    ReportCycle, ReportRule, SettlementImport, has_all_cycles, missing_cycles,
};
use crate::store::Store;
use crate::store::records::lists::ListOrder;
use crate::store::records::settlement::{DiscrepancyFilter, RunFilter};
use crate::store::testing::TestDatabase;

on_both!(batches_wait_for_all_cycles_and_an_amended_one_ends_what_was_missed);

const RULE: Option<ReportRule> = Some(ReportRule::DifferencesHold);

fn cycle(number: u8, cycle: i64, lines: i64) -> SettlementImport {
    SettlementImport {
        cycle: Some(ReportCycle {
            number: cycle,
            of_day: 3,
        }),
        ..import(number, lines)
    }
}

impl Store {
    /// Applies a report that settles these sales.
    async fn apply_all(&self, given: &SettlementImport, sales: &[OperationId]) {
        let mut given = self.import(given.id).await.unwrap().unwrap();
        while given.clears {
            self.clear_amended(&given, NOW).await.unwrap();
            given = self.import(given.id).await.unwrap().unwrap();
        }
        for sale in sales {
            let (kept, line) = (kept(2 + given.applied_to, 1), line_of(*sale, 1_250));
            assert!(self.apply_lines(&given, &kept, &line, NOW).await.unwrap());
            given.applied_to += 1;
        }
        assert!(self.finish_import(&given, RULE).await.unwrap());
    }

    async fn numbers(&self) -> Vec<i64> {
        let reports = self.reports_of_day(&host(), day(1)).await.unwrap();
        let cycles = reports.iter().filter_map(|report| report.cycle);
        cycles.map(|cycle| cycle.number).collect()
    }
}

async fn batches_wait_for_all_cycles_and_an_amended_one_ends_what_was_missed(
    database: TestDatabase,
) {
    let store = database.open().await;
    let (closed, sales) = store.closed_day_of(4).await;
    let fundable = async || {
        store.charge_nothing().await;
        let found = store.batches_to_fund(&closed, 10, RULE).await.unwrap();
        found.len()
    };
    let state = async || store.all_batches("shop").await[0].state;
    // They come in any order, each once; and no whole report beside them.
    let (last, first) = (cycle(3, 3, 1), cycle(1, 1, 1));
    assert!(store.insert_import(&last, false).await.unwrap());
    store.apply_all(&last, &sales[2..3]).await;
    assert!(!store.insert_import(&import(9, 1), false).await.unwrap());
    assert!(!store.insert_import(&cycle(8, 3, 1), false).await.unwrap());
    assert!(store.insert_import(&first, false).await.unwrap());
    store.apply_all(&first, &sales[..1]).await;
    store.finish_cycles(&last, RULE).await.unwrap();
    assert_eq!(fundable().await, 0, "one has not come");
    let shop = ["shop".parse().unwrap()];
    let open = async || {
        let (days, host) = ((day(1), day(1)), host());
        let open = store.open_items(&host, &shop, days, 10).await.unwrap();
        open.iter()
            .map(|it| it.operation_id)
            .collect::<BTreeSet<_>>()
    };
    // A line of it may be about each of them, whatever it says of their references.
    assert_eq!(open().await, BTreeSet::from([sales[1], sales[3]]));
    let reports = store.reports_of_day(&host(), day(1)).await.unwrap();
    assert_eq!(missing_cycles(&reports), [2]);
    assert!(!has_all_cycles(&reports, last.cycle.unwrap()));

    // The second one lacks an item, which is named under the last.
    let second = cycle(2, 2, 1);
    assert!(store.insert_import(&second, false).await.unwrap());
    store.apply_all(&second, &sales[1..2]).await;
    assert_eq!(store.numbers().await, [1, 2, 3]);
    let reports = store.reports_of_day(&host(), day(1)).await.unwrap();
    assert_eq!(missing_cycles(&reports), [0_i64; 0]);
    assert!(has_all_cycles(&reports, last.cycle.unwrap()));
    let missed = Difference {
        kind: DifferenceKind::NotInReport,
        line: None,
        ..line_of(sales[3], 0).differences.remove(0)
    };
    for _ in 0..2 {
        let added = store.add_differences(&reports[2], std::slice::from_ref(&missed), NOW);
        added.await.unwrap();
        store.finish_cycles(&last, RULE).await.unwrap();
    }
    assert_eq!((state().await, fundable().await), (BatchState::Disputed, 0));
    assert_eq!(open().await, BTreeSet::from([sales[3]]));
    let (shop, all) = ("shop".parse().unwrap(), RunFilter::default());
    let runs = store.report_runs(&shop, &all, ListOrder::OldestFirst, 10, None);
    let runs = runs.await.unwrap().items;
    let counts = runs.iter().map(|run| (run.matched, run.discrepancies));
    assert_eq!(counts.collect::<Vec<_>>(), [(1, 0), (1, 0), (1, 1)]);

    // Amended, it has the item: nothing is funded until that is applied, and then nothing is missed.
    let whole = cycle(4, 2, 2);
    assert!(store.insert_import(&whole, true).await.unwrap());
    assert_eq!(state().await, BatchState::Closed);
    store.finish_cycles(&last, RULE).await.unwrap();
    assert_eq!(fundable().await, 0);
    store.apply_all(&whole, &[sales[1], sales[3]]).await;
    store.follow_missed_of_day(&last, NOW).await.unwrap();
    store.finish_cycles(&last, RULE).await.unwrap();
    let states = async || {
        let filter = DiscrepancyFilter::default();
        let found = store.list_discrepancies(None, &filter, ListOrder::OldestFirst, 10, None);
        let found = found.await.unwrap().items;
        found.iter().map(|it| it.state).collect::<Vec<_>>()
    };
    assert_eq!(states().await, [DiscrepancyState::Accepted]);
    assert_eq!(fundable().await, 1);

    // Amended once more, it lacks the item again, and that is missed again.
    let lacking = cycle(5, 2, 1);
    assert!(store.insert_import(&lacking, true).await.unwrap());
    store.apply_all(&lacking, &sales[1..2]).await;
    store.follow_missed_of_day(&last, NOW).await.unwrap();
    store.finish_cycles(&last, RULE).await.unwrap();
    assert_eq!(states().await, [DiscrepancyState::Open]);
    assert_eq!((state().await, fundable().await), (BatchState::Disputed, 0));
    store.close().await;
}
