//! What the door reads and writes in the store: merchants and keys, payments, connections.
//!
//! Each is a trait of its own with the store behind it, so that the door can be tested with doubles.

use std::sync::Arc;

use tonic::async_trait;

use super::from_proto::{List, PaymentKey};
use crate::payment::ids::{ConnectionId, MerchantId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::record::Payment;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::{ClientConnection, Page};

/// Payments that a look-up gives at most.
pub const MAX_FOUND: usize = 100;

/// The records can't be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the records are out of reach: {reason}")]
pub struct RecordsUnavailable {
    /// What the store said.
    pub reason: String,
}

impl From<StoreError> for RecordsUnavailable {
    fn from(error: StoreError) -> Self {
        Self {
            reason: error.to_string(),
        }
    }
}

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
        let digest = digest_from_hex(&key.secret_hmac_hex).ok_or_else(|| RecordsUnavailable {
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

fn digest_from_hex(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 2 * digest.len() || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(digest)
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
        list: &List,
    ) -> Result<Page<Payment>, RecordsUnavailable>;

    /// The merchant's payments with this key, newest first, at most [`MAX_FOUND`].
    ///
    /// # Errors
    /// When the store can't answer.
    async fn look_up(
        &self,
        merchant_id: &MerchantId,
        key: &PaymentKey,
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
        list: &List,
    ) -> Result<Page<Payment>, RecordsUnavailable> {
        let page = self.list_payments(
            merchant_id,
            &list.filter,
            list.order,
            list.page_size,
            list.after,
        );
        Ok(page.await?)
    }

    async fn look_up(
        &self,
        merchant_id: &MerchantId,
        key: &PaymentKey,
    ) -> Result<Vec<Payment>, RecordsUnavailable> {
        let mut found = match key {
            PaymentKey::MerchantReference(reference) => {
                self.payments_by_merchant_reference(merchant_id, reference)
                    .await?
            }
            PaymentKey::Rrn { rrn, business_date } => {
                let mut found = self.payments_by_rrn(merchant_id, *rrn).await?;
                if let Some(date) = business_date {
                    found.retain(|payment| payment.business_date == *date);
                }
                found
            }
        };
        found.truncate(MAX_FOUND);
        Ok(found)
    }
}

/// Where client connections are recorded. Nothing here waits for the store.
pub trait ConnectionLog: Send + Sync + 'static {
    /// A client came.
    ///
    /// # Errors
    /// When it can't be recorded.
    fn opened(&self, connection: ClientConnection) -> Result<(), RecordsUnavailable>;

    /// It turned out who a client is.
    ///
    /// # Errors
    /// When it can't be recorded.
    fn identified(&self, id: ConnectionId, identity: &str) -> Result<(), RecordsUnavailable>;

    /// A client left.
    ///
    /// # Errors
    /// When it can't be recorded.
    fn closed(&self, id: ConnectionId, at: UnixMillis) -> Result<(), RecordsUnavailable>;
}

impl ConnectionLog for Store {
    fn opened(&self, connection: ClientConnection) -> Result<(), RecordsUnavailable> {
        Ok(self.connection_opened(connection)?)
    }

    fn identified(&self, id: ConnectionId, identity: &str) -> Result<(), RecordsUnavailable> {
        Ok(self.connection_identified(id, identity)?)
    }

    fn closed(&self, id: ConnectionId, at: UnixMillis) -> Result<(), RecordsUnavailable> {
        Ok(self.connection_closed(id, at)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        let hex = "00ff".repeat(16);
        let digest = digest_from_hex(&hex).unwrap();
        assert_eq!((digest[0], digest[1], digest[31]), (0, 255, 255));
        for wrong in [
            "",
            "00",
            &hex[1..],
            &hex.replace('f', "g"),
            &hex.replace("00", "+0"),
        ] {
            assert_eq!(digest_from_hex(wrong), None, "{wrong}");
        }
    }
}
