//! Records what came of an authorization, and only then lets it be told.

use std::time::Duration;

use tokio::time::Instant;

use crate::hosts::exchange::Exchange;
use crate::hosts::notice::HostNotice;
use crate::payment::decline::{FailureReason, ResponseCode, UnknownReason};
use crate::payment::operation::OperationState;
use crate::payment::record::{Operation, Payment};
use crate::store;
use crate::store::error::StoreError;
use crate::store::records::{AuthorizationOutcome, OutcomeRecorded};

use super::command::{AuthorizeError, Authorized};
use super::decision;
use super::{Authorizations, BANK_WITHIN, not_recorded};

/// How long the outcome of a payment is offered to a store that does not take it. What it can't take
/// for longer is left to [`recovery`](super::recovery).
pub(super) const RECORD_WITHIN: Duration = Duration::from_secs(20);
/// The longest that a flow can take: until the store has had its time for the intent, which is longer
/// than the bank's time; then until it has been offered the outcome for the last time and has had its
/// time to answer.
pub const LONGEST: Duration = store::ANSWER_TIMEOUT
    .saturating_add(RECORD_WITHIN)
    .saturating_add(store::ANSWER_TIMEOUT);
const _: () = assert!(
    store::ANSWER_TIMEOUT.as_millis() > BANK_WITHIN.as_millis(),
    "the bank's time is over while the store still has its own for the intent"
);
/// Between two such offers.
pub(super) const RECORD_AGAIN_AFTER: Duration = Duration::from_millis(200);

impl Authorizations {
    /// The intent may or may not have been recorded, so nothing is sent; if it was recorded, the
    /// payment failed.
    pub(super) async fn not_sent_for_sure(
        &self,
        records: (Box<Payment>, Box<Operation>),
        reason: &str,
    ) -> Result<Authorized, AuthorizeError> {
        tracing::warn!(payment.id = %records.0.id, reason, "It is not sure that an intent is recorded");
        let exchange = Exchange::NotSent(FailureReason::DeadlineBeforeSend);
        let outcome = self.decided(records, exchange, 0)?;
        // Before anything that may take its time: should the intent turn up later, recovery knows.
        self.operations_under_way.remember(outcome.clone());
        let recorded = self.record(&outcome).await;
        if recorded.is_ok() {
            self.operations_under_way.forget(outcome.operation.id);
        }
        let payment = match recorded {
            Ok(OutcomeRecorded::Recorded) => outcome.payment,
            Ok(OutcomeRecorded::Superseded { current, .. }) => current,
            Err(error @ StoreError::NotFound { .. }) => return Err(not_recorded(error)),
            Err(error) => return Err(not_told(&outcome, &error)),
        };
        Ok(Authorized {
            payment,
            bank_us: 0,
        })
    }

    /// What the exchange means. A fault in the rules leaves the payment to [`recovery`](super::recovery).
    pub(super) fn decided(
        &self,
        (payment, operation): (Box<Payment>, Box<Operation>),
        exchange: Exchange,
        hold_days: u16,
    ) -> Result<AuthorizationOutcome, AuthorizeError> {
        let payment_id = payment.id;
        let now = self.clock.now();
        let outcome = decision::decide(payment, operation, exchange, hold_days, now)
            .inspect_err(|error| {
                let error = error as &dyn std::error::Error;
                tracing::error!(payment.id = %payment_id, error, "The outcome could not be decided");
            })
            .map_err(|_| AuthorizeError::OutcomeNotRecorded { payment_id })?;
        if let Some(reversal) = &outcome.reversal {
            log_reversal_owed(&outcome.operation, reversal.reason);
        }
        Ok(outcome)
    }

    /// Records what came of it, and only then tells it. What the store does not take is remembered, and
    /// [`recovery`](super::recovery) records it later.
    pub(super) async fn conclude(
        &self,
        outcome: AuthorizationOutcome,
    ) -> Result<Box<Payment>, AuthorizeError> {
        match self.record(&outcome).await {
            Ok(OutcomeRecorded::Recorded) => Ok(outcome.payment),
            // Another node took this process for stopped and resolved the payment: its word stands,
            // and what the bank said is a late response.
            Ok(OutcomeRecorded::Superseded { current, .. }) => {
                self.keep_superseded(&outcome.operation).await;
                Ok(current)
            }
            Err(error) => {
                let not_told = not_told(&outcome, &error);
                self.operations_under_way.remember(outcome);
                Err(not_told)
            }
        }
    }

    /// Keeps what the bank said of an operation that somebody else has resolved.
    pub(super) async fn keep_superseded(&self, operation: &Operation) {
        let Some((response_code, approval_code)) = answer_of(operation) else {
            return;
        };
        self.keep(HostNotice::LateResponse {
            host_id: operation.host_id,
            operation_id: operation.id,
            response_code,
            approval_code: approval_code.to_owned(),
            at: operation.updated_at,
        })
        .await;
    }

    /// Offers an outcome to the store until it takes it, for a bounded time.
    pub(super) async fn record(
        &self,
        outcome: &AuthorizationOutcome,
    ) -> Result<OutcomeRecorded, StoreError> {
        let give_up_at = Instant::now() + RECORD_WITHIN;
        loop {
            match self.store.record_outcome(outcome).await {
                Err(error) if may_pass(&error) && Instant::now() < give_up_at => {
                    tracing::warn!(
                        payment.id = %outcome.payment.id,
                        error = &error as &dyn std::error::Error,
                        "The store did not take an outcome; it will be offered again"
                    );
                    tokio::time::sleep(RECORD_AGAIN_AFTER).await;
                }
                recorded => return recorded,
            }
        }
    }
}

/// The outcome is not recorded, so it can't be told. All that is known of it stands in the log, in case
/// this process ends before it can be recorded.
fn not_told(outcome: &AuthorizationOutcome, error: &StoreError) -> AuthorizeError {
    let operation = &outcome.operation;
    let (response_code, approval_code) = answer_of(operation).unzip();
    tracing::error!(
        payment.id = %outcome.payment.id,
        operation.id = %operation.id,
        host.id = %operation.host_id,
        stan = %operation.stan,
        rrn = %operation.rrn,
        state = operation.state.name(),
        response_code = response_code.map(tracing::field::display),
        approval_code,
        error = error as &dyn std::error::Error,
        "The outcome could not be recorded"
    );
    AuthorizeError::OutcomeNotRecorded {
        payment_id: outcome.payment.id,
    }
}

/// DE 39 and DE 38 of the bank's answer, where one decided the operation.
fn answer_of(operation: &Operation) -> Option<(ResponseCode, &str)> {
    match &operation.state {
        OperationState::Approved { approval } => {
            Some((approval.response_code, &approval.approval_code))
        }
        OperationState::Declined { decline } => Some((decline.response_code, "")),
        _ => None,
    }
}

/// Whether the same record may be taken a moment later.
pub(super) fn may_pass(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Unavailable { .. }
            | StoreError::Busy { .. }
            | StoreError::OutcomeUnknown { .. }
    )
}

pub(super) fn log_reversal_owed(operation: &Operation, reason: UnknownReason) {
    tracing::warn!(
        payment.id = %operation.payment_id,
        operation.id = %operation.id,
        host.id = %operation.host_id,
        stan = %operation.stan,
        rrn = %operation.rrn,
        %reason,
        "The outcome at the bank is not known; a reversal is owed"
    );
}

#[cfg(test)]
mod tests;
