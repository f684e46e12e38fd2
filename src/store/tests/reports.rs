//! Reports of banks: applied once, whoever applies them and whatever is interrupted.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::make::NOW;
use super::on_both;
use super::settlement::{day, host, sale, sold};
use super::wire::{LOSE_CONFIRMATION, PASS, store_on_a_wire};
use crate::payment::difference::{Difference, DifferenceKind};
use crate::payment::ids::{CaptureId, ImportId, OperationId, SubjectId};
use crate::payment::report_line::{
    AppliedLines, ItemReport, KeptLine, LineOutcome, LineState, ReportedItem,
};
use crate::payment::settlement::{BatchState, BusinessDay, ItemKind};
use crate::payment::settlement_import::{ImportState, ReportRule, SettlementImport};
use crate::store::Store;
use crate::store::records::settlement::{DifferenceCount, ItemPlace};
use crate::store::testing::TestDatabase;

on_both!(
    lines_that_are_open_are_decided_once,
    a_line_has_all_of_its_items_or_none,
    a_report_is_applied_once_and_its_batches_are_funded,
    differences_hold_batches_back_until_they_are_accepted,
    reports_are_listed_newest_first_with_how_far_each_has_come,
);

pub(super) fn import(number: u8, lines: i64) -> SettlementImport {
    SettlementImport {
        id: ImportId::from_parts(NOW, [number; 10]),
        host_id: host(),
        name: format!("report-{number}.csv"),
        sha256: [number; 32],
        business_date: day(1),
        cycle: None,
        lines,
        nets: None,
        state: ImportState::Received,
        applied_to: 0,
        matched: 0,
        clears: false,
        operator: "alice".into(),
        at: NOW,
    }
}

fn settled(operation_id: OperationId) -> ItemReport {
    ItemReport {
        operation_id,
        line: 2,
        acquirer_reference: Some("74000006333000000000012".into()),
        interchange_minor: Some(3),
        scheme_fee_minor: Some(1),
        commission_minor: Some(0),
        bank_minor: Some(1_250),
        reject_code: None,
        was_missed: false,
    }
}

fn outcome(number: i64, state: LineState) -> LineOutcome {
    LineOutcome {
        number,
        state,
        operation_id: None,
        rule: None,
    }
}

/// Lines as they came, from this number on.
pub(super) fn kept(from: i64, count: i64) -> Vec<KeptLine> {
    let kept = (from..from + count).map(|number| KeptLine {
        number,
        acceptor: "SHOP0000000001".into(),
        currency: "EUR".parse().unwrap(),
        said: format!("{{\"number\":{number}}}"),
    });
    kept.collect()
}

/// A line that settles an item; with another amount, it is a difference.
pub(super) fn line_of(operation_id: OperationId, bank_minor: i64) -> AppliedLines {
    let difference = Difference {
        kind: DifferenceKind::AmountDiffers,
        host_id: host(),
        business_date: day(1),
        merchant_id: "shop".parse().ok(),
        currency: "EUR".parse().unwrap(),
        operation_id: Some(operation_id),
        subject_id: Some(SubjectId::Capture(CaptureId::from_parts(NOW, [1; 10]))),
        rrn: None,
        ours: Some("1250".into()),
        theirs: Some(bank_minor.to_string()),
        line: Some(2),
        accepted_at: None,
        rule: Some("rrn".into()),
        candidates: Vec::new(),
    };
    AppliedLines {
        lines: vec![LineOutcome {
            operation_id: Some(operation_id),
            ..outcome(2, LineState::Matched)
        }],
        matched: 1,
        items: vec![settled(operation_id)],
        differences: Vec::from_iter((bank_minor != 1_250).then_some(difference)),
    }
}

impl Store {
    /// Sales of a day that is closed and has its batches.
    pub(super) async fn closed_day_of(&self, sales: usize) -> (BusinessDay, Vec<OperationId>) {
        self.open_first_day(&host(), day(1), NOW).await.unwrap();
        let mut operations = Vec::new();
        for _ in 0..sales {
            let sale = sale("shop");
            self.record_intent(&sale).await.unwrap();
            self.record_outcome(&sold(&sale)).await.unwrap();
            operations.push(sale.operation.id);
        }
        assert!(self.end_day(1).await);
        let closed = self.business_day(&host(), day(1)).await.unwrap().unwrap();
        self.batch_up(&closed).await;
        self.charge_nothing().await;
        let closed = self.business_day(&host(), day(1)).await.unwrap();
        (closed.unwrap(), operations)
    }

    /// What can be funded, once what a report brought has its fees.
    async fn fundable(&self, day: &BusinessDay, rule: ReportRule) -> Vec<BatchState> {
        self.charge_nothing().await;
        let found = self.batches_to_fund(day, 10, Some(rule)).await.unwrap();
        found.into_iter().map(|(_, state)| state).collect()
    }

    pub(super) async fn day_items(&self) -> Vec<ReportedItem> {
        let (host, first) = (host(), ItemPlace::default());
        let items = self.unsettled_items_of_day(&host, day(1), 10, &first);
        items.await.unwrap()
    }

    async fn batch_state(&self) -> BatchState {
        self.all_batches("shop").await[0].state
    }
}

async fn a_report_is_applied_once_and_its_batches_are_funded(database: TestDatabase) {
    let store = database.open().await;
    let (closed, sales) = store.closed_day_of(3).await;
    let fundable = async || store.fundable(&closed, ReportRule::DifferencesHold).await;
    assert_eq!(fundable().await, [], "without a report");
    let found = store.batches_to_fund(&closed, 10, None).await.unwrap();
    assert_eq!(found.len(), 1, "of a host that sends none");

    let given = import(1, 3);
    assert!(store.insert_import(&given, false).await.unwrap());
    let again = store.insert_import(&given, false).await;
    assert_eq!(again, Ok(true), "the very same one");
    assert!(!store.insert_import(&import(2, 3), false).await.unwrap());
    let other = store
        .import_of_file(&host(), &[1; 32], Some(day(2)), None)
        .await;
    assert_eq!(other, Ok(None));
    let read = store
        .import_of_file(&host(), &[1; 32], None, None)
        .await
        .unwrap();
    assert_eq!(read.as_ref(), Some(&given));

    // Two nodes apply the same lines; one is first. What one of them knows no more is not applied.
    let apply = async |given: &SettlementImport, sale: usize| {
        let line = line_of(sales[sale], 1_250);
        let kept = kept(2 + given.applied_to, 1);
        store.apply_lines(given, &kept, &line, NOW).await.unwrap()
    };
    assert!(apply(&given, 0).await);
    assert!(!apply(&given, 0).await);
    let mut behind = given.clone();
    assert!(!store.finish_import(&given, None).await.unwrap());
    behind.applied_to = 1;
    assert!(apply(&behind, 1).await);
    assert!(!apply(&behind, 2).await, "the second line is applied");
    let items = store.day_items().await;
    let unsettled: Vec<_> = items.iter().map(|item| item.operation_id).collect();
    assert_eq!(unsettled, [sales[2]]);
    assert_eq!(fundable().await, []);
    behind.applied_to = 2;
    assert!(apply(&behind, 2).await);
    let done = store.finish_import(&given, Some(ReportRule::DifferencesHold));
    assert!(done.await.unwrap());
    let again = store.finish_import(&given, Some(ReportRule::DifferencesHold));
    assert!(!again.await.unwrap());
    let read = store.import(given.id).await.unwrap().unwrap();
    assert_eq!((read.state, read.matched), (ImportState::Done, 3));
    assert_eq!(fundable().await, [BatchState::Settled]);

    let batch = &store.all_batches("shop").await[0];
    let notes = store.settlement_items(&batch.key, 10, None).await.unwrap();
    let fees = notes.iter().map(|note| note.interchange_minor);
    assert_eq!(fees.collect::<Vec<_>>(), [Some(3); 3]);
    let settlement = store.settlement_of(&sales).await.unwrap();
    let arn = settlement[&sales[0]].acquirer_reference.as_deref();
    assert_eq!(arn, Some("74000006333000000000012"));

    // Lines are matched by the RRN of any operation of the payment, and merchants by their acceptor.
    let found = store.items_of_rrns(&host(), &[items[0].own_rrn]).await;
    let found = found.unwrap();
    assert!(
        found
            .iter()
            .any(|it| it.operation_id == items[0].operation_id)
    );
    assert!(found.iter().all(|it| it.kind == ItemKind::Capture));
    let other = "other".parse().unwrap();
    let found = store.items_of_rrns(&other, &[items[0].own_rrn]).await;
    assert_eq!(found, Ok(vec![]));
    store.close().await;
}

/// What is decided stays, also where another node decides the same lines.
/// Of three items that one line is about, another report has settled one meanwhile.
async fn a_line_has_all_of_its_items_or_none(database: TestDatabase) {
    let store = database.open().await;
    let (_, sales) = store.closed_day_of(3).await;
    let mut given = import(1, 1);
    assert!(store.insert_import(&given, false).await.unwrap());
    let come = AppliedLines {
        lines: vec![outcome(2, LineState::Open)],
        ..AppliedLines::default()
    };
    let come = store.apply_lines(&given, &kept(2, 1), &come, NOW).await;
    assert_eq!(come, Ok(true));
    given.applied_to = 1;
    let of = |operations: &[OperationId]| AppliedLines {
        lines: vec![LineOutcome {
            operation_id: operations.first().copied(),
            ..outcome(2, LineState::Matched)
        }],
        matched: 1,
        items: operations.iter().copied().map(settled).collect(),
        ..AppliedLines::default()
    };
    let taken = sales[2];
    let elsewhere = format!(
        "UPDATE settlement_items SET settled_by = 'imp_06e9x3w8k1z7h4n2m5q0r8t6va' WHERE operation_id = '{taken}'"
    );
    database.execute(&elsewhere).await;
    store.decide_lines(&given, &of(&sales), NOW).await.unwrap();
    // The other two are settled by nothing, and the line is looked at once more.
    assert_eq!(store.day_items().await.len(), 2);
    assert_eq!(store.open_lines(given.id, 10).await.unwrap().len(), 1);

    let both = of(&sales[..2]);
    store.decide_lines(&given, &both, NOW).await.unwrap();
    assert_eq!(store.day_items().await, []);
    assert_eq!(store.open_lines(given.id, 10).await.unwrap().len(), 0);
    store.close().await;
}

async fn lines_that_are_open_are_decided_once(database: TestDatabase) {
    let store = database.open().await;
    let (_, sales) = store.closed_day_of(2).await;
    let mut given = import(1, 2);
    assert!(store.insert_import(&given, false).await.unwrap());
    let come = AppliedLines {
        lines: vec![outcome(2, LineState::Open), outcome(3, LineState::Open)],
        ..AppliedLines::default()
    };
    let come = store.apply_lines(&given, &kept(2, 2), &come, NOW).await;
    assert_eq!(come, Ok(true));
    given.applied_to = 2;
    let said = store.open_lines(given.id, 10).await.unwrap();
    assert_eq!(said, [r#"{"number":2}"#, r#"{"number":3}"#]);

    let merchants = ["shop".parse().unwrap()];
    let days = (day(1), day(1));
    let open = store.open_items(&host(), &merchants, days, 10).await;
    let open = open.unwrap();
    assert_eq!(open.len(), 2);
    assert!(open.iter().all(|item| item.merchant_reference.is_some()));
    assert!(open.iter().all(|item| !item.approval_codes.is_empty()));
    let matched = line_of(sales[0], 1_251);
    store.decide_lines(&given, &matched, NOW).await.unwrap();
    let otherwise = AppliedLines {
        lines: vec![outcome(2, LineState::Unknown)],
        items: vec![ItemReport {
            bank_minor: Some(1),
            ..settled(sales[0])
        }],
        ..AppliedLines::default()
    };
    store.decide_lines(&given, &otherwise, NOW).await.unwrap();
    let (said, line) = store.report_line(given.id, 2).await.unwrap().unwrap();
    assert_eq!(
        (&*said, line.state),
        (r#"{"number":2}"#, LineState::Matched)
    );
    let open = store.open_items(&host(), &merchants, days, 10).await;
    assert_eq!(open.unwrap().len(), 1);
    assert_eq!(store.open_lines(given.id, 10).await.unwrap().len(), 1);
    store.count_matched(&given).await.unwrap();
    let counted = store.import(given.id).await.unwrap().unwrap();
    assert_eq!(counted.matched, 1);
    store.close().await;
}

/// Its operator is not told that another report is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_whose_commit_is_not_confirmed_is_recorded() {
    let database = TestDatabase::postgres().await;
    let (store, plan) = store_on_a_wire(&database).await;
    for (given, amends) in [(import(1, 3), false), (import(2, 3), true)] {
        plan.store(LOSE_CONFIRMATION, Ordering::SeqCst);
        assert_eq!(store.insert_import(&given, amends).await, Ok(true));
        assert_eq!(plan.load(Ordering::SeqCst), PASS, "the wire broke");
    }
    let standing = store.import(import(2, 3).id).await.unwrap();
    assert_eq!(standing.unwrap().state, ImportState::Received);
}

async fn differences_hold_batches_back_until_they_are_accepted(database: TestDatabase) {
    let store = database.open().await;
    let (closed, sales) = store.closed_day_of(1).await;
    let given = import(1, 1);
    assert!(store.insert_import(&given, false).await.unwrap());
    let line = line_of(sales[0], 1_251);
    assert!(
        store
            .apply_lines(&given, &kept(2, 1), &line, NOW)
            .await
            .unwrap()
    );
    let done = store.finish_import(&given, Some(ReportRule::DifferencesHold));
    assert!(done.await.unwrap());
    let applied = store.import(given.id).await.unwrap().unwrap();
    // What is found again is not there twice.
    let again = store.add_differences(&applied, &line.differences, NOW);
    again.await.unwrap();
    let counts = store.difference_counts(&applied).await.unwrap();
    let expected = DifferenceCount {
        kind: DifferenceKind::AmountDiffers,
        count: 1,
    };
    assert_eq!(counts, [expected]);
    let listed = store.differences_of_day(&host(), day(1), 10, "").await;
    let listed = listed.unwrap();
    assert_eq!(listed[0].1, line.differences[0]);
    let after = store
        .differences_of_day(&host(), day(1), 10, &listed[0].0)
        .await;
    assert_eq!(after, Ok(vec![]));

    assert_eq!(store.batch_state().await, BatchState::Disputed);
    let passing = store.fundable(&closed, ReportRule::DifferencesPass).await;
    assert_eq!(passing, [BatchState::Disputed]);
    let held = store.fundable(&closed, ReportRule::DifferencesHold).await;
    assert_eq!(held, []);
    let accept = async || {
        store
            .accept_differences(&host(), day(1), NOW)
            .await
            .unwrap()
    };
    assert_eq!(accept().await, 1);
    assert_eq!(accept().await, 0);
    let held = store.fundable(&closed, ReportRule::DifferencesHold).await;
    assert_eq!(held, [BatchState::Disputed]);
    store.close().await;
}

/// Run by hand: how long the database takes to apply a report of 100,000 lines.
/// `cargo test --release -p payswitch --lib -- --ignored --nocapture a_large_report`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes minutes, and measures"]
async fn a_large_report_is_applied_in_short_transactions() {
    const SALES: usize = 100_000;
    for database in [TestDatabase::sqlite().await, TestDatabase::postgres().await] {
        let engine = database.engine();
        let store = database.open().await;
        store.open_first_day(&host(), day(1), NOW).await.unwrap();
        let mut sales = Vec::with_capacity(SALES);
        for _ in 0..SALES / 1_000 {
            let intents: Vec<_> = (0..1_000).map(|_| sale("shop")).collect();
            join_all(intents.iter().map(|sale| store.record_intent(sale))).await;
            let outcomes: Vec<_> = intents.iter().map(sold).collect();
            join_all(outcomes.iter().map(|sold| store.record_outcome(sold))).await;
            sales.extend(intents.iter().map(|sale| sale.operation.rrn));
        }
        assert!(store.end_day(1).await);
        let closed = store.business_day(&host(), day(1)).await.unwrap().unwrap();
        store.batch_up(&closed).await;
        let mut given = import(1, i64::try_from(SALES).unwrap());
        assert!(store.insert_import(&given, false).await.unwrap());
        let (started, mut longest) = (Instant::now(), Duration::ZERO);
        for rrns in sales.chunks(250) {
            let chunk = Instant::now();
            let mut items = store.items_of_rrns(&host(), rrns).await.unwrap();
            items.dedup_by_key(|item| item.operation_id);
            assert_eq!(items.len(), rrns.len());
            let lines = i64::try_from(rrns.len()).unwrap();
            let kept = kept(2 + given.applied_to, lines);
            let matched = kept
                .iter()
                .map(|kept| outcome(kept.number, LineState::Matched));
            let applied = AppliedLines {
                lines: matched.collect(),
                matched: lines,
                items: items.iter().map(|it| settled(it.operation_id)).collect(),
                differences: Vec::new(),
            };
            assert!(
                store
                    .apply_lines(&given, &kept, &applied, NOW)
                    .await
                    .unwrap()
            );
            given.applied_to += lines;
            longest = longest.max(chunk.elapsed());
        }
        assert!(store.finish_import(&given, None).await.unwrap());
        let took = started.elapsed();
        let measured = format!("{engine:?}: {took:?}, and at most {longest:?} for 250 lines");
        eprintln!("{measured}");
        assert!(longest < Duration::from_secs(2), "{measured}");
        assert!(took < Duration::from_secs(300), "{measured}");
        store.close().await;
    }
}

async fn reports_are_listed_newest_first_with_how_far_each_has_come(database: TestDatabase) {
    let store = database.open().await;
    let given: Vec<_> = (1..=3)
        .map(|number| SettlementImport {
            business_date: day(number),
            ..import(number, 4)
        })
        .collect();
    for import in &given {
        assert!(store.insert_import(import, false).await.unwrap());
    }
    database
        .execute("UPDATE settlement_imports SET state = 'APPLYING', applied_to = 3 WHERE name = 'report-2.csv'")
        .await;
    let first = store.list_imports(2, None).await.unwrap();
    let applying = SettlementImport {
        state: ImportState::Applying,
        applied_to: 3,
        ..given[1].clone()
    };
    assert_eq!(first, [given[2].clone(), applying.clone()]);
    let last = store.list_imports(2, Some(applying.id)).await.unwrap();
    assert_eq!(last, given[..1]);
}
