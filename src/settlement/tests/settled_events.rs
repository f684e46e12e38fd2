//! What is settled is told item by item, once each, whoever tells it and whatever is interrupted.

use tokio::sync::watch;

use super::{Scene, on_both, shop};
use crate::payment::event_kind::EventKind;
use crate::payment::record::CardBrand;
use crate::payment::samples::{NOW, eur};
use crate::payment::settlement::{BatchState, ItemKind};
use crate::random::HashSet;
use crate::settlement::settled_events::SettledEvents;
use crate::store::merchant_money::Plan;
use crate::store::reads::events::{Event, Subject};
use crate::store::testing::TestDatabase;

on_both!(each_item_is_told_once_after_its_batch);

/// More than are told in one transaction.
const SALES: usize = 101;

async fn each_item_is_told_once_after_its_batch(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let store = &scene.store;
    let fees = Plan::Fees("{\"pricing\":\"blended\",\"price\":[{\"ppm\":10000}]}");
    store.set_plan(&shop(), fees, NOW).await.unwrap();
    let sold = scene.sale(eur(5_000), CardBrand::Visa).await;
    for _ in 1..SALES {
        scene.sale(eur(1_000), CardBrand::Visa).await;
    }
    scene.refund(&sold, 2_000).await;
    scene.charge_back(&sold, 500).await;
    let day = scene.end_day(1).await;
    scene.charging().look().await.unwrap();
    assert_eq!(
        store.batches_to_tell(10).await,
        Ok(vec![]),
        "nothing is funded"
    );
    assert_eq!(scene.fund(&day).await, 1);
    let batch = store.batches_to_tell(10).await.unwrap().remove(0);
    let funded = store.last_position().await.unwrap();

    // The first items are told; then whoever did so is gone, and two others go on at once.
    store.tell_items(batch, NOW).await.unwrap();
    let (_stop, stopping) = watch::channel(false);
    let second = scene.database.open_beside(store).await;
    let one = SettledEvents::new(store.clone(), scene.clock());
    let other = SettledEvents::new(second, scene.clock());
    let (told, also) = tokio::join!(one.look(&stopping), other.look(&stopping));
    told.and(also).unwrap();
    assert_eq!(store.batches_to_tell(10).await, Ok(vec![]));

    let (mut after, mut told) = (0, Vec::<Event>::new());
    loop {
        let kinds = [EventKind::PaymentSettled];
        let page = store.events_of(&shop(), Some(&kinds), after, 100).await;
        let page = page.unwrap();
        told.extend(page.items);
        let Some(next) = page.next else {
            break;
        };
        after = next;
    }
    let positions: Vec<i64> = told.iter().map(|event| event.position).collect();
    let count = i64::try_from(SALES + 2).unwrap();
    let expected: Vec<i64> = (funded + 1..=funded + count).collect();
    assert_eq!(positions, expected, "one for each item, without a gap");
    assert_eq!(store.last_position().await, Ok(funded + count));
    let items = told.iter().map(|event| match &event.subject {
        Subject::Item(item) => item,
        other => panic!("{other:?}"),
    });
    let subjects: HashSet<String> = items
        .clone()
        .map(|it| it.1.subject_id.to_string())
        .collect();
    assert_eq!(subjects.len(), SALES + 2);
    assert!(
        items
            .clone()
            .all(|it| it.0.id == batch && it.0.funded_at == Some(NOW))
    );
    assert!(items.clone().all(|it| it.0.state == BatchState::Settled));
    let of_sold: Vec<_> = items.filter(|it| it.1.payment_id == sold.id).collect();
    for (kind, minor, fee_minor) in [
        (ItemKind::Capture, 5_000, 50),
        (ItemKind::Refund, 2_000, 0),
        (ItemKind::Chargeback, 500, 0),
    ] {
        let item = of_sold.iter().find(|it| it.1.kind == kind).unwrap();
        assert_eq!(item.1.amount, eur(minor));
        assert_eq!(
            item.1.fees.unwrap_or_default().total(),
            fee_minor,
            "{kind:?}"
        );
    }
    scene.store.close().await;
}
