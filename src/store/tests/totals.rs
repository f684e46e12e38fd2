//! Totals, and the batches that are funded when they are agreed.

use futures_util::future::join_all;

use super::make::NOW;
use super::on_both;
use super::settlement::{day, host, sale, sold};
use crate::ledger::template::Posting;
use crate::payment::event_kind::EventKind;
use crate::payment::ids::MerchantId;
use crate::payment::reference::Stan;
use crate::payment::samples;
use crate::payment::settlement::{BatchState, BatchTotals, BusinessDay, SettlementBatch};
use crate::payment::totals::{Totals, TotalsLevel, TotalsState, TotalsStep};
use crate::store::Store;
use crate::store::reads::events::Subject;
use crate::store::testing::TestDatabase;

on_both!(
    totals_go_on_once_from_each_version,
    each_level_sums_what_its_host_is_told,
    a_batch_is_funded_once_whoever_does_it,
);

const SHOPS: [&str; 2] = ["shop", "bookshop"];

/// A sale of 12.50 EUR at each shop, in a day that is closed.
async fn closed_day(store: &Store, number: u8, level: TotalsLevel) -> BusinessDay {
    if number == 1 {
        store.open_first_day(&host(), day(1), NOW).await.unwrap();
        for shop in SHOPS {
            let merchant = crate::payment::merchant::Merchant {
                id: shop.parse().unwrap(),
                acceptor_id: shop.to_uppercase(),
                ..samples::merchant()
            };
            store.insert_merchant(&merchant).await.unwrap();
        }
    }
    for shop in SHOPS {
        let sale = sale(shop);
        store.record_intent(&sale).await.unwrap();
        store.record_outcome(&sold(&sale)).await.unwrap();
    }
    assert!(store.end_day(number).await);
    let ended = store.business_day(&host(), day(number)).await.unwrap();
    let ended = ended.unwrap();
    let batches = store.batches_of_day(&ended).await.unwrap();
    // A second time it changes nothing.
    for _ in 0..2 {
        let made = store.insert_batches(&ended, &batches, Some(level), NOW);
        made.await.unwrap();
    }
    store.charge_nothing().await;
    let made = store.business_day(&host(), day(number)).await.unwrap();
    made.unwrap()
}

async fn of_day(store: &Store, day: &BusinessDay) -> Vec<Totals> {
    store.totals_of_day(day, 10, None).await.unwrap()
}

fn answered(state: TotalsState) -> TotalsStep {
    TotalsStep::Answered {
        state,
        theirs: None,
        response_code: None,
    }
}

async fn fundable(store: &Store, day: &BusinessDay) -> Vec<(String, BatchState)> {
    let found = store.batches_to_fund(day, 10, None).await.unwrap();
    let named = |(batch, state): (SettlementBatch, _)| (batch.key.merchant_id.to_string(), state);
    let mut named: Vec<_> = found.into_iter().map(named).collect();
    named.sort_by(|one, other| one.0.cmp(&other.0));
    named
}

async fn each_level_sums_what_its_host_is_told(database: TestDatabase) {
    let store = database.open().await;
    let one = BatchTotals {
        capture_count: 1,
        captured_minor: 1_250,
        ..BatchTotals::default()
    };
    for (number, level, expected) in [
        (
            1,
            TotalsLevel::Merchant,
            vec![("bookshop", "", "BOOKSHOP", one), ("shop", "", "SHOP", one)],
        ),
        (
            2,
            TotalsLevel::Terminal,
            vec![
                ("bookshop", "WEB00001", "BOOKSHOP", one),
                ("shop", "WEB00001", "SHOP", one),
            ],
        ),
        (3, TotalsLevel::Host, vec![("", "", "", one.plus(&one))]),
    ] {
        let day = closed_day(&store, number, level).await;
        let totals = of_day(&store, &day).await;
        let shown = totals.iter().map(|it| {
            let merchant = it.key.merchant_id;
            let merchant = merchant.map_or_else(String::new, |merchant| merchant.to_string());
            (
                merchant,
                it.key.terminal_id.clone(),
                it.acceptor_id.clone(),
                it.ours,
            )
        });
        let expected = expected
            .into_iter()
            .map(|(merchant, terminal, acceptor, sums)| {
                (
                    merchant.to_owned(),
                    terminal.to_owned(),
                    acceptor.to_owned(),
                    sums,
                )
            });
        assert_eq!(
            shown.collect::<Vec<_>>(),
            expected.collect::<Vec<_>>(),
            "{level:?}"
        );
        // Nothing is funded before it is agreed; a host's totals fund all of its batches.
        assert_eq!(fundable(&store, &day).await, []);
        let first = &totals[0];
        let step = answered(TotalsState::InBalance);
        assert!(
            store
                .step_totals(first, &step, NOW)
                .await
                .unwrap()
                .is_some()
        );
        let funded: Vec<&str> = match level {
            TotalsLevel::Host => vec!["bookshop", "shop"],
            _ => vec!["bookshop"],
        };
        let funded = funded
            .into_iter()
            .map(|shop| (shop.to_owned(), BatchState::Settled));
        assert_eq!(fundable(&store, &day).await, funded.collect::<Vec<_>>());
    }
    store.close().await;
}

async fn totals_go_on_once_from_each_version(database: TestDatabase) {
    let store = database.open().await;
    let ended = closed_day(&store, 1, TotalsLevel::Merchant).await;
    let due = store.due_totals(&host(), NOW, 10).await.unwrap();
    assert_eq!(due.len(), 2);
    let totals = &due[0];
    let sent = |stan| TotalsStep::Sent {
        stan: Stan::try_from(stan).unwrap(),
        next_at: NOW.plus_ms(1_000),
    };
    assert!(
        store
            .step_totals(totals, &sent(7), NOW)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(store.step_totals(totals, &sent(8), NOW).await, Ok(None));
    let batch = |merchant: Option<MerchantId>| {
        let (store, ended) = (&store, &ended);
        async move {
            let key = crate::payment::settlement::BatchKey {
                business_date: ended.date,
                host_id: ended.host_id,
                merchant_id: merchant.unwrap(),
                currency: "EUR".parse().unwrap(),
            };
            let id = key.id(ended.opened_at);
            store
                .settlement_batch(&key.merchant_id, id)
                .await
                .unwrap()
                .unwrap()
        }
    };
    assert_eq!(
        batch(totals.key.merchant_id).await.state,
        BatchState::Submitted
    );
    // Its turn comes again, and it keeps its number.
    assert_eq!(store.due_totals(&host(), NOW, 10).await.unwrap().len(), 1);
    let again = store
        .due_totals(&host(), NOW.plus_ms(1_000), 10)
        .await
        .unwrap();
    let again = again.into_iter().find(|it| it.key == totals.key).unwrap();
    assert_eq!((again.sent, again.stan), (1, Stan::try_from(7).ok()));
    let later = NOW.plus_ms(5);
    assert!(
        store
            .step_totals(&again, &sent(9), later)
            .await
            .unwrap()
            .is_some()
    );
    let again = of_day(&store, &ended).await.swap_remove(0);
    assert_eq!(
        (again.sent, again.stan, again.transmitted_at),
        (2, Stan::try_from(7).ok(), Some(NOW))
    );
    // The host says something else.
    let theirs = BatchTotals {
        captured_minor: 1_251,
        ..again.ours
    };
    let stopped = TotalsStep::Answered {
        state: TotalsState::Stopped,
        theirs: Some(theirs),
        response_code: None,
    };
    assert!(
        store
            .step_totals(&again, &stopped, NOW)
            .await
            .unwrap()
            .is_some()
    );
    let disputed = batch(totals.key.merchant_id).await;
    assert_eq!(
        (disputed.state, disputed.bank_totals),
        (BatchState::Disputed, Some(theirs))
    );
    assert_eq!(fundable(&store, &ended).await, []);
    let mut stopped = store.open_totals(&ended).await.unwrap();
    assert_eq!(stopped.len(), 2, "the other is due");
    stopped.retain(|it| it.state == TotalsState::Stopped);
    assert_eq!(
        store.due_totals(&host(), later, 10).await.unwrap().len(),
        1,
        "the other"
    );
    assert!(
        store
            .step_totals(&stopped[0], &TotalsStep::Again, later)
            .await
            .unwrap()
            .is_some()
    );
    let fresh = of_day(&store, &ended).await.swap_remove(0);
    assert_eq!(
        (fresh.state, fresh.sent, fresh.stan, fresh.theirs),
        (TotalsState::Due, 0, None, None)
    );
    assert!(
        store
            .step_totals(&fresh, &TotalsStep::Accepted, later)
            .await
            .unwrap()
            .is_none()
    );
    let out = TotalsStep::Answered {
        state: TotalsState::OutOfBalance,
        theirs: Some(theirs),
        response_code: None,
    };
    assert!(
        store
            .step_totals(&fresh, &out, later)
            .await
            .unwrap()
            .is_some()
    );
    let expected = [("bookshop".to_owned(), BatchState::Disputed)];
    assert_eq!(fundable(&store, &ended).await, expected);
    store.close().await;
}

/// Two processes fund the same batches at once, while others pay: each is funded by one, its event has one position and its
/// journal stands there.
async fn a_batch_is_funded_once_whoever_does_it(database: TestDatabase) {
    let store = database.open().await;
    let other = match database.config.url.starts_with("postgres") {
        true => database.open().await,
        false => store.clone(),
    };
    let ended = closed_day(&store, 1, TotalsLevel::Host).await;
    let totals = of_day(&store, &ended).await.swap_remove(0);
    assert!(!store.settle_day(&ended, NOW).await.unwrap());
    let agreed = answered(TotalsState::InBalance);
    assert!(
        store
            .step_totals(&totals, &agreed, NOW)
            .await
            .unwrap()
            .is_some()
    );
    let funding = [&store, &other, &store, &other].map(|store| async {
        let mut funded = 0;
        for (batch, state) in store.batches_to_fund(&ended, 10, None).await.unwrap() {
            let journal = Posting {
                source: batch.id.to_string(),
                merchant_id: batch.key.merchant_id,
                host_id: batch.key.host_id,
                at: NOW,
            };
            let journal = journal.settled(batch.key.currency, batch.totals.net_minor(), 0, &[]);
            let journal = journal.unwrap();
            let done = store.fund_batch(&batch, state, journal.as_ref(), NOW).await;
            funded += usize::from(done.unwrap());
        }
        funded
    });
    let paying = (0..20).map(|_| async {
        let sale = sale("shop");
        store.record_intent(&sale).await.unwrap();
        store.record_outcome(&sold(&sale)).await.unwrap();
    });
    let (funded, _) = tokio::join!(join_all(funding), join_all(paying));
    assert_eq!(funded.iter().sum::<usize>(), 2);
    assert!(other.settle_day(&ended, NOW).await.unwrap());
    assert!(!store.settle_day(&ended, NOW).await.unwrap());
    let last = store.last_position().await.unwrap();
    let events = store.events_between(1, last, &|_| true).await.unwrap();
    let events: Vec<_> = events
        .into_iter()
        .map(|(_, event)| event.unwrap())
        .collect();
    let positions: Vec<i64> = events.iter().map(|event| event.position).collect();
    assert_eq!(positions, (1..=last).collect::<Vec<_>>());
    let of_batches = events.iter().filter_map(|event| match &event.subject {
        Subject::Batch(batch) => Some((event.kind, event.position, batch)),
        _ => None,
    });
    let of_batches: Vec<_> = of_batches.collect();
    let kinds: Vec<EventKind> = of_batches.iter().map(|(kind, _, _)| *kind).collect();
    use EventKind::{BatchClosed, BatchSettled};
    assert_eq!(
        kinds,
        [BatchClosed, BatchClosed, BatchSettled, BatchSettled]
    );
    for (_, position, batch) in &of_batches[2..] {
        assert_eq!(batch.state, BatchState::Settled);
        let part = store.ledger_part(*position, *position).await.unwrap();
        let [journal] = &part.journals[..] else {
            panic!("{part:?}");
        };
        assert_eq!(journal.id, format!("{}:settled", batch.id));
    }
    store.close().await;
}
