//! What the door stands on: the store and the flow, as its modules want them.

use std::sync::Arc;

use tonic::async_trait;

use super::auth::{DirectoryUnavailable, KnownApiKey, MerchantDirectory};
use super::connection::{ConnectionEvent, ConnectionLog, ConnectionsNotRecorded};
use super::from_proto::{PaymentKey, PaymentQuery};
use super::payments::{Payments, PaymentsUnavailable};
use crate::authorization::{Authorizations, AuthorizeCommand, AuthorizeError, Authorized};
use crate::payment::ids::{MerchantId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::record::Payment;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::{ClientConnection, ListOrder, PaymentCursor, PaymentFilter};

fn unavailable(error: &StoreError) -> DirectoryUnavailable {
    DirectoryUnavailable {
        reason: error.to_string(),
    }
}

#[async_trait]
impl MerchantDirectory for Store {
    async fn api_key(&self, id: &str) -> Result<Option<KnownApiKey>, DirectoryUnavailable> {
        let key = Self::api_key(self, id)
            .await
            .map_err(|error| unavailable(&error))?;
        let Some(key) = key.filter(|key| key.revoked_at.is_none()) else {
            return Ok(None);
        };
        let merchant = Self::merchant(self, &key.merchant_id)
            .await
            .map_err(|error| unavailable(&error))?;
        let Some(merchant) = merchant else {
            return Ok(None);
        };
        let digest = from_hex(&key.secret_hmac_hex).ok_or_else(|| DirectoryUnavailable {
            reason: format!("table api_keys, row {id}: secret_hmac_hex is not 64 hex digits"),
        })?;
        Ok(Some(KnownApiKey {
            digest,
            merchant: Arc::new(merchant),
        }))
    }

    async fn merchant(
        &self,
        id: &MerchantId,
    ) -> Result<Option<Arc<Merchant>>, DirectoryUnavailable> {
        let merchant = Self::merchant(self, id)
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(merchant.map(Arc::new))
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[async_trait]
impl ConnectionLog for Store {
    async fn record(&self, events: &[ConnectionEvent]) -> Result<(), ConnectionsNotRecorded> {
        for event in events {
            let noted = match event {
                ConnectionEvent::Opened {
                    id,
                    peer,
                    connected_at,
                    certificate_of,
                } => self.connection_opened(ClientConnection {
                    id: *id,
                    peer_address: peer.ip().to_string(),
                    peer_port: peer.port(),
                    identity: certificate_of
                        .as_ref()
                        .map(|id| format!("certificate of {id}")),
                    connected_at: *connected_at,
                }),
                ConnectionEvent::Identified {
                    id,
                    merchant_id,
                    api_key_id,
                } => self.connection_identified(*id, &format!("{merchant_id} by {api_key_id}")),
                ConnectionEvent::Closed {
                    id,
                    disconnected_at,
                } => self.connection_closed(*id, *disconnected_at),
            };
            noted.map_err(|error| ConnectionsNotRecorded {
                reason: error.to_string(),
            })?;
        }
        Ok(())
    }
}

/// The flow that authorizes, and the records in which payments are found again.
pub struct PaymentsBacking {
    /// The flow.
    pub authorizations: Arc<Authorizations>,
    /// The records.
    pub store: Store,
}

fn unreadable(error: &StoreError) -> PaymentsUnavailable {
    PaymentsUnavailable {
        reason: error.to_string(),
    }
}

#[async_trait]
impl Payments for PaymentsBacking {
    async fn authorize(&self, command: AuthorizeCommand) -> Result<Authorized, AuthorizeError> {
        self.authorizations.authorize(command).await
    }

    async fn find(
        &self,
        merchant_id: &MerchantId,
        id: PaymentId,
    ) -> Result<Option<Payment>, PaymentsUnavailable> {
        self.store
            .payment(merchant_id, id)
            .await
            .map_err(|error| unreadable(&error))
    }

    async fn list(
        &self,
        merchant_id: &MerchantId,
        query: &PaymentQuery,
    ) -> Result<Vec<Payment>, PaymentsUnavailable> {
        let filter = PaymentFilter {
            states: query.filter.state.into_iter().collect(),
            created_from: query.filter.created_from,
            created_before: query.filter.created_before,
            merchant_reference: query.filter.merchant_reference.clone(),
            customer_reference: query.filter.customer_reference.clone(),
            currency: query.filter.currency,
        };
        let order = if query.newest_first {
            ListOrder::NewestFirst
        } else {
            ListOrder::OldestFirst
        };
        let after = query
            .after
            .map(|(created_at, id)| PaymentCursor { created_at, id });
        let page = self
            .store
            .list_payments(merchant_id, &filter, order, query.limit, after)
            .await;
        page.map(|page| page.items)
            .map_err(|error| unreadable(&error))
    }

    async fn look_up(
        &self,
        merchant_id: &MerchantId,
        key: &PaymentKey,
    ) -> Result<Vec<Payment>, PaymentsUnavailable> {
        let found = match key {
            PaymentKey::MerchantReference(reference) => {
                self.store
                    .payments_by_merchant_reference(merchant_id, reference)
                    .await
            }
            PaymentKey::Rrn { rrn, business_date } => {
                let found = self.store.payments_by_rrn(merchant_id, *rrn).await;
                found.map(|mut payments| {
                    payments.retain(|payment| {
                        business_date.is_none_or(|date| date == payment.business_date)
                    });
                    payments
                })
            }
        };
        found.map_err(|error| unreadable(&error))
    }
}
