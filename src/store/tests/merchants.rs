//! Merchants and API keys.

use super::make::{NOW, merchant};
use super::{fails, on_both};
use crate::store::records::callers::ApiKeyRecord;
use crate::store::testing::TestDatabase;

on_both!(
    merchants_are_kept_and_changed,
    api_keys_are_kept_and_revoked
);

async fn merchants_are_kept_and_changed(database: TestDatabase) {
    let store = database.open().await;
    let mut shop = merchant("shop");
    let other = merchant("another");
    assert_eq!(store.merchant(&shop.id).await.unwrap(), None);
    store.insert_merchant(&shop).await.unwrap();
    store.insert_merchant(&other).await.unwrap();
    assert_eq!(store.merchant(&shop.id).await.unwrap(), Some(shop.clone()));
    fails!(store.insert_merchant(&shop).await, Conflict);

    shop.active = false;
    shop.acquirer = "second-acquirer".parse().unwrap();
    store.update_merchant(&shop).await.unwrap();
    assert_eq!(store.list_merchants().await.unwrap(), vec![other, shop]);
    fails!(store.update_merchant(&merchant("absent")).await, NotFound);
}

async fn api_keys_are_kept_and_revoked(database: TestDatabase) {
    let store = database.open().await;
    let mut key = ApiKeyRecord {
        key_id: "psk_1".into(),
        merchant_id: "shop".parse().unwrap(),
        secret_hmac_hex: "ab".repeat(32),
        label: "till 1".into(),
        created_at: NOW,
        revoked_at: None,
    };
    fails!(store.insert_api_key(&key).await, Refused);

    store.insert_merchant(&merchant("shop")).await.unwrap();
    store.insert_api_key(&key).await.unwrap();
    assert_eq!(store.api_key("psk_1").await.unwrap(), Some(key.clone()));
    assert_eq!(store.api_key("psk_2").await.unwrap(), None);
    fails!(store.insert_api_key(&key).await, Conflict);

    let first = NOW.plus_ms(5);
    store.revoke_api_key("psk_1", first).await.unwrap();
    store.revoke_api_key("psk_1", NOW.plus_ms(9)).await.unwrap();
    key.revoked_at = Some(first);
    assert_eq!(
        store.api_keys_of(&key.merchant_id).await.unwrap(),
        vec![key.clone()]
    );
    fails!(store.revoke_api_key("psk_2", first).await, NotFound);
    assert!(
        !format!("{key:?}").contains("abab"),
        "the HMAC is not shown"
    );
}
