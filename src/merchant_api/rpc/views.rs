//! Payments as calls show them: what their own records say, and what is known of them beside.

use std::sync::Arc;

use crate::hosts::Hosts;
use crate::merchant_api::pb;
use crate::merchant_api::show::payment::{Beside, MOST_CAPTURES, payment, payments};
use crate::payment::ids::PaymentId;
use crate::payment::operation::OperationKind;
use crate::payment::record::Payment;
use crate::payment::state::PaymentState;
use crate::store::Store;
use crate::store::error::StoreError;

/// Shows payments.
pub(crate) struct PaymentViews {
    /// The records.
    pub(crate) store: Store,
    /// Which operations the hosts take.
    pub(crate) hosts: Arc<Hosts>,
}

impl PaymentViews {
    /// Payments with how far their reversals have come, and their captures.
    ///
    /// # Errors
    /// When the store can't be read.
    pub(super) async fn of(&self, found: Vec<Payment>) -> Result<Vec<pb::Payment>, StoreError> {
        let beside = self.beside(&found).await?;
        Ok(payments(found, beside, |payment, kind| {
            self.takes(payment, kind)
        }))
    }

    /// A payment that has nothing beside its own record yet.
    pub(super) fn new_payment(&self, found: Payment) -> pb::Payment {
        payment(found, |payment, kind| self.takes(payment, kind))
    }

    fn takes(&self, payment: &Payment, kind: OperationKind) -> bool {
        let first = &payment.authorization;
        let message = self.hosts.message_after(first.host_id, kind, first.kind);
        message.is_some()
    }

    async fn beside(&self, found: &[Payment]) -> Result<Beside, StoreError> {
        let held = |payment: &&Payment| {
            let is_sale = payment.authorization.kind == OperationKind::Sale;
            is_sale
                || matches!(
                    payment.state,
                    PaymentState::Authorized { .. }
                        | PaymentState::PartiallyCaptured { .. }
                        | PaymentState::Captured { .. }
                        | PaymentState::Expired
                )
        };
        let held: Vec<PaymentId> = found
            .iter()
            .filter(held)
            .map(|payment| payment.id)
            .collect();
        Ok(Beside {
            owed: self.store.owed_of(found).await?,
            captures: self.store.newest_captures(&held, MOST_CAPTURES).await?,
        })
    }
}
