//! Lists of payments: filters, orders, pages.

use super::make::{NOW, approved, declined, intent_at};
use super::on_both;
use super::settlement::{day, host};
use crate::payment::event_kind::EventKind;
use crate::payment::ids::{BatchId, ImportId, MerchantId, PaymentId, PayoutId};
use crate::payment::money::Money;
use crate::payment::payout::PayoutState;
use crate::payment::settlement::BatchState;
use crate::store::Store;
use crate::store::index_walk::LOOKED_AT;
use crate::store::merchant_money::PayoutFilter;
use crate::store::reads::balances::EntryFilter;
use crate::store::records::lists::{ListOrder, Page, PaymentCursor, PaymentFilter, RefundFilter};
use crate::store::records::settlement::{BatchCursor, BatchFilter, DiscrepancyFilter, RunFilter};
use crate::store::testing::TestDatabase;

on_both!(
    pages_hold_each_payment_once,
    filters_find_what_they_say,
    pages_that_look_at_a_part_hold_all_that_a_filter_leaves,
);

fn shop() -> MerchantId {
    "shop".parse().unwrap()
}

async fn all(
    store: &Store,
    filter: &PaymentFilter,
    order: ListOrder,
    page_size: usize,
) -> Vec<PaymentId> {
    let mut ids = Vec::new();
    let mut after: Option<PaymentCursor> = None;
    loop {
        let page = store
            .list_payments(&shop(), filter, order, page_size, after)
            .await
            .unwrap();
        assert!(page.items.len() <= page_size);
        ids.extend(page.items.iter().map(|payment| payment.id));
        match page.next {
            Some(next) => after = Some(next.to_string().parse().unwrap()),
            None => return ids,
        }
    }
}

async fn pages_hold_each_payment_once(database: TestDatabase) {
    let store = database.open().await;
    let mut made = Vec::new();
    for number in 0..25 {
        // Several within the same millisecond.
        let intent = intent_at("shop", NOW.plus_ms(number / 4));
        made.push((intent.payment.created_at, intent.payment.id));
        store.record_intent(&intent).await.unwrap();
        store.record_intent(&intent_at("other", NOW)).await.unwrap();
    }
    made.sort();
    let oldest_first: Vec<PaymentId> = made.iter().map(|(_, id)| *id).collect();
    let newest_first: Vec<PaymentId> = oldest_first.iter().rev().copied().collect();
    let filter = PaymentFilter::default();
    for page_size in [1, 4, 5, 24, 25, 26] {
        assert_eq!(
            all(&store, &filter, ListOrder::OldestFirst, page_size).await,
            oldest_first,
            "{page_size}"
        );
        assert_eq!(
            all(&store, &filter, ListOrder::NewestFirst, page_size).await,
            newest_first,
            "{page_size}"
        );
    }
}

type Set = fn(&mut PaymentFilter);

async fn filters_find_what_they_say(database: TestDatabase) {
    let store = database.open().await;
    let mut intents = Vec::new();
    for number in 0..6 {
        let mut intent = intent_at("shop", NOW.plus_ms(number * 1000));
        intent.payment.merchant_reference = format!("order-{}", number % 3);
        intent.payment.customer_reference = (number % 2 == 0).then(|| "anna".to_owned());
        if number == 5 {
            intent.payment.amount = Money::new(1250, "JPY".parse().unwrap()).unwrap();
            intent.operation.amount = intent.payment.amount;
        }
        store.record_intent(&intent).await.unwrap();
        intents.push(intent);
    }
    store.record_outcome(&approved(&intents[0])).await.unwrap();
    store.record_outcome(&declined(&intents[1])).await.unwrap();

    let found = async |set: Set| {
        let mut filter = PaymentFilter::default();
        set(&mut filter);
        let ids = all(&store, &filter, ListOrder::OldestFirst, 2).await;
        let number = |id: &PaymentId| intents.iter().position(|it| it.payment.id == *id);
        ids.iter().filter_map(number).collect::<Vec<_>>()
    };
    assert_eq!(found(|_| ()).await, [0, 1, 2, 3, 4, 5]);
    assert_eq!(found(|it| it.states = vec!["AUTHORIZED"]).await, [0]);
    let set: Set = |it| it.states = vec!["AUTHORIZED", "DECLINED"];
    assert_eq!(found(set).await, [0, 1]);
    let set: Set = |it| {
        it.created_from = Some(NOW.plus_ms(2000));
        it.created_before = Some(NOW.plus_ms(4000));
    };
    assert_eq!(found(set).await, [2, 3]);
    let set: Set = |it| it.merchant_reference = Some("order-1".into());
    assert_eq!(found(set).await, [1, 4]);
    let set: Set = |it| it.customer_reference = Some("anna".into());
    assert_eq!(found(set).await, [0, 2, 4]);
    let set: Set = |it| it.currency = Some("JPY".parse().unwrap());
    assert_eq!(found(set).await, [5]);
    let set: Set = |it| {
        it.states = vec!["AUTHORIZING", "AUTHORIZED"];
        it.customer_reference = Some("anna".into());
        it.created_from = Some(NOW.plus_ms(1));
    };
    assert_eq!(found(set).await, [2, 4]);
    let set: Set = |it| it.merchant_reference = Some("' OR 1 = 1 --".into());
    assert_eq!(found(set).await, [0; 0]);
    let by_reference = store
        .payments_by_merchant_reference(&shop(), "order-2")
        .await
        .unwrap();
    let ids: Vec<_> = by_reference.iter().map(|payment| payment.id).collect();
    // Newest first.
    assert_eq!(ids, [intents[5].payment.id, intents[2].payment.id]);
    let by_rrn = store
        .payments_by_rrn(&shop(), intents[3].payment.authorization.rrn)
        .await
        .unwrap();
    assert_eq!(by_rrn, vec![intents[3].payment.clone()]);
}

/// More payouts, batches and reports than a page looks at, of which a filter leaves the first, one between and the last.
async fn pages_that_look_at_a_part_hold_all_that_a_filter_leaves(database: TestDatabase) {
    let store = database.open().await;
    let (between, last) = (LOOKED_AT / 2, LOOKED_AT + 200);
    let left = format!("IN (1, {between}, {last})");
    let numbers = format!(
        "WITH RECURSIVE n (k) AS (VALUES (1) UNION ALL SELECT k + 1 FROM n WHERE k < {last}) SELECT"
    );
    let id = "'0000000000000000000' || SUBSTR(CAST(10000000 + k AS TEXT), 2)";
    let date = format!("CASE WHEN k <= {between} THEN '2026-01-02' ELSE '2026-01-03' END");
    for text in [
        format!(
            "INSERT INTO payouts (id, merchant_id, host_id, currency, amount_minor, reserve_minor, \
             reserve_released_minor, state, made_on, arrival_date, account, destination, made_position, \
             created_at_ms, version) {numbers} 'out_' || {id}, 'shop', 'h', 'EUR', k, 0, 0, \
             CASE WHEN k {left} THEN 'FAILED' ELSE 'PAID' END, '2026-01-02', '2026-01-02', '{{}}', 'x', k, k, 1 FROM n"
        ),
        format!(
            "INSERT INTO settlement_batches (id, merchant_id, host_id, business_date, currency, state, capture_count, \
             captured_minor, refund_count, refunded_minor, opened_at_ms, closed_at_ms) {numbers} 'bat_' || {id}, \
             'shop', 'h' || k, {date}, 'EUR', CASE WHEN k {left} THEN 'DISPUTED' ELSE 'SETTLED' END, k, k, 0, 0, k, k FROM n"
        ),
        format!(
            "INSERT INTO settlement_batches (id, merchant_id, host_id, business_date, currency, state, capture_count, \
             captured_minor, refund_count, refunded_minor, opened_at_ms, closed_at_ms) {numbers} \
             'bat_1' || SUBSTR({id}, 2), 'seldom', 'h' || k, {date}, 'EUR', 'SETTLED', k, k, 0, 0, k, k \
             FROM n WHERE k {left}"
        ),
        format!(
            "INSERT INTO settlement_imports (id, host_id, kind, name, sha256, business_date, lines, state, applied_to, \
             matched, clears, operator, at_ms) {numbers} 'imp_' || {id}, 'h' || k, 'REPORT', 'x', \
             '{}', {date}, 0, 'DONE', 0, 0, 0, 'x', k FROM n",
            "0".repeat(64)
        ),
    ] {
        database.execute(&text).await;
    }
    let numbers = |order| match order {
        ListOrder::OldestFirst => [1, between, last],
        ListOrder::NewestFirst => [last, between, 1],
    };
    let (shop, seldom) = (shop(), "seldom".parse().unwrap());
    for order in [ListOrder::OldestFirst, ListOrder::NewestFirst] {
        let expected = numbers(order).map(|number| i64::try_from(number).unwrap());
        for page_size in [1, 2, 50] {
            let case = format!("{order:?} {page_size}");
            let filter = PayoutFilter {
                state: Some(PayoutState::Failed),
                ..PayoutFilter::default()
            };
            let payouts = async |after| {
                let listed = store.list_payouts(&shop, &filter, order, page_size, after);
                listed.await.unwrap()
            };
            let found = followed(page_size, payouts).await;
            let found: Vec<_> = found.iter().map(|it| it.amount.amount_minor()).collect();
            assert_eq!(found, expected, "{case}");

            let filter = BatchFilter {
                state: Some(BatchState::Disputed),
                ..BatchFilter::default()
            };
            let batches = async |after| {
                let listed = store.list_settlement_batches(&shop, &filter, order, page_size, after);
                listed.await.unwrap()
            };
            let found = followed(page_size, batches).await;
            let found: Vec<_> = found.iter().map(|it| it.opened_at.as_i64()).collect();
            assert_eq!(found, expected, "{case}");

            let runs = async |after| {
                let filter = RunFilter::default();
                let listed = store.report_runs(&seldom, &filter, order, page_size, after);
                listed.await.unwrap()
            };
            let found = followed(page_size, runs).await;
            let found: Vec<_> = found.iter().map(|it| it.at.as_i64()).collect();
            assert_eq!(found, expected, "{case}");
        }
    }
}

/// The items of all pages, of which there are more than one.
async fn followed<T, C: Copy + PartialEq + std::fmt::Debug>(
    page_size: usize,
    page: impl AsyncFn(Option<C>) -> Page<T, C>,
) -> Vec<T> {
    let (mut items, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let next = page(after).await;
        assert!(next.items.len() <= page_size);
        items.extend(next.items);
        pages += 1;
        match next.next {
            Some(next) => {
                assert_ne!(after, Some(next), "it goes on");
                after = Some(next);
            }
            None => break,
        }
    }
    assert!(pages > 1);
    items
}

/// Which index SQLite takes is looked at while it runs (`database/plans.rs`).
#[tokio::test]
async fn whatever_is_filtered_by_a_list_goes_along_an_index() {
    let database = TestDatabase::sqlite().await;
    let store = database.open().await;
    let shop = shop();
    let intent = intent_at("shop", NOW);
    let payment_id = intent.payment.id;
    let operation = intent.operation.id.to_string();
    for order in [ListOrder::NewestFirst, ListOrder::OldestFirst] {
        for conditions in 0..64_u32 {
            let has = |place: u32| conditions & (1 << place) != 0;
            let reference = has(0).then(|| "order".to_owned());
            let created_from = has(1).then_some(NOW);
            let created_before = has(2).then_some(NOW);
            let currency = has(3).then(|| "EUR".parse().unwrap());
            let id = has(4).then_some(payment_id);
            let after = has(5).then_some(PaymentCursor {
                created_at: NOW,
                id: payment_id,
            });
            let filter = PaymentFilter {
                states: id.map_or(vec![], |_| vec!["VOIDED"]),
                created_from,
                created_before,
                merchant_reference: reference.clone(),
                customer_reference: currency.map(|_| "anna".into()),
                currency,
            };
            let listed = store.list_payments(&shop, &filter, order, 10, after).await;
            assert_eq!(listed.unwrap().items, []);
            let filter = RefundFilter {
                payment_id: id,
                merchant_reference: reference.clone(),
                created_from,
                created_before,
            };
            let listed = store.list_refunds(&shop, &filter, order, 10, None).await;
            assert_eq!(listed.unwrap().items, []);
            let filter = EntryFilter {
                currency,
                payment_id: id,
                templates: reference.map_or(vec![], |_| vec!["capture"]),
                business_date: None,
                created_from,
                created_before,
            };
            let after = after.map(|_| &*operation);
            let listed = store.balance_entries(&shop, &filter, order, 10, after);
            assert_eq!(listed.await.unwrap().items, []);
            let filter = DiscrepancyFilter {
                is_open: has(0),
                import_id: has(3).then(|| ImportId::from_parts(NOW, [1; 10])),
                found_from: created_from,
                found_before: created_before,
                ..DiscrepancyFilter::default()
            };
            let payouts = PayoutFilter {
                state: has(0).then_some(PayoutState::Paid),
                currency,
                created_from,
                created_before,
            };
            let batches = BatchFilter {
                state: has(0).then_some(BatchState::Settled),
                host_id: has(1).then(host),
                business_date: has(2).then(|| day(1)),
                currency,
            };
            let runs = RunFilter {
                host_id: has(1).then(host),
                business_date: has(2).then(|| day(1)),
                import_id: has(3).then(|| ImportId::from_parts(NOW, [1; 10])),
            };
            let behind = has(5).then(|| PayoutId::from_parts(NOW, [1; 10]));
            let listed = store.list_payouts(&shop, &payouts, order, 10, behind);
            assert_eq!(listed.await.unwrap().items, []);
            let behind = has(5).then(|| BatchCursor {
                business_date: day(1),
                id: BatchId::from_parts(NOW, [1; 10]),
            });
            let listed = store.list_settlement_batches(&shop, &batches, order, 10, behind);
            assert_eq!(listed.await.unwrap().items, []);
            let behind = has(5).then(|| ImportId::from_parts(NOW, [1; 10]));
            let listed = store.report_runs(&shop, &runs, order, 10, behind);
            assert_eq!(listed.await.unwrap().items, []);
            for merchant in [Some(&shop), None] {
                let after = after.map(str::to_owned);
                let listed = store.list_discrepancies(merchant, &filter, order, 10, after.as_ref());
                assert_eq!(listed.await.unwrap().items, []);
            }
        }
    }
    let kinds = [EventKind::PaymentVoided];
    let listed = store.events_of(&shop, Some(&kinds), 0, 10).await;
    assert_eq!(listed.unwrap().items, []);
    store.close().await;
}

#[test]
fn only_a_cursor_of_a_page_is_a_cursor() {
    let id = intent_at("shop", NOW).payment.id;
    let cursor = PaymentCursor {
        created_at: NOW,
        id,
    };
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
    for text in [
        "",
        ".",
        "1",
        &format!("+1.{id}"),
        &format!("01.{id}"),
        "1.pay_",
    ] {
        assert!(text.parse::<PaymentCursor>().is_err(), "{text}");
    }
}
