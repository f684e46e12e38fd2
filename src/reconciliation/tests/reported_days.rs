//! The money of a day that a bank has reported is what its report comes to.

use super::*;
use crate::payment::account_finding::{AccountFinding, OnAccount};
use crate::payment::bank_statement::{Candidate, LineFinding};
use crate::payment::discrepancy::Found;
use crate::payment::ids::ImportId;
use crate::payment::record::CardBrand;
use crate::payment::samples::eur;
use crate::payment::settlement_import::{ImportState, ReportCycle, ReportNet, SettlementImport};
use crate::settlement::tests::{date, on_both};
use crate::store::records::lists::ListOrder;
use crate::store::records::settlement::DiscrepancyFilter;
use crate::store::testing::TestDatabase;

on_both!(
    the_bank_pays_what_its_report_of_a_day_comes_to,
    a_day_without_batches_is_paid_as_all_of_its_cycles_say,
    what_an_earlier_version_has_taken_in_is_expected_as_its_batches,
);

fn day(number: u8) -> Candidate {
    Candidate::Settlement {
        host_id: host(),
        date: date(number),
        currency: "EUR".parse().unwrap(),
    }
}

fn net(currency: &str, minor: i64) -> ReportNet {
    ReportNet {
        currency: currency.parse().unwrap(),
        minor,
    }
}

/// Applies a report of a day, which has no lines here but comes to something.
async fn reported(scene: &Scene, number: u8, cycle: Option<i64>, nets: Option<Vec<ReportNet>>) {
    let name = number * 10 + u8::try_from(cycle.unwrap_or(0)).unwrap();
    let import = SettlementImport {
        id: ImportId::from_parts(NOW, [name; 10]),
        host_id: host(),
        name: "report.csv".into(),
        sha256: [name; 32],
        business_date: date(number),
        cycle: cycle.map(|number| ReportCycle { number, of_day: 2 }),
        lines: 0,
        nets,
        state: ImportState::Received,
        applied_to: 0,
        matched: 0,
        clears: false,
        operator: "alice".into(),
        at: NOW,
    };
    assert!(scene.store.insert_import(&import, false).await.unwrap());
    let recorded = scene.store.import(import.id).await.unwrap().unwrap();
    assert_eq!(recorded.nets, import.nets);
    if recorded.clears {
        assert!(scene.store.clear_amended(&recorded, NOW).await.unwrap());
    }
    assert!(scene.store.finish_import(&recorded, None).await.unwrap());
}

/// What the lines are matched with, in the order in which they came; of those that are not, why.
async fn found(desk: &Desk, scene: &Scene) -> Vec<Result<Candidate, LineFinding>> {
    let lines = desk.lines(scene).await;
    let found = lines.iter().map(|line| match &line.matching {
        LineMatch::Matched { with, .. } => Ok(*with),
        LineMatch::Open { finding, .. } => Err(*finding),
        LineMatch::NotCounted => panic!("it counts"),
    });
    found.collect()
}

/// What the account has missed: the date, and how much.
async fn missed(scene: &Scene) -> Vec<(Candidate, Option<String>)> {
    let filter = DiscrepancyFilter {
        account: Some(account()),
        ..DiscrepancyFilter::default()
    };
    let listed = scene
        .store
        .list_discrepancies(None, &filter, ListOrder::OldestFirst, 100, None)
        .await;
    let found = listed.unwrap().items.into_iter();
    let found = found.filter_map(|one| match one.found {
        Found::OnAccount(AccountFinding {
            of: OnAccount::Missing(what),
            ours,
            ..
        }) => Some((what, ours)),
        _ => None,
    });
    found.collect()
}

fn statement(sequence: u64, on: &str, entries: &[(&str, &str, &str)]) -> String {
    let cents = |amount: &str| amount.replace('.', "").parse::<i64>().unwrap();
    let sum: i64 = entries.iter().map(|(amount, ..)| cents(amount)).sum();
    let closing = 10_000 + sum;
    let closing = format!("{}.{:02}", closing / 100, closing % 100);
    let id = format!("S{sequence}");
    Camt {
        id: &id,
        sequence,
        date: on,
        opening: "100.00",
        closing: &closing,
        entries,
    }
    .text()
}

/// A chargeback is deducted with the day of its report, and is an item of the next one; what the bank has otherwise of a sale
/// it pays otherwise, whatever is decided about that.
async fn the_bank_pays_what_its_report_of_a_day_comes_to(database: TestDatabase) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let desk = Desk::of(&scene);
    let taken_back = scene.sale(eur(1_000), CardBrand::Visa).await;
    scene.settle(1, 5_000).await;
    scene.charge_back(&taken_back, 1_000).await;
    reported(
        &scene,
        1,
        None,
        Some(vec![net("USD", 7), net("EUR", 4_985)]),
    )
    .await;
    scene.settle(2, 8_000).await;
    reported(&scene, 2, None, Some(vec![net("EUR", 8_000)])).await;
    scene.settle(3, 9_000).await;
    reported(&scene, 3, None, Some(vec![net("EUR", 8_999)])).await;
    let entries = [
        ("49.85", "NOTPROVIDED", "the first day"),
        ("80.00", "NOTPROVIDED", "the second one"),
        ("50.00", "NOTPROVIDED", "what nobody reports"),
    ];
    desk.take(&statement(1, "2026-11-03", &entries)).await;
    let expected = [Ok(day(1)), Ok(day(2)), Err(LineFinding::LineUnmatched)];
    assert_eq!(found(&desk, &scene).await, expected);
    // The third one is missing with what its report says, and a person finds it.
    let entries = [("89.99", "NOTPROVIDED", "too late")];
    desk.take(
        &statement(2, "2026-11-11", &entries)
            .replace("100.00", "279.85")
            .replace("189.99", "369.84"),
    )
    .await;
    let ours = Some("8999".to_owned());
    assert_eq!(missed(&scene).await, [(day(3), ours)]);
    let late = desk.lines(&scene).await[3].id;
    let by_hand = desk.matching.by_hand(late, day(3), ("anna", "late"));
    assert!(by_hand.await.is_ok());
    desk.close(scene).await;
}

async fn a_day_without_batches_is_paid_as_all_of_its_cycles_say(database: TestDatabase) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let desk = Desk::of(&scene);
    scene.end_day(1).await;
    reported(&scene, 1, Some(2), Some(vec![net("EUR", -1_000)])).await;
    let entries = [
        ("-10.00", "NOTPROVIDED", "one cycle alone"),
        ("-7.50", "NOTPROVIDED", "both"),
    ];
    let text = statement(1, "2026-11-01", &entries);
    desk.take(&text).await;
    let open = Err(LineFinding::LineUnmatched);
    assert_eq!(found(&desk, &scene).await, [open, open]);
    reported(&scene, 1, Some(1), Some(vec![net("EUR", 250)])).await;
    desk.take(&text).await;
    assert_eq!(found(&desk, &scene).await, [open, Ok(day(1))]);
    // Nothing of a day that comes to nothing is missing, and what its report takes is.
    scene.end_day(2).await;
    reported(&scene, 2, None, Some(Vec::new())).await;
    scene.end_day(3).await;
    reported(&scene, 3, None, Some(vec![net("EUR", -500)])).await;
    desk.take(&statement(2, "2026-11-11", &[]).replace("100.00", "82.50"))
        .await;
    let ours = Some("-500".to_owned());
    assert_eq!(missed(&scene).await, [(day(3), ours)]);
    desk.close(scene).await;
}

async fn what_an_earlier_version_has_taken_in_is_expected_as_its_batches(database: TestDatabase) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let desk = Desk::of(&scene);
    scene.settle(1, 5_000).await;
    reported(&scene, 1, None, None).await;
    let entries = [("50.00", "NOTPROVIDED", "the first day")];
    desk.take(&statement(1, "2026-11-03", &entries)).await;
    assert_eq!(found(&desk, &scene).await, [Ok(day(1))]);
    desk.close(scene).await;
}
