//! Payments as calls show them: what their own records say, and what is known of them beside.

use std::sync::Arc;

use tonic::Status;

use crate::clock::Clock;
use crate::hosts::Hosts;
use crate::hosts::message::definition::{Travel, UnknownRule};
use crate::merchant_api::pb;
use crate::merchant_api::show::capture::capture;
use crate::merchant_api::show::payment::{Beside, MOST_CAPTURES, Taken, payment, payments};
use crate::merchant_api::show::refusal::not_readable;
use crate::merchant_api::show::settlement::{Settled, note};
use crate::payment::capture::Capture;
use crate::payment::ids::{OperationId, PaymentId};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Authorization, Operation, Payment};
use crate::payment::settlement::ItemSettlement;
use crate::payment::state::PaymentState;
use crate::random::HashMap;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::settlement::{NotedBatch, SettlementItem};

/// A payment of so few versions has one capture at most: the first two are its authorization and the end of that.
const VERSIONS_WITH_ONE_CAPTURE: i64 = 3;

/// Shows payments.
pub(crate) struct PaymentViews {
    /// The records.
    pub(crate) store: Store,
    /// Which operations the hosts take.
    pub(crate) hosts: Arc<Hosts>,
    /// Holds end by it.
    pub(crate) clock: Arc<dyn Clock>,
}

impl PaymentViews {
    /// Payments with how far their reversals have come, and their captures.
    ///
    /// # Errors
    /// When the store can't be read.
    pub(super) async fn of(&self, found: Vec<Payment>) -> Result<Vec<pb::Payment>, StoreError> {
        self.shown(found, None).await
    }

    async fn shown(
        &self,
        found: Vec<Payment>,
        only_capture: Option<(Capture, Operation)>,
    ) -> Result<Vec<pb::Payment>, StoreError> {
        let beside = self.beside(&found, only_capture).await?;
        let now = self.clock.now();
        Ok(payments(found, beside, now, |first, kind| {
            self.taken(first, kind)
        }))
    }

    /// The payment that a call has changed. `made` is the capture that the call made of it.
    pub(super) async fn changed(
        &self,
        found: Box<Payment>,
        made: Option<(Capture, Operation)>,
    ) -> Result<Option<pb::Payment>, Status> {
        let only = made.filter(|_| found.version <= VERSIONS_WITH_ONE_CAPTURE);
        let shown = self.shown(vec![*found], only).await;
        Ok(shown.map_err(|error| not_readable(&error))?.pop())
    }

    /// A payment that has nothing beside its own record yet, as it was told.
    pub(super) fn new_payment(&self, found: Payment) -> pb::Payment {
        let at = found.updated_at;
        payment(found, &[], at, |first, kind| self.taken(first, kind))
    }

    fn taken(&self, first: &Authorization, kind: OperationKind) -> Option<Taken> {
        let message = self.hosts.message_after(first.host_id, kind, first.kind)?;
        Some(Taken {
            only_one: message.only_one(),
            is_recorded: message.travel() == Travel::Recorded,
            is_reversed: message.unknown == UnknownRule::Reverse,
        })
    }

    /// Captures, and where their money stands.
    ///
    /// # Errors
    /// When the store can't be read.
    pub(super) async fn captures(
        &self,
        found: Vec<(Capture, Operation)>,
    ) -> Result<Vec<pb::Capture>, StoreError> {
        let shown = found.into_iter().map(|(found, operation)| {
            let shown = self.capture(found, &operation);
            (operation.id, shown)
        });
        settled(&self.store, shown.collect()).await
    }

    /// A capture as it was told.
    pub(super) fn capture(&self, found: Capture, operation: &Operation) -> pb::Capture {
        let message = self.hosts.message(operation.host_id, operation.kind);
        let is_reversed = message.is_some_and(|it| it.unknown == UnknownRule::Reverse);
        capture(found, operation, is_reversed)
    }

    /// `only_capture` is the one capture of these payments, where that is known.
    async fn beside(
        &self,
        found: &[Payment],
        only_capture: Option<(Capture, Operation)>,
    ) -> Result<Beside, StoreError> {
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
        let kinds = [
            OperationKind::Capture,
            OperationKind::Void,
            OperationKind::Refund,
        ];
        let takes_one = |payment: &&Payment| {
            let taken = |kind| self.taken(&payment.authorization, kind);
            kinds
                .into_iter()
                .any(|kind| taken(kind).is_some_and(|it| it.only_one))
        };
        let one_only = found.iter().filter(takes_one).map(|payment| payment.id);
        let one_only: Vec<PaymentId> = one_only.collect();
        let captures = match only_capture {
            Some(only) => vec![only],
            None => self.store.newest_captures(&held, MOST_CAPTURES).await?,
        };
        let made: Vec<OperationId> = captures.iter().map(|(_, made)| made.id).collect();
        let settlement = self.store.settlement_of(&made).await?;
        Ok(Beside {
            operations: self.store.operations_of_all(&one_only).await?,
            owed: self.store.owed_of(found).await?,
            releases: self.store.releases_of(found).await?,
            notes: notes(&self.store, &settlement).await?,
            settlement,
            captures,
        })
    }
}

/// What operations carry out, each with where its money stands.
///
/// # Errors
/// When the store can't be read.
pub(super) async fn settled<T: Settled>(
    store: &Store,
    mut shown: Vec<(OperationId, T)>,
) -> Result<Vec<T>, StoreError> {
    let ids: Vec<OperationId> = shown.iter().map(|(id, _)| *id).collect();
    let settlement = store.settlement_of(&ids).await?;
    let notes = notes(store, &settlement).await?;
    for (id, shown) in &mut shown {
        if let Some(settlement) = settlement.get(id) {
            shown.settle(settlement);
        }
        if let Some((batch, item)) = notes.get(id) {
            shown.note(note(batch, item.clone()));
        }
    }
    Ok(shown.into_iter().map(|(_, shown)| shown).collect())
}

/// The notes of what is settled.
async fn notes(
    store: &Store,
    settlement: &HashMap<OperationId, ItemSettlement>,
) -> Result<HashMap<OperationId, (NotedBatch, SettlementItem)>, StoreError> {
    let funded = settlement.iter().filter(|(_, item)| item.is_funded);
    let funded: Vec<OperationId> = funded.map(|(id, _)| *id).collect();
    store.settled_items(&funded).await
}
