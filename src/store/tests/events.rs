//! Events as they are handed on to those who watch.

use super::make::{approved, intent};
use super::on_both;
use crate::payment::ids::MerchantId;
use crate::store::testing::TestDatabase;

on_both!(what_follows_an_event_that_cannot_be_read_is_not_handed_on);

async fn what_follows_an_event_that_cannot_be_read_is_not_handed_on(database: TestDatabase) {
    let store = database.open().await;
    let before = store.last_position().await.unwrap();
    for merchant in ["shop", "shop", "other", "shop", "other"] {
        let intent = intent(merchant);
        store.record_intent(&intent).await.unwrap();
        store.record_outcome(&approved(&intent)).await.unwrap();
    }
    let second = before + 2;
    let later = format!("UPDATE events SET kind = 'LATER' WHERE position = {second}");
    database.execute(&later).await;
    let events = store
        .events_between(before + 1, before + 5, &|_| true)
        .await;
    let events = events.unwrap();
    let told = events
        .iter()
        .map(|(merchant, event)| (merchant.as_str(), event.as_ref().map(|it| it.position)));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("shop", Some(before + 1)),
            ("other", Some(before + 3)),
            ("other", Some(before + 5)),
            ("shop", None),
        ]
    );
    let payment = format!(
        "UPDATE payments SET detail = '' WHERE id = \
         (SELECT payment_id FROM events WHERE position = {})",
        before + 3
    );
    database.execute(&payment).await;
    let both = |merchant: &MerchantId| merchant.as_str() != "nobody";
    let events = store.events_between(before + 3, before + 5, &both).await;
    let told = events.unwrap().into_iter();
    let told = told.map(|(merchant, event)| (merchant.to_string(), event.is_some()));
    let expected = [("other".to_owned(), false), ("shop".to_owned(), true)];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    store.close().await;
}
