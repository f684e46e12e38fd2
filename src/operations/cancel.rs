//! Cancels a request by its name, whether it has come, is on its way or has ended.
//!
//! The mark of a request that is on its way is its payment's state, so that whichever node records the outcome finds it
//! there: an outcome that does not fit any more is decided anew.

use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::custody::CustodyEnd;
use crate::payment::decline::UnknownReason;
use crate::payment::event::PaymentEvent;
use crate::payment::ids::PaymentId;
use crate::payment::moment::UnixMillis;
use crate::payment::record::{Operation, Payment};
use crate::payment::state::PaymentState;
use crate::store::change::{Change, PaymentChange, RequestClaim, Verdict};
use crate::store::error::StoreError;

use super::call::{Call, OperationError, not_recorded};
use super::machine::Operations;

/// How often a cancellation is tried again when what it rests on changed while it was recorded.
const ATTEMPTS: u32 = 5;

/// A request that is cancelled, and the request that cancels it.
#[derive(Debug, Clone, Copy)]
pub struct Cancel<'a> {
    /// The RPC whose request is cancelled.
    pub method: &'static str,
    /// The request that is cancelled.
    pub request_id: &'a str,
    /// The RPC that cancels it.
    pub by_method: &'static str,
}

/// What became of the request that is cancelled.
#[derive(Debug)]
pub enum Cancelled {
    /// It has not come, and is refused when it does.
    NotSeen,
    /// It has no effect, or will have none: its payment has ended so, or is marked.
    WithoutEffect(Box<Payment>),
    /// It took effect: its payment has to be undone. Nothing is recorded of the cancellation.
    TookEffect(PaymentId),
}

impl Operations {
    /// Cancels a request.
    ///
    /// # Errors
    /// When the store can't be used, or the cancelling request was another one before.
    pub async fn cancel_request<R>(
        &self,
        call: &Call,
        cancel: Cancel<'_>,
    ) -> Result<Cancelled, OperationError<R>> {
        let merchant_id = call.merchant.id;
        let claim = RequestClaim {
            merchant_id,
            method: cancel.by_method,
            request_id: call.request_id.clone(),
            body_hash: call.body_hash,
        };
        for _ in 0..ATTEMPTS {
            if let Some(before) = self.cancelled_before(call, cancel).await? {
                return Ok(before);
            }
            let found = self
                .store
                .find_answer(&merchant_id, cancel.method, cancel.request_id);
            let Some(found) = found.await.map_err(not_recorded)? else {
                let target = (cancel.method, cancel.request_id);
                let taken = self.store.cancel_unseen(target, &claim).await;
                if taken.map_err(not_recorded)? {
                    return Ok(Cancelled::NotSeen);
                }
                continue;
            };
            let payment = self.store.payment(&merchant_id, found.payment_id).await;
            let Some(payment) = payment.map_err(not_recorded)? else {
                continue;
            };
            let ends = match Cancelling::of(&payment.state) {
                Cancelling::TookEffect => return Ok(Cancelled::TookEffect(payment.id)),
                Cancelling::Busy => {
                    let payment_id = payment.id;
                    return Err(OperationError::PaymentBusy { payment_id });
                }
                Cancelling::Marks => true,
                Cancelling::Nothing => false,
            };
            let operation = self
                .store
                .operation(payment.authorization.operation_id)
                .await;
            let Some(operation) = operation.map_err(not_recorded)? else {
                continue;
            };
            let recorded = self.mark_cancelled(&claim, payment, &operation, ends).await;
            if let Some(payment) = recorded.map_err(not_recorded)? {
                return Ok(Cancelled::WithoutEffect(payment));
            }
        }
        let request_id = cancel.request_id.to_owned();
        Err(OperationError::RequestInProgress { request_id })
    }

    /// What this very cancellation did before, as it stands now.
    async fn cancelled_before<R>(
        &self,
        call: &Call,
        cancel: Cancel<'_>,
    ) -> Result<Option<Cancelled>, OperationError<R>> {
        let (merchant_id, request_id) = (&call.merchant.id, &call.request_id);
        let reused = || OperationError::RequestIdReused {
            request_id: request_id.clone(),
        };
        let unseen = self
            .store
            .without_operation(merchant_id, cancel.by_method, request_id);
        match unseen.await.map_err(not_recorded)? {
            Some(body_hash) if body_hash != call.body_hash => return Err(reused()),
            Some(_) => return Ok(Some(Cancelled::NotSeen)),
            None => {}
        }
        let found = self
            .store
            .find_answer(merchant_id, cancel.by_method, request_id);
        let Some(found) = found.await.map_err(not_recorded)? else {
            return Ok(None);
        };
        if found.body_hash != call.body_hash {
            return Err(reused());
        }
        let payment = self.store.payment(merchant_id, found.payment_id).await;
        let payment = payment.map_err(not_recorded)?;
        Ok(payment.map(|payment| Cancelled::WithoutEffect(Box::new(payment))))
    }

    /// Records a cancellation; with `ends` it marks the payment, whose outcome is on its way. None where something has
    /// changed the payment, or another request has the cancellation's name.
    async fn mark_cancelled(
        &self,
        claim: &RequestClaim,
        payment: Payment,
        operation: &Operation,
        ends: bool,
    ) -> Result<Option<Box<Payment>>, StoreError> {
        let payment = Box::new(payment);
        let adjustment = mark(self.clock.now());
        let after = match ends {
            true => adjustment.apply(payment.clone()).ok(),
            false => None,
        };
        let change = Change {
            claim: Some(claim),
            payment: after.as_deref().map(|expected| PaymentChange::Adjusted {
                expected,
                adjustment: &adjustment,
            }),
            about: Some(operation),
            ..Change::default()
        };
        Ok(match self.store.commit(&change).await? {
            Verdict::Committed { payment: moved } => Some(moved.or(after).unwrap_or(payment)),
            _ => None,
        })
    }
}

/// What a cancellation comes to, by the state of the payment that the request made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancelling {
    /// The payment has to be undone.
    TookEffect,
    /// Its outcome is on its way: it is marked.
    Marks,
    /// It has ended without effect, or will.
    Nothing,
    /// It is being voided, which the bank may refuse.
    Busy,
}

impl Cancelling {
    pub(crate) fn of(state: &PaymentState) -> Self {
        match state {
            PaymentState::Authorized { .. }
            | PaymentState::PartiallyCaptured { .. }
            | PaymentState::Captured { .. } => Self::TookEffect,
            PaymentState::Authorizing { pending: None } => Self::Marks,
            PaymentState::Voiding { .. } => Self::Busy,
            _ => Self::Nothing,
        }
    }
}

/// The mark of a payment whose request was cancelled.
pub(crate) fn mark(at: UnixMillis) -> Adjustment {
    Adjustment {
        event: PaymentEvent::OutcomeUnknown(UnknownReason::CancelledByMerchant),
        change: Amounts::ZERO,
        at,
        custody: CustodyEnd::Unchanged,
    }
}
