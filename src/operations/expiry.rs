//! Ends payments whose hold has ended by itself: nothing is sent, the issuer knows.
//!
//! Every node looks, and the state of the payment decides which one was first. A capture that is taken at the same
//! moment comes before the end of the hold by the clock of its node, or not at all; the grace keeps the nodes' clocks
//! apart.

use std::time::Duration;

use tokio::time::Instant;

use crate::payment::adjustment::{Adjustment, AdjustmentError};
use crate::payment::amounts::Amounts;
use crate::payment::custody::CustodyTimes;
use crate::payment::event::PaymentEvent;
use crate::payment::moment::UnixMillis;
use crate::payment::record::{Operation, Payment};
use crate::store::change::{Change, PaymentChange, Verdict};
use crate::store::error::StoreError;

use super::machine::Operations;

/// So long after its end a hold is ended in the records: the clocks of two nodes differ by less.
pub const HOLD_GRACE: Duration = Duration::from_secs(60);
/// Between two looks for holds that have ended.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The most payments that are ended in one look; the others come with the next one.
const AT_ONCE: usize = 500;

impl Operations {
    /// Ends the payments whose holds have ended, where the last look was long enough ago. Returns when it looked last.
    pub(super) async fn expire_holds(&self, looked: Option<Instant>) -> Option<Instant> {
        let now = Instant::now();
        if looked.is_some_and(|at| now.duration_since(at) < LOOK_EVERY) {
            return looked;
        }
        match self.end_holds().await {
            Ok(0) => {}
            Ok(ended) => tracing::info!(ended, "Holds have ended by themselves"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "Holds that have ended could not be recorded");
            }
        }
        Some(now)
    }

    /// Ends the payments whose holds have ended; returns how many.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub(super) async fn end_holds(&self) -> Result<usize, StoreError> {
        let grace_ms = i64::try_from(HOLD_GRACE.as_millis()).unwrap_or(i64::MAX);
        let before = self.clock.now().plus_ms(-grace_ms);
        let mut ended = 0;
        for (payment, authorization) in self.store.ended_holds(before, AT_ONCE).await? {
            let payment_id = payment.id;
            match self
                .end_hold(payment, &authorization, self.clock.now())
                .await
            {
                Ok(true) => ended += 1,
                // A capture or an increment is pending, or another node was first.
                Ok(false) => {}
                Err(error @ (StoreError::Conflict { .. } | StoreError::Invalid { .. })) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(payment.id = %payment_id, error, "The end of a hold can't be recorded");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(ended)
    }

    /// Ends one hold at a moment. Whether it was this that ended it.
    pub(super) async fn end_hold(
        &self,
        payment: Payment,
        authorization: &Operation,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let adjustment = end_of_hold(&payment, (at, self.custody.times()));
        let after: Result<_, AdjustmentError> = adjustment.apply(Box::new(payment));
        let Ok(expected) = after else {
            return Ok(false);
        };
        let change = Change {
            payment: Some(PaymentChange::Adjusted {
                expected: &expected,
                adjustment: &adjustment,
            }),
            about: Some(authorization),
            ..Change::default()
        };
        let verdict = self.store.commit(&change).await?;
        Ok(matches!(verdict, Verdict::Committed { .. }))
    }
}

/// The end of a hold by itself.
pub(crate) fn end_of_hold(
    payment: &Payment,
    (at, times): (UnixMillis, CustodyTimes),
) -> Adjustment {
    let event = PaymentEvent::HoldExpired;
    Adjustment {
        custody: times.end_after(&event, &payment.amounts, at),
        event,
        change: Amounts::ZERO,
        at,
    }
}

#[cfg(test)]
mod tests;
