//! Balances and entries, as merchants and operators see them.

use super::make::{COMMITTED, NOW, approved, intent, operation_at};
use super::on_both;
use super::settlement::{day, host, sale, sold};
use crate::ledger::account::AccountKind;
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::custody::CustodyEnd;
use crate::payment::event::PaymentEvent;
use crate::payment::ids::{MerchantId, PaymentId};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Operation, Payment};
use crate::store::Store;
use crate::store::change::{Change, PaymentChange, Verdict};
use crate::store::reads::balances::{BalanceEntry, EntryFilter};
use crate::store::records::lists::ListOrder;
use crate::store::testing::TestDatabase;

on_both!(
    a_balance_is_what_was_summed_and_the_lines_after_it,
    entries_come_in_pages_and_by_filter,
    an_entry_has_the_day_that_it_is_settled_with,
);

/// An authorized payment of 12.50 EUR.
async fn authorized(store: &Store, merchant: &str) -> Payment {
    let intent = intent(merchant);
    assert_eq!(store.record_intent(&intent).await, Ok(COMMITTED));
    let outcome = approved(&intent);
    assert_eq!(store.record_outcome(&outcome).await, Ok(COMMITTED));
    outcome.payment
}

/// Adds to what is captured; takes away where it is negative.
async fn capture(store: &Store, payment: &mut Payment, captured_minor: i64) {
    let event = if captured_minor > 0 {
        PaymentEvent::Captured
    } else {
        PaymentEvent::CaptureRefused
    };
    let adjustment = Adjustment {
        event,
        change: Amounts {
            captured_minor,
            ..Amounts::ZERO
        },
        at: NOW.plus_ms(captured_minor.abs()),
        custody: CustodyEnd::Unchanged,
    };
    *payment = *adjustment.apply(Box::new(payment.clone())).unwrap();
    let operation = Operation {
        kind: OperationKind::Capture,
        payment_id: payment.id,
        ..operation_at(NOW)
    };
    let change = Change {
        payment: Some(PaymentChange::Adjusted {
            expected: payment,
            adjustment: &adjustment,
        }),
        new_operation: Some(&operation),
        ..Change::default()
    };
    let verdict = store.commit(&change).await;
    assert_eq!(verdict, Ok(Verdict::Committed { payment: None }));
}

async fn pending(store: &Store, merchant: &str) -> Vec<(AccountKind, i64)> {
    let balances = store.balances(&merchant.parse().unwrap()).await.unwrap();
    let host = "acquirer".parse().unwrap();
    assert!(
        balances
            .iter()
            .all(|it| it.host_id == host && it.currency.code() == "EUR")
    );
    balances
        .iter()
        .map(|it| (it.kind, it.amount_minor))
        .collect()
}

fn owed(minor: i64) -> Vec<(AccountKind, i64)> {
    vec![
        (AccountKind::PayablePending, -minor),
        (AccountKind::Receivable, minor),
    ]
}

async fn a_balance_is_what_was_summed_and_the_lines_after_it(database: TestDatabase) {
    let store = database.open().await;
    assert_eq!(pending(&store, "shop").await, []);
    let mut payment = authorized(&store, "shop").await;
    let mut other = authorized(&store, "other-shop").await;
    capture(&store, &mut payment, 500).await;
    capture(&store, &mut other, 70).await;
    // Too few lines have come, then enough.
    store.checkpoint_balances(100).await.unwrap();
    let summed = "SELECT * FROM ledger_checkpoints";
    assert_eq!(store.read(summed, &[]).await.unwrap().len(), 0);
    for _ in 0..2 {
        store.checkpoint_balances(1).await.unwrap();
        assert_eq!(store.read(summed, &[]).await.unwrap().len(), 4);
        assert_eq!(pending(&store, "shop").await, owed(500));
    }
    capture(&store, &mut payment, 300).await;
    assert_eq!(pending(&store, "shop").await, owed(800));
    // What is summed is not read again: the balance follows from the rest alone.
    database
        .execute("DELETE FROM ledger_lines WHERE position <= 4")
        .await;
    assert_eq!(pending(&store, "shop").await, owed(800));
    store.checkpoint_balances(1).await.unwrap();
    assert_eq!(pending(&store, "shop").await, owed(800));
    assert_eq!(pending(&store, "other-shop").await, owed(70));
    capture(&store, &mut payment, -800).await;
    assert_eq!(pending(&store, "shop").await, []);
    store.close().await;
}

async fn entries(
    store: &Store,
    filter: &EntryFilter,
    order: ListOrder,
    limit: usize,
) -> Vec<(Option<PaymentId>, i64)> {
    let shop: MerchantId = "shop".parse().unwrap();
    let (mut all, mut after) = (Vec::<BalanceEntry>::new(), None::<String>);
    loop {
        let page = store.balance_entries(&shop, filter, order, limit, after.as_deref());
        let page = page.await.unwrap();
        assert!(page.items.len() <= limit);
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    all.iter()
        .map(|it| (it.payment_id, it.amount_minor))
        .collect()
}

async fn entries_come_in_pages_and_by_filter(database: TestDatabase) {
    let store = database.open().await;
    let mut one = authorized(&store, "shop").await;
    let mut two = authorized(&store, "shop").await;
    let mut other = authorized(&store, "other-shop").await;
    capture(&store, &mut one, 500).await;
    capture(&store, &mut other, 70).await;
    capture(&store, &mut two, 300).await;
    capture(&store, &mut one, -500).await;
    let all = vec![
        (Some(one.id), 500),
        (Some(two.id), 300),
        (Some(one.id), -500),
    ];
    let none = EntryFilter::default;
    let oldest = ListOrder::OldestFirst;
    for limit in 1..4 {
        assert_eq!(entries(&store, &none(), oldest, limit).await, all);
        let newest = entries(&store, &none(), ListOrder::NewestFirst, limit).await;
        assert!(newest.iter().eq(all.iter().rev()));
    }
    let rows = [
        (
            EntryFilter {
                payment_id: Some(one.id),
                ..none()
            },
            vec![all[0], all[2]],
        ),
        (
            EntryFilter {
                templates: vec!["refund", "capture_refused"],
                ..none()
            },
            vec![all[2]],
        ),
        (
            EntryFilter {
                currency: Some("USD".parse().unwrap()),
                ..none()
            },
            vec![],
        ),
        (
            EntryFilter {
                currency: Some("EUR".parse().unwrap()),
                created_from: Some(NOW.plus_ms(300)),
                created_before: Some(NOW.plus_ms(500)),
                ..none()
            },
            vec![all[1]],
        ),
        (
            EntryFilter {
                business_date: Some("2025-11-21".parse().unwrap()),
                ..none()
            },
            vec![],
        ),
    ];
    for (filter, expected) in rows {
        assert_eq!(
            entries(&store, &filter, oldest, 10).await,
            expected,
            "{filter:?}"
        );
    }
    // The journals of a payment, as operators see them.
    let journals = store.journals_after(Some(one.id), 0, 10).await.unwrap();
    let of_one = Some(one.id.to_string());
    assert!(journals.iter().all(|journal| journal.payment_id == of_one));
    assert_eq!(journals.len(), 2);
    store.close().await;
}

async fn an_entry_has_the_day_that_it_is_settled_with(database: TestDatabase) {
    let store = database.open().await;
    store.open_first_day(&host(), day(0), NOW).await.unwrap();
    let mut sales = Vec::new();
    for number in 0..2 {
        let intent = sale("shop");
        store.record_intent(&intent).await.unwrap();
        store.record_outcome(&sold(&intent)).await.unwrap();
        sales.push(intent.payment.id);
        assert!(store.end_day(number).await);
    }
    // It counts already, and the bank has not taken it yet.
    let mut payment = authorized(&store, "shop").await;
    capture(&store, &mut payment, 500).await;
    let shop: MerchantId = "shop".parse().unwrap();
    let dated = async |filter: EntryFilter| {
        let listed = store.balance_entries(&shop, &filter, ListOrder::OldestFirst, 10, None);
        let entries = listed.await.unwrap().items;
        let dated = entries
            .into_iter()
            .map(|it| (it.payment_id, it.business_date));
        dated.collect::<Vec<_>>()
    };
    let all = [
        (Some(sales[0]), Some(day(0).to_string())),
        (Some(sales[1]), Some(day(1).to_string())),
        (Some(payment.id), None),
    ];
    assert_eq!(dated(EntryFilter::default()).await, all);
    for (payment_id, business_date, expected) in [
        (None, day(0), &all[..1]),
        (None, day(1), &all[1..2]),
        (None, day(2), &[]),
        (Some(sales[1]), day(1), &all[1..2]),
        (Some(sales[1]), day(0), &[]),
    ] {
        let filter = EntryFilter {
            payment_id,
            business_date: Some(business_date),
            ..EntryFilter::default()
        };
        assert_eq!(
            dated(filter).await,
            expected,
            "{payment_id:?} {business_date}"
        );
    }
    store.close().await;
}
