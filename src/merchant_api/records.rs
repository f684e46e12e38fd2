//! What the API reads in the store: merchants and keys, payments.
//!
//! Each is a trait of its own with the store behind it, so that the API can be tested with doubles.

use std::sync::Arc;

use iso8583::hex;
use tonic::async_trait;

use crate::flows::authorization::Authorization;
use crate::grpc::records::RecordsUnavailable;
use crate::operations::flow::Flow as _;
use crate::payment::ids::{MerchantId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::Rrn;
use crate::store::Store;
use crate::store::records::{KeptLateResponse, ListOrder, Page, PaymentCursor, PaymentFilter};

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

/// Where payments are found again.
#[async_trait]
pub trait PaymentRecords: Send + Sync + 'static {
    /// The merchant's payment with this id.
    ///
    /// # Errors
    /// When the store can't answer.
    async fn find(
        &self,
        merchant_id: &MerchantId,
        id: PaymentId,
    ) -> Result<Option<Payment>, RecordsUnavailable>;

    /// One page of the merchant's payments.
    ///
    /// # Errors
    /// When the store can't answer.
    async fn list(
        &self,
        merchant_id: &MerchantId,
        filter: &PaymentFilter,
        order: ListOrder,
        page_size: usize,
        after: Option<PaymentCursor>,
    ) -> Result<Page<Payment>, RecordsUnavailable>;

    /// The merchant's payments with this order reference, newest first.
    ///
    /// # Errors
    /// When the store can't answer.
    async fn by_merchant_reference(
        &self,
        merchant_id: &MerchantId,
        reference: &str,
    ) -> Result<Vec<Payment>, RecordsUnavailable>;

    /// The payment that the merchant's AuthorizePayment with this request_id made.
    ///
    /// # Errors
    /// When the store can't answer.
    async fn by_request_id(
        &self,
        merchant_id: &MerchantId,
        request_id: &str,
    ) -> Result<Option<Payment>, RecordsUnavailable>;

    /// The exchanges of the merchant's payment with this id, each with the response that came late for it;
    /// `None` when the merchant has no such payment.
    ///
    /// # Errors
    /// When the store can't answer.
    async fn operations(
        &self,
        merchant_id: &MerchantId,
        id: PaymentId,
    ) -> Result<Option<Vec<(Operation, Option<KeptLateResponse>)>>, RecordsUnavailable>;

    /// The merchant's payments with this number of the bank's, newest first.
    ///
    /// # Errors
    /// When the store can't answer.
    async fn by_rrn(
        &self,
        merchant_id: &MerchantId,
        rrn: Rrn,
    ) -> Result<Vec<Payment>, RecordsUnavailable>;
}

#[async_trait]
impl PaymentRecords for Store {
    async fn find(
        &self,
        merchant_id: &MerchantId,
        id: PaymentId,
    ) -> Result<Option<Payment>, RecordsUnavailable> {
        Ok(self.payment(merchant_id, id).await?)
    }

    async fn list(
        &self,
        merchant_id: &MerchantId,
        filter: &PaymentFilter,
        order: ListOrder,
        page_size: usize,
        after: Option<PaymentCursor>,
    ) -> Result<Page<Payment>, RecordsUnavailable> {
        Ok(self
            .list_payments(merchant_id, filter, order, page_size, after)
            .await?)
    }

    async fn by_merchant_reference(
        &self,
        merchant_id: &MerchantId,
        reference: &str,
    ) -> Result<Vec<Payment>, RecordsUnavailable> {
        Ok(self
            .payments_by_merchant_reference(merchant_id, reference)
            .await?)
    }

    async fn by_rrn(
        &self,
        merchant_id: &MerchantId,
        rrn: Rrn,
    ) -> Result<Vec<Payment>, RecordsUnavailable> {
        Ok(self.payments_by_rrn(merchant_id, rrn).await?)
    }

    async fn by_request_id(
        &self,
        merchant_id: &MerchantId,
        request_id: &str,
    ) -> Result<Option<Payment>, RecordsUnavailable> {
        let answer = self
            .find_answer(merchant_id, Authorization::METHOD, request_id)
            .await?;
        match answer {
            Some(answer) => Ok(self.payment(merchant_id, answer.payment_id).await?),
            None => Ok(None),
        }
    }

    async fn operations(
        &self,
        merchant_id: &MerchantId,
        id: PaymentId,
    ) -> Result<Option<Vec<(Operation, Option<KeptLateResponse>)>>, RecordsUnavailable> {
        if self.payment(merchant_id, id).await?.is_none() {
            return Ok(None);
        }
        let mut operations = Vec::new();
        for operation in self.operations_of(id).await? {
            let late = self.late_response(operation.id).await?;
            operations.push((operation, late));
        }
        Ok(Some(operations))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::config::environment::Environment;
    use crate::config::store::StoreConfig;
    use crate::merchant_api::testing::merchant;
    use crate::merchant_api::transport::api_key::{NewApiKey, Pepper};
    use crate::payment::moment::UnixMillis;
    use crate::random::Random;

    #[tokio::test]
    async fn the_store_knows_merchants_by_key_until_it_is_revoked() {
        let folder = std::env::temp_dir().join(format!("payswitch-records-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let config = StoreConfig {
            url: format!("sqlite://{}", folder.join("records.db").display()),
            ..StoreConfig::default()
        };
        Store::migrate(&config, &SystemClock).await.unwrap();
        let store = Store::open(&config, Arc::new(SystemClock), &Random::SYSTEM)
            .await
            .unwrap();
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

        let records: &dyn PaymentRecords = &store;
        let id = PaymentId::from_parts(now, [1; 10]);
        assert!(records.find(&shop.id, id).await.unwrap().is_none());
        let filter = PaymentFilter::default();
        let page = records.list(&shop.id, &filter, ListOrder::NewestFirst, 50, None);
        let page = page.await.unwrap();
        assert_eq!((page.items.len(), page.next), (0, None));
        let by_reference = records.by_merchant_reference(&shop.id, "order-1").await;
        assert!(by_reference.unwrap().is_empty());
        let rrn = "632500000042".parse().unwrap();
        assert!(records.by_rrn(&shop.id, rrn).await.unwrap().is_empty());

        store.close().await;
        assert!(directory.api_key(&key.id).await.is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
