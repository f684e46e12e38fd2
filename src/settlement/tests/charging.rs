//! Fees: items, batch and journal are equal to the cent.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::{Scene, date, on_both, shop};
use crate::ledger::account::{AccountKind, FeeKind};
use crate::payment::money::{Currency, Money};
use crate::payment::record::CardBrand;
use crate::payment::samples::{NOW, eur};
use crate::payment::settlement::{ItemFees, ItemKind, SettlementBatch};
use crate::settlement::charging::Charging;
use crate::store::Store;
use crate::store::merchant_money::Plan;
use crate::store::records::lists::ListOrder;
use crate::store::records::settlement::{BatchFilter, SettlementItem};
use crate::store::testing::TestDatabase;

on_both!(
    the_fees_of_items_batches_and_journals_are_equal,
    a_batch_that_was_begun_is_charged_by_the_same_plan,
    a_batch_without_a_rule_waits_for_another_plan,
    a_refund_gives_its_fee_back,
);

/// Plans of all kinds.
fn plans() -> impl Strategy<Value = String> {
    let refunds = prop_oneof![
        Just("\"none\"".to_owned()),
        Just("\"give_back\"".to_owned()),
        (0..50_i64).prop_map(|minor| format!("{{\"fixed_minor\":{minor}}}")),
    ];
    let pricing = prop_oneof![Just("blended"), Just("plus_plus")];
    let parts = (
        0..60_000_u32,
        0..60_i64,
        0..20_000_u32,
        0..9_i64,
        0..250_000_u32,
    );
    (pricing, refunds, parts).prop_map(|(pricing, refunds, (ppm, fixed, share, least, tax))| {
        format!(
            "{{\"pricing\":\"{pricing}\",\"tax_ppm\":{tax},\"refunds\":{refunds},\
             \"price\":[{{\"brand\":\"visa\",\"ppm\":{ppm},\"fixed_minor\":{fixed},\"cap_minor\":900}},\
             {{\"ppm\":{},\"minimum_minor\":{least}}}],\
             \"interchange\":[{{\"ppm\":{share}}}],\"scheme_fee\":[{{\"fixed_minor\":{least}}}]}}",
            ppm / 2
        )
    })
}

impl Store {
    async fn batches_of_shop(&self) -> Vec<SettlementBatch> {
        let (shop, filter) = (shop(), BatchFilter::default());
        let listed =
            self.list_settlement_batches(&shop, &filter, ListOrder::OldestFirst, 100, None);
        listed.await.unwrap().items
    }

    async fn items_of(&self, batch: &SettlementBatch) -> Vec<SettlementItem> {
        self.settlement_items(&batch.key, 1000, None).await.unwrap()
    }

    async fn set_fees(&self, plan: &str) {
        self.set_plan(&shop(), Plan::Fees(plan), NOW).await.unwrap();
    }

    /// What is booked on an account of the shop, as a credit.
    async fn credit(&self, kind: AccountKind, currency: Currency) -> i64 {
        let balances = self.balances(&shop()).await.unwrap();
        let of_it = |it: &&crate::store::reads::balances::AccountBalance| {
            it.kind == kind && it.currency == currency
        };
        balances
            .iter()
            .filter(of_it)
            .map(|it| -it.amount_minor)
            .sum()
    }
}

async fn the_fees_of_items_batches_and_journals_are_equal(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let store = &scene.store;
    let mut runner = TestRunner::deterministic();
    let brands = [CardBrand::Visa, CardBrand::Mastercard, CardBrand::Other];
    let items =
        proptest::collection::vec((1..300_000_i64, 0..3_usize, 0..4_i64, any::<bool>()), 1..8);
    let mut wanted = std::collections::BTreeMap::<(&str, &str), i64>::new();
    for day in 1..=8 {
        let plan = plans().new_tree(&mut runner).unwrap().current();
        let sold = items.new_tree(&mut runner).unwrap().current();
        store.set_fees(&plan).await;
        for (minor, brand, quarters, in_eur) in sold {
            let currency = if in_eur { "EUR" } else { "USD" };
            let amount = Money::new(minor, currency.parse().unwrap()).unwrap();
            let payment = scene.sale(amount, brands[brand]).await;
            if minor * quarters / 4 > 0 {
                scene.refund(&payment, minor * quarters / 4).await;
            }
        }
        let ended = scene.end_day(day).await;
        assert_eq!(
            scene.fund(&ended).await,
            0,
            "nothing is funded before it is charged"
        );
        scene.charging().look().await.unwrap();
        assert!(scene.fund(&ended).await > 0);
        for batch in store.batches_of_shop().await {
            if batch.key.business_date != date(day) {
                continue;
            }
            let items = store.items_of(&batch).await;
            let sum = items.iter().fold(ItemFees::default(), |sum, item| {
                sum.plus(&item.fees.expect("charged"))
            });
            assert_eq!(batch.fees, Some(sum), "{plan}");
            let code = batch.key.currency.code();
            for (part, minor) in [
                ("interchange", sum.interchange),
                ("scheme", sum.scheme),
                ("markup", sum.markup),
                ("tax", sum.tax),
                ("net", batch.totals.net_minor() - sum.total()),
            ] {
                *wanted.entry((part, code)).or_default() += minor;
            }
        }
    }
    for ((part, code), minor) in wanted {
        let kind = match part {
            "interchange" => AccountKind::Fee(FeeKind::Interchange),
            "scheme" => AccountKind::Fee(FeeKind::Scheme),
            "markup" => AccountKind::Fee(FeeKind::Markup),
            "tax" => AccountKind::Fee(FeeKind::Tax),
            _ => AccountKind::PayableAvailable,
        };
        assert_eq!(
            store.credit(kind, code.parse().unwrap()).await,
            minor,
            "{part} {code}"
        );
    }
    store.close().await;
}

/// A node stops after some items; another one goes on, and so does one that knows less.
async fn a_batch_that_was_begun_is_charged_by_the_same_plan(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let store = &scene.store;
    store
        .set_fees("{\"pricing\":\"blended\",\"price\":[{\"ppm\":10000}]}")
        .await;
    for _ in 0..5 {
        scene.sale(eur(10_000), CardBrand::Visa).await;
    }
    let ended = scene.end_day(1).await;
    let batch = store
        .batches_without_fees(&[], 10, None)
        .await
        .unwrap()
        .remove(0);
    store
        .begin_fees(
            &batch,
            1,
            Some("{\"pricing\":\"blended\",\"price\":[{\"ppm\":10000}]}"),
        )
        .await
        .unwrap();
    let begun = store.batch_without_fees(batch.id).await.unwrap().unwrap();
    let items = store.items_to_charge(&begun, 2).await.unwrap();
    let fees = ItemFees {
        markup: 100,
        ..ItemFees::default()
    };
    let charged: Vec<_> = items.iter().map(|item| (item.operation_id, fees)).collect();
    for _ in 0..2 {
        // Said twice, it counts once.
        store
            .charge_items(&begun, items[1].subject_id, &charged)
            .await
            .unwrap();
    }
    store
        .set_fees("{\"pricing\":\"blended\",\"price\":[{\"ppm\":50000}]}")
        .await;
    // It has begun too, and did not see that the other one has charged two.
    let charging = scene.charging();
    let (one, two) = tokio::join!(charging.charge(begun), charging.look());
    one.unwrap();
    two.unwrap();
    assert_eq!(scene.fund(&ended).await, 1);
    let batch = store.batches_of_shop().await.remove(0);
    assert_eq!(batch.fees.unwrap().total(), 500);
    let items = store.items_of(&batch).await;
    assert!(
        items.iter().all(|item| item.fees == Some(fees)),
        "{items:?}"
    );
    assert_eq!(
        store
            .credit(AccountKind::PayableAvailable, "EUR".parse().unwrap())
            .await,
        49_500
    );
    store.close().await;
}

/// Two nodes charge the same batches at once, in more than one step each: every item is charged once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_charge_a_batch_once() {
    let scene = Scene::new(TestDatabase::postgres().await).await;
    let store = &scene.store;
    store
        .set_fees("{\"pricing\":\"blended\",\"price\":[{\"ppm\":10000}]}")
        .await;
    for _ in 0..120 {
        scene.sale(eur(10_000), CardBrand::Visa).await;
    }
    let ended = scene.end_day(1).await;
    let other = scene.database.open().await;
    let nodes = [store, &other].map(|store| {
        let charging = Charging::new(store.clone(), scene.clock(), Vec::new());
        async move { charging.look().await.unwrap() }
    });
    futures_util::future::join_all(nodes).await;
    // Who was too late is gone on for at the next look.
    scene.charging().look().await.unwrap();
    let batch = store.batches_of_shop().await.remove(0);
    assert_eq!(batch.fees.unwrap().total(), 12_000);
    let items = store.items_of(&batch).await;
    let total = |item: &SettlementItem| item.fees.unwrap().total();
    assert!(items.iter().all(|item| total(item) == 100), "{items:?}");
    assert_eq!(scene.fund(&ended).await, 1);
    other.close().await;
    store.close().await;
}

async fn a_batch_without_a_rule_waits_for_another_plan(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let store = &scene.store;
    store
        .set_fees("{\"pricing\":\"blended\",\"price\":[{\"brand\":\"visa\",\"ppm\":10000}]}")
        .await;
    scene.sale(eur(10_000), CardBrand::Visa).await;
    scene.sale(eur(10_000), CardBrand::Jcb).await;
    let ended = scene.end_day(1).await;
    scene.charging().look().await.unwrap();
    assert_eq!(scene.fund(&ended).await, 0);
    store
        .set_fees("{\"pricing\":\"blended\",\"price\":[{\"ppm\":20000}]}")
        .await;
    scene.charging().look().await.unwrap();
    assert_eq!(scene.fund(&ended).await, 1);
    // All items are charged by the plan that is for all of them.
    assert_eq!(
        store
            .batches_of_shop()
            .await
            .remove(0)
            .fees
            .unwrap()
            .total(),
        400
    );
    store.close().await;
}

async fn a_refund_gives_its_fee_back(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let store = &scene.store;
    let plan = "{\"pricing\":\"blended\",\"refunds\":\"give_back\",\"price\":[{\"ppm\":10000,\"fixed_minor\":1}]}";
    store.set_fees(plan).await;
    let payment = scene.sale(eur(10_000), CardBrand::Visa).await;
    scene.end_day(1).await;
    let later = scene.sale(eur(999), CardBrand::Visa).await;
    let mut payment = payment;
    for minor in [3_333, 3_333] {
        scene.refund(&payment, minor).await;
        payment = store.payment(&shop(), payment.id).await.unwrap().unwrap();
    }
    scene.end_day(2).await;
    scene.refund(&payment, 3_334).await;
    scene.refund(&later, 999).await;
    scene.end_day(3).await;
    scene.charging().look().await.unwrap();
    let batches = store.batches_of_shop().await;
    assert_eq!(batches.len(), 3);
    let sum: i64 = batches
        .iter()
        .map(|batch| batch.fees.unwrap().total())
        .sum();
    assert_eq!(sum, 0, "all is refunded, and all of the fees came back");
    let refunds = store.items_of(&batches[1]).await;
    let refunds = refunds.iter().filter(|item| item.kind == ItemKind::Refund);
    assert!(
        refunds
            .into_iter()
            .all(|item| item.fees.unwrap().total() < 0)
    );
    store.close().await;
}
