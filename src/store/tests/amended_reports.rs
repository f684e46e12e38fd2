//! Reports that others take the place of.

use super::make::NOW;
use super::on_both;
use super::reports::{import, kept, line_of};
use super::settlement::{day, host};
use crate::ledger::template::Posting;
use crate::payment::difference::{Difference, DifferenceKind};
use crate::payment::discrepancy::DiscrepancyState;
use crate::payment::ids::MerchantId;
use crate::payment::settlement::{BatchState, SettlementBatch};
use crate::payment::settlement_import::{ImportState, ReportRule, SettlementImport};
use crate::store::testing::TestDatabase;

on_both!(
    an_amended_report_takes_the_place_of_the_first,
    what_an_amended_report_had_of_an_earlier_day_is_missed_again,
);

async fn an_amended_report_takes_the_place_of_the_first(database: TestDatabase) {
    let store = database.open().await;
    let (closed, sales) = store.closed_day_of(1).await;
    let first = import(1, 1);
    assert!(store.insert_import(&first, false).await.unwrap());
    let line = line_of(sales[0], 1_251);
    assert!(
        store
            .apply_lines(&first, &kept(2, 1), &line, NOW)
            .await
            .unwrap()
    );

    let second = import(2, 1);
    assert!(!store.insert_import(&second, false).await.unwrap());
    assert!(store.insert_import(&second, true).await.unwrap());
    let recorded = store.import(second.id).await.unwrap().unwrap();
    assert!(recorded.clears);
    let line = line_of(sales[0], 1_250);
    assert!(
        !store
            .apply_lines(&second, &kept(2, 1), &line, NOW)
            .await
            .unwrap()
    );
    // The first one can't go on.
    let mut behind = first.clone();
    behind.applied_to = 1;
    assert!(
        !store
            .apply_lines(&behind, &kept(2, 1), &line, NOW)
            .await
            .unwrap()
    );
    assert!(store.clear_amended(&recorded, NOW).await.unwrap());
    let found = store.differences_of_day(&host(), day(1), 10, "").await;
    assert_eq!(found, Ok(vec![]));
    assert_eq!(store.day_items().await.len(), 1);
    assert!(
        store
            .apply_lines(&second, &kept(2, 1), &line, NOW)
            .await
            .unwrap()
    );
    let rule = ReportRule::DifferencesHold;
    assert!(store.finish_import(&second, Some(rule)).await.unwrap());

    // Its fees are computed anew.
    let funded = store.batches_to_fund(&closed, 10, Some(rule)).await;
    assert_eq!(funded, Ok(vec![]));
    store.charge_nothing().await;
    // Money that was made available by a report is not taken back by another one.
    let [(batch, state)] = &store
        .batches_to_fund(&closed, 10, Some(rule))
        .await
        .unwrap()[..]
    else {
        panic!("one batch");
    };
    assert_eq!(*state, BatchState::Settled);
    let merchant: MerchantId = "shop".parse().unwrap();
    let journal = Posting {
        source: batch.id.to_string(),
        merchant_id: merchant,
        host_id: host(),
        at: NOW,
    }
    .settled(batch.key.currency, batch.totals.net_minor(), 0, &[])
    .unwrap();
    let behind = SettlementBatch {
        report_id: Some(first.id),
        ..batch.clone()
    };
    let funded = store.fund_batch(&behind, *state, journal.as_ref(), NOW);
    assert_eq!(funded.await, Ok(false), "as the first one said");
    let funded = store.fund_batch(batch, *state, journal.as_ref(), NOW);
    assert_eq!(funded.await, Ok(true));
    assert!(!store.insert_import(&import(3, 1), true).await.unwrap());
    let stands = store.import(second.id).await.unwrap();
    assert_eq!(stands.unwrap().state, ImportState::Done);
    store.close().await;
}

/// A sale that was missed in the report of its day comes in that of the next, which is amended then.
async fn what_an_amended_report_had_of_an_earlier_day_is_missed_again(database: TestDatabase) {
    let store = database.open().await;
    let (_, sales) = store.closed_day_of(1).await;
    let first = import(1, 0);
    assert!(store.insert_import(&first, false).await.unwrap());
    let missed = Difference {
        kind: DifferenceKind::NotInReport,
        line: None,
        ..line_of(sales[0], 0).differences.remove(0)
    };
    let added = store.add_differences(&first, &[missed], NOW).await;
    assert_eq!(added, Ok(()));
    assert!(store.finish_import(&first, None).await.unwrap());
    let of_next_day = |number| SettlementImport {
        business_date: day(2),
        ..import(number, 1)
    };
    let next = of_next_day(2);
    assert!(store.insert_import(&next, false).await.unwrap());
    let mut line = line_of(sales[0], 1_250);
    line.items[0].was_missed = true;
    let applied = store.apply_lines(&next, &kept(2, 1), &line, NOW).await;
    assert_eq!(applied, Ok(true));
    let amending = of_next_day(3);
    assert!(store.insert_import(&amending, true).await.unwrap());
    let recorded = store.import(amending.id).await.unwrap().unwrap();
    assert!(store.clear_amended(&recorded, NOW).await.unwrap());

    let found = store.differences_of_day(&host(), day(1), 10, "").await;
    let [(id, difference)] = &found.unwrap()[..] else {
        panic!("one difference");
    };
    assert_eq!(difference.accepted_at, None);
    let changes = store.discrepancy_changes(id).await.unwrap();
    let states: Vec<_> = changes.iter().map(|change| change.state).collect();
    let expected = [DiscrepancyState::Accepted, DiscrepancyState::Open];
    assert_eq!(states, expected);
    assert_eq!(store.day_items().await.len(), 1);
    store.close().await;
}
