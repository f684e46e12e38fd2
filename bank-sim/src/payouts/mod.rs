//! The bank that pays out: it takes payment orders (pain.001), pays them at once, and tells what became of them
//! (camt.054).
//!
//! - `xml`: a document as a tree; `order`: what an order says; `transfer`: what the bank says to it; `notification`:
//!   what it tells of it afterwards.

mod notification;
mod order;
#[cfg(test)]
mod tests;
mod transfer;
mod xml;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use self::order::{DUPLICATE_MESSAGE, Order, Refusal};
pub use self::transfer::{OrderAnswer, Transfer};
use crate::{
    clock::Clock,
    digest::{reference, sha256},
};

/// The most orders that are remembered; further ones are refused.
pub const MAX_ORDERS: usize = 100_000;

/// How the account numbers of creditors end whose accounts are closed.
const CLOSED_ACCOUNT: &str = "0000";
/// The reason why a transfer to a closed account comes back.
const CLOSED_ACCOUNT_REASON: &str = "AC04";
/// The reason of a refusal that is the bank's own matter.
const BANK_REASON: &str = "MS03";

/// The orders that the bank has accepted, by message id.
#[derive(Debug)]
pub(crate) struct Payouts {
    clock: Arc<dyn Clock>,
    orders: Mutex<BTreeMap<String, Paid>>,
}

#[derive(Debug)]
struct Paid {
    digest: [u8; 32],
    transfers: Vec<Transfer>,
    notification: Vec<u8>,
}

impl Payouts {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            orders: Mutex::default(),
        }
    }

    /// Takes an order: all of it is paid or nothing. The same message id with the same bytes is paid once, and with
    /// other bytes refused.
    pub(crate) fn submit(&self, document: &[u8]) -> OrderAnswer {
        match self.pay(document) {
            Ok(accepted) => accepted,
            Err(Refusal { code, reason }) => {
                tracing::warn!(code, reason, "a payment order was refused");
                OrderAnswer::Refused { code, reason }
            }
        }
    }

    fn pay(&self, document: &[u8]) -> Result<OrderAnswer, Refusal> {
        let order = order::read(document)?;
        let digest = sha256(document);
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let message_id = order.message_id.clone();
        if let Some(paid) = orders.get(&message_id) {
            if paid.digest != digest {
                return Err(Refusal {
                    code: DUPLICATE_MESSAGE,
                    reason: format!("MsgId: {message_id:?} was an order with other bytes"),
                });
            }
            return Ok(OrderAnswer::Accepted {
                message_id,
                transfers: paid.transfers.clone(),
                is_duplicate: true,
            });
        }
        if orders.len() >= MAX_ORDERS {
            return Err(Refusal {
                code: BANK_REASON,
                reason: format!("the bank remembers {MAX_ORDERS} orders and takes no more"),
            });
        }
        let transfers = transfers_of(&order);
        let notification = notification::write(&order, &transfers, self.clock.now_utc());
        let paid = Paid {
            digest,
            transfers: transfers.clone(),
            notification,
        };
        orders.insert(message_id.clone(), paid);
        Ok(OrderAnswer::Accepted {
            message_id,
            transfers,
            is_duplicate: false,
        })
    }

    /// What became of an order; `None` when none was accepted with this message id.
    pub(crate) fn notification(&self, message_id: &str) -> Option<Vec<u8>> {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.get(message_id).map(|paid| paid.notification.clone())
    }
}

fn transfers_of(order: &Order) -> Vec<Transfer> {
    let ordered = order.payments.iter().flat_map(|payment| &payment.transfers);
    ordered
        .map(|ordered| {
            let is_closed = ordered.creditor.number().ends_with(CLOSED_ACCOUNT);
            Transfer {
                end_to_end_id: ordered.end_to_end_id.clone(),
                utr: utr_of(&ordered.end_to_end_id),
                amount_minor: ordered.amount_minor,
                currency: ordered.currency,
                return_reason: is_closed.then_some(CLOSED_ACCOUNT_REASON),
            }
        })
        .collect()
}

/// `BSIM` and 18 hex digits.
fn utr_of(end_to_end_id: &str) -> String {
    format!("BSIM{}", reference(end_to_end_id, 9))
}
