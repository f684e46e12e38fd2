//! What the gate reads in the store: merchants and keys. A trait with the store behind it, so that the gate can be
//! tested with a store that is slow or down.

use std::sync::Arc;

use iso8583::hex;
use tonic::async_trait;

use crate::grpc::records::RecordsUnavailable;
use crate::payment::ids::MerchantId;
use crate::payment::merchant::Merchant;
use crate::store::Store;

/// What the store knows of an API key that has not been revoked.
#[derive(Debug, Clone)]
pub struct KnownApiKey {
    /// HMAC-SHA256 of the key under the pepper.
    pub digest: [u8; 32],
    /// Whose it is.
    pub merchant: Arc<Merchant>,
}

/// Where merchants and their keys are kept.
#[async_trait]
pub trait MerchantDirectory: Send + Sync + 'static {
    /// The API key with this public part, unless there is none or it was revoked.
    ///
    /// # Errors
    /// When the store can't answer.
    async fn api_key(&self, id: &str) -> Result<Option<KnownApiKey>, RecordsUnavailable>;

    /// The merchant with this id.
    ///
    /// # Errors
    /// When the store can't answer.
    async fn merchant(&self, id: &MerchantId) -> Result<Option<Arc<Merchant>>, RecordsUnavailable>;
}

#[async_trait]
impl MerchantDirectory for Store {
    async fn api_key(&self, id: &str) -> Result<Option<KnownApiKey>, RecordsUnavailable> {
        let Some(key) = Self::api_key(self, id).await? else {
            return Ok(None);
        };
        if key.revoked_at.is_some() {
            return Ok(None);
        }
        let digest = hex::decode_lower(&key.secret_hmac_hex).ok_or_else(|| RecordsUnavailable {
            reason: format!("the digest of the API key {id} is not 64 hexadecimal digits"),
        })?;
        let merchant = Self::merchant(self, &key.merchant_id).await?;
        Ok(merchant.map(|merchant| KnownApiKey {
            digest,
            merchant: Arc::new(merchant),
        }))
    }

    async fn merchant(&self, id: &MerchantId) -> Result<Option<Arc<Merchant>>, RecordsUnavailable> {
        Ok(Self::merchant(self, id).await?.map(Arc::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::Environment;
    use crate::merchant_api::testing::merchant;
    use crate::merchant_api::transport::api_key::{NewApiKey, Pepper};
    use crate::payment::moment::UnixMillis;
    use crate::random::Random;
    use crate::store::testing::TestDatabase;

    #[tokio::test]
    async fn the_store_knows_merchants_by_key_until_it_is_revoked() {
        let database = TestDatabase::sqlite().await;
        let store = database.open().await;
        let (shop, now) = (
            Merchant::clone(&merchant("demo-shop")),
            UnixMillis::new(1_763_757_000_000),
        );
        let key = NewApiKey::generate(&Pepper::new(&[7; 32]), Environment::Test, &Random::SYSTEM)
            .unwrap();
        store.insert_merchant(&shop).await.unwrap();
        let record = key.record(shop.id, "test", now);
        store.insert_api_key(&record).await.unwrap();

        let directory: &dyn MerchantDirectory = &store;
        let known = directory.api_key(&key.id).await.unwrap().unwrap();
        assert_eq!((known.digest, &*known.merchant), (key.digest, &shop));
        assert!(directory.api_key("pk_unknown").await.unwrap().is_none());
        let found = directory.merchant(&shop.id).await.unwrap().unwrap();
        assert_eq!(*found, shop);
        let unknown = "other".parse().unwrap();
        assert!(directory.merchant(&unknown).await.unwrap().is_none());
        store.revoke_api_key(&key.id, now).await.unwrap();
        assert!(directory.api_key(&key.id).await.unwrap().is_none());

        store.close().await;
        assert!(directory.api_key(&key.id).await.is_err());
    }
}
