//! Money at the end of the day, where the database carries a COMMIT out and its confirmation is lost: what runs twice then
//! counts once.

use std::sync::atomic::Ordering;

use super::make::NOW;
use super::settlement::{day, host, sale, sold};
use super::wire::{LOSE_CONFIRMATION, PASS, store_on_a_wire};
use crate::ledger::account::AccountKind;
use crate::ledger::template::Posting;
use crate::payment::event_kind::EventKind;
use crate::payment::ids::{MerchantId, PayoutId};
use crate::payment::money::Money;
use crate::payment::payout::PayoutState;
use crate::payment::samples;
use crate::payment::settlement::{BatchState, ItemFees};
use crate::store::Store;
use crate::store::merchant_money::{AccountText, Payout};
use crate::store::testing::TestDatabase;

/// The fee of each of the two sales of 12.50 EUR.
const FEE: ItemFees = ItemFees {
    interchange: 0,
    scheme: 0,
    markup: 25,
    tax: 0,
};

/// How often something of this kind happened.
async fn events(store: &Store, kind: EventKind) -> usize {
    let last = store.last_position().await.unwrap();
    let events = store.events_between(1, last, &|_| true).await.unwrap();
    let kinds = events.into_iter().map(|(_, event)| event.unwrap().kind);
    kinds.filter(|found| *found == kind).count()
}

async fn booked(store: &Store, kind: AccountKind) -> i64 {
    let balances = store.balances(&"shop".parse().unwrap()).await.unwrap();
    let of_kind = balances.iter().filter(|it| it.kind == kind);
    of_kind.map(|it| -it.amount_minor).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fees_funding_and_payouts_count_once_though_no_commit_is_confirmed() {
    let database = TestDatabase::postgres().await;
    let (store, plan) = store_on_a_wire(&database).await;
    let lose = || plan.store(LOSE_CONFIRMATION, Ordering::SeqCst);
    let broke = || assert_eq!(plan.load(Ordering::SeqCst), PASS, "the wire broke");
    let shop: MerchantId = "shop".parse().unwrap();
    let merchant = crate::payment::merchant::Merchant {
        id: shop,
        ..samples::merchant()
    };
    store.insert_merchant(&merchant).await.unwrap();
    store.open_first_day(&host(), day(1), NOW).await.unwrap();
    for _ in 0..2 {
        let sale = sale("shop");
        store.record_intent(&sale).await.unwrap();
        store.record_outcome(&sold(&sale)).await.unwrap();
    }
    assert!(store.end_day(1).await);
    let ended = store.business_day(&host(), day(1)).await.unwrap().unwrap();
    store.batch_up(&ended).await;

    // Fees: one item after the other.
    let batch = store.batches_without_fees(&[], 10, None).await.unwrap();
    store.begin_fees(&batch[0], 0, None).await.unwrap();
    for _ in 0..2 {
        let begun = store.batch_without_fees(batch[0].id).await.unwrap();
        let begun = begun.unwrap();
        let item = store.items_to_charge(&begun, 1).await.unwrap().remove(0);
        lose();
        let charged = [(item.operation_id, FEE)];
        let charging = store.charge_items(&begun, item.subject_id, &charged);
        charging.await.unwrap();
        broke();
    }
    let begun = store.batch_without_fees(batch[0].id).await.unwrap();
    let begun = begun.unwrap();
    assert!(store.items_to_charge(&begun, 1).await.unwrap().is_empty());
    store.end_fees(&begun, NOW).await.unwrap();
    let charged = store.all_batches("shop").await.remove(0);
    assert_eq!(charged.fees.unwrap().total(), 50);

    // Funding.
    let found = store.batches_to_fund(&ended, 10, None).await.unwrap();
    let [(batch, state)] = &found[..] else {
        panic!("{found:?}");
    };
    let posting = |source: String| Posting {
        source,
        merchant_id: shop,
        host_id: host(),
        at: NOW,
    };
    let journal = posting(batch.id.to_string()).settled(batch.key.currency, 2_500, 0, &[]);
    let journal = journal.unwrap();
    lose();
    // Who funds it learns that another run was first.
    store
        .fund_batch(batch, *state, journal.as_ref(), NOW)
        .await
        .unwrap();
    broke();
    let funded = store.all_batches("shop").await.remove(0);
    assert_eq!(funded.state, BatchState::Settled);
    assert_eq!(events(&store, EventKind::BatchSettled).await, 1);
    assert_eq!(booked(&store, AccountKind::PayableAvailable).await, 2_500);

    // What is in it is told.
    lose();
    store.tell_items(batch.id, NOW).await.unwrap();
    broke();
    assert_eq!(events(&store, EventKind::PaymentSettled).await, 2);

    // A payout.
    let id = PayoutId::from_parts(NOW, [7; 10]);
    let payout = Payout {
        id,
        merchant_id: shop,
        host_id: host(),
        amount: Money::new(2_000, batch.key.currency).unwrap(),
        reserve_minor: 0,
        reserve_until: None,
        reserve_released_minor: 0,
        state: PayoutState::Created,
        made_on: day(2),
        arrival_date: day(3),
        account: AccountText("{}".into()),
        destination: "DE** **** 3000".into(),
        order_id: None,
        bank_reference: None,
        return_reason: None,
        created_at: NOW,
        sent_at: None,
        ended_at: None,
    };
    let journal = posting(id.to_string()).payout(batch.key.currency, 2_000, 0, 0);
    let position = store.last_position().await.unwrap();
    lose();
    let made = store
        .make_payout(&payout, &journal.unwrap(), position)
        .await;
    assert_eq!(made, Ok(true));
    broke();
    assert_eq!(events(&store, EventKind::PayoutMade).await, 1);
    assert_eq!(booked(&store, AccountKind::PayableAvailable).await, 500);
    assert_eq!(booked(&store, AccountKind::InTransit).await, 2_000);
    store.close().await;
}
