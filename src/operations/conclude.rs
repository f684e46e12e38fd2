//! Records the end of an operation, and only then lets it be told.

use std::time::Duration;

use tokio::time::Instant;

use crate::fault_points::FaultPoint;
use crate::hosts::exchange::Exchange;
use crate::hosts::message::definition::UnknownRule;
use crate::hosts::notice::HostNotice;
use crate::payment::adjustment::without_effect;
use crate::payment::decline::{FailureReason, ResponseCode, UnknownReason};
use crate::payment::merchant::Merchant;
use crate::payment::operation::OperationState;
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::Stan;
use crate::store;
use crate::store::change::Verdict;
use crate::store::error::StoreError;

use super::call::{BANK_WITHIN, not_recorded};
use super::call::{Concluded, OperationError};
use super::flow::Subject;
use super::machine::Operations;
use super::outcome::{Outcome, Told};
use super::owe::log_if_suspended;
use super::plan::Owes;

/// How long an outcome is offered to a store that does not take it. After that it is remembered, and
/// [`recovery`](super::recovery) records it.
pub(super) const RECORD_WITHIN: Duration = Duration::from_secs(20);
/// The longest that an operation can take: until the store has had its time for the intent, which is longer
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

/// What became of an outcome.
#[derive(Debug)]
pub(crate) enum Recorded {
    /// It is durable: the merchant may be told.
    AsDecided {
        /// The payment, where something else had changed it too.
        moved: Option<Box<Payment>>,
    },
    /// The operation had an end already, of which its merchant was or is told; nothing of this one was written.
    EndedBefore(Box<Payment>, Box<Operation>),
    /// The merchant has cancelled the payment, so that another end follows; nothing of this one was written.
    Cancelled(Box<Payment>, Box<Operation>),
    /// The store holds no such operation: its intent was never recorded.
    NoIntent,
}

impl Recorded {
    /// What an outcome that the store refused comes to, by what is recorded; none where it should fit.
    pub(crate) fn refused(payment: Box<Payment>, operation: Box<Operation>) -> Option<Self> {
        match operation.state.is_open() {
            false => Some(Self::EndedBefore(payment, operation)),
            true if payment.state.is_cancelled() => Some(Self::Cancelled(payment, operation)),
            true => None,
        }
    }
}

impl Operations {
    /// The intent may or may not have been recorded, so nothing is sent; if it was recorded, the operation
    /// ends as not sent.
    pub(super) async fn not_sent_for_sure<R>(
        &self,
        records: (Box<Payment>, Box<Operation>),
        reason: &str,
    ) -> Result<Concluded, OperationError<R>> {
        tracing::warn!(payment.id = %records.0.id, reason, "It is not sure that an intent is recorded");
        let exchange = Exchange::NotSent(FailureReason::DeadlineBeforeSend);
        let outcome = self.decide(records, None, &exchange).await?;
        let operation_id = outcome.operation.id;
        // Before anything that may take its time: should the intent turn up later, recovery knows.
        self.in_progress.remember(outcome.clone());
        let (payment, operation) = match self.record(&outcome).await {
            Ok(Recorded::AsDecided { moved }) => {
                (moved.unwrap_or(outcome.payment), outcome.operation)
            }
            Ok(Recorded::EndedBefore(payment, operation)) => (payment, operation),
            // Recovery ends it.
            Ok(Recorded::Cancelled(payment, _)) => {
                self.in_progress.forget(operation_id);
                let payment_id = payment.id;
                return Err(OperationError::OutcomeNotRecorded { payment_id });
            }
            Ok(Recorded::NoIntent) => return Err(not_recorded(no_intent(&outcome.operation))),
            Err(error) => return Err(not_told(&outcome, &error)),
        };
        self.in_progress.forget(operation_id);
        Ok(Concluded {
            payment,
            operation,
            made: None,
            bank_us: 0,
        })
    }

    /// What the exchange means, and what is owed then. A fault in the rules, or a store that gives no
    /// numbers for what is owed, leaves the operation to [`recovery`](super::recovery).
    pub(super) async fn decide<R>(
        &self,
        (payment, operation): (Box<Payment>, Box<Operation>),
        merchant: Option<&Merchant>,
        exchange: &Exchange,
    ) -> Result<Outcome, OperationError<R>> {
        let payment_id = payment.id;
        let Some(decide) = self.flows.of(operation.kind) else {
            let kind = operation.kind.name();
            tracing::error!(payment.id = %payment_id, kind, "No flow knows this kind of operation");
            return Err(OperationError::OutcomeNotRecorded { payment_id });
        };
        let now = self.clock.now();
        let message = self.hosts.message(operation.host_id, operation.kind);
        let subject = Subject {
            payment: &payment,
            operation: &operation,
            hold_days: self.hosts.hold_days(operation.host_id),
            // A host that takes no such message any more may have taken this one.
            unknown: message.map_or(UnknownRule::Wait, |message| message.unknown),
            now,
        };
        let mut decision = decide(exchange, &subject);
        let owes = std::mem::take(&mut decision.owes);
        let mut outcome = Outcome::of(
            payment,
            operation,
            exchange,
            decision,
            (now, self.custody.times()),
        )
        .inspect_err(|error| {
            let error = error as &dyn std::error::Error;
            tracing::error!(payment.id = %payment_id, error, "The outcome could not be decided");
        })
        .map_err(|_| OperationError::OutcomeNotRecorded { payment_id })?;
        let undone = self.undo_with(&mut outcome, merchant, now).await;
        undone.map_err(|error| not_told(&outcome, &error))?;
        if owes.is_empty() {
            log_if_it_waits(&outcome.operation);
            return Ok(outcome);
        }
        log_owed(&outcome.operation, &owes);
        let (payment, operation) = (&outcome.payment, &outcome.operation);
        let owed = self.owed_by(payment, operation, merchant, &owes, now);
        // Boxed, as all that is rare here: each payment would have room for it.
        let owed = Box::pin(owed)
            .await
            .map_err(|error| not_told(&outcome, &error))?;
        outcome.owes.extend(owed);
        outcome.owes.iter().for_each(log_if_suspended);
        Ok(outcome)
    }

    /// Records the end of an operation, and only then tells it. What the store does not take is remembered,
    /// and [`recovery`](super::recovery) records it later.
    pub(super) async fn conclude<R>(&self, outcome: Outcome) -> Result<Told, OperationError<R>> {
        match self.record(&outcome).await {
            Ok(Recorded::AsDecided { moved }) => {
                FaultPoint::Outcome.pass();
                if !outcome.owes.is_empty() {
                    FaultPoint::Queue.pass();
                }
                let payment = moved.unwrap_or(outcome.payment);
                Ok(Told::Ended(payment, outcome.operation))
            }
            // Another node took this process for dead and ended the operation: its word stands, and what
            // the bank said is a late response.
            Ok(Recorded::EndedBefore(payment, operation)) => {
                Box::pin(self.keep_ended_before(&outcome.operation)).await;
                Ok(Told::Ended(payment, operation))
            }
            Ok(Recorded::Cancelled(payment, operation)) => Ok(Told::Cancelled(payment, operation)),
            Ok(Recorded::NoIntent) => Err(not_told(&outcome, &no_intent(&outcome.operation))),
            Err(error) => {
                let not_told = not_told(&outcome, &error);
                self.in_progress.remember(outcome);
                Err(not_told)
            }
        }
    }

    /// Keeps what the bank said of an operation that somebody else has ended.
    pub(super) async fn keep_ended_before(&self, operation: &Operation) {
        let Some((response_code, approval_code)) = answer_of(operation) else {
            return;
        };
        let exchange = late_answer_of(operation);
        self.keep(HostNotice::LateResponse {
            host_id: operation.host_id,
            operation_id: operation.id,
            response_code,
            approval_code: approval_code.to_owned(),
            exchange,
            at: operation.updated_at,
        })
        .await;
    }

    /// Offers an outcome to the store until it takes it, for a bounded time.
    pub(super) async fn record(&self, outcome: &Outcome) -> Result<Recorded, StoreError> {
        let give_up_at = Instant::now() + RECORD_WITHIN;
        loop {
            match self.record_once(outcome).await {
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

    /// Offers an outcome to the store once.
    pub(super) async fn record_once(&self, outcome: &Outcome) -> Result<Recorded, StoreError> {
        let operation = &outcome.operation;
        let verdict = self.store.commit(&outcome.change()).await?;
        if let Verdict::Committed { payment: moved } = verdict {
            log_recorded(moved.as_deref().unwrap_or(&outcome.payment), operation);
            return Ok(Recorded::AsDecided { moved });
        }
        let Some((payment, standing)) = Box::pin(self.store.told(operation.id)).await? else {
            return Ok(Recorded::NoIntent);
        };
        let refused = Recorded::refused(payment, standing);
        refused.ok_or_else(|| StoreError::Conflict {
            what: "the end of an operation",
            reason: format!("{verdict:?}"),
        })
    }
}

fn no_intent(operation: &Operation) -> StoreError {
    StoreError::NotFound {
        what: "operation of a payment",
        id: operation.id.to_string(),
    }
}

/// The line of the log that each operation has: how it has ended, or that it counts from now on.
pub(super) fn log_recorded(payment: &Payment, operation: &Operation) {
    let (response_code, approval_code) = answer_of(operation).unzip();
    let is_sent = operation.stan != Stan::NONE;
    tracing::info!(
        merchant.id = %payment.merchant_id,
        payment.id = %payment.id,
        operation.id = %operation.id,
        host.id = %operation.host_id,
        stan = is_sent.then(|| tracing::field::display(operation.stan)),
        rrn = is_sent.then(|| tracing::field::display(operation.rrn)),
        kind = operation.kind.name(),
        state = operation.state.name(),
        payment.state = payment.state.name(),
        amount_minor = operation.amount.amount_minor(),
        currency = %operation.amount.currency(),
        response_code = response_code.map(tracing::field::display),
        approval_code,
        bank_us = operation.bank_us,
        "An operation is recorded"
    );
}

/// The outcome is not recorded, so it can't be told. All that is known of it stands in the log, in case
/// this process ends before it can be recorded.
fn not_told<R>(outcome: &Outcome, error: &StoreError) -> OperationError<R> {
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
    OperationError::OutcomeNotRecorded {
        payment_id: outcome.payment.id,
    }
}

/// DE 39 and DE 38 of the bank's answer, where one ended the operation.
pub(crate) fn answer_of(operation: &Operation) -> Option<(ResponseCode, &str)> {
    match &operation.state {
        OperationState::Approved { approval, .. } => {
            Some((approval.response_code, &approval.approval_code))
        }
        OperationState::Declined { decline } => Some((decline.response_code, "")),
        _ => None,
    }
}

/// What the bank's answer in an outcome comes to, where somebody else has ended the operation.
pub(crate) fn late_answer_of(operation: &Operation) -> Exchange {
    match &operation.state {
        OperationState::Declined { decline } => Exchange::Declined {
            decline: *decline,
            kept: Vec::new(),
            bank_us: 0,
        },
        _ => Exchange::Unknown(UnknownReason::NoAnswerInTime),
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

fn log_owed(operation: &Operation, owes: &[Owes]) {
    for owes in owes {
        tracing::warn!(
            payment.id = %operation.payment_id,
            operation.id = %operation.id,
            host.id = %operation.host_id,
            stan = %operation.stan,
            rrn = %operation.rrn,
            kind = owes.kind.name(),
            reason = %owes.reason,
            "An outcome makes a message owed to the bank"
        );
    }
}

/// The alarm: an operator has to look, unless a late answer tells.
fn log_if_it_waits(operation: &Operation) {
    let OperationState::Unknown { reason } = operation.state else {
        return;
    };
    // A verification has none.
    if without_effect(operation).is_none() {
        return;
    }
    tracing::error!(
        payment.id = %operation.payment_id,
        operation.id = %operation.id,
        host.id = %operation.host_id,
        stan = %operation.stan,
        rrn = %operation.rrn,
        kind = operation.kind.name(),
        %reason,
        "The outcome at the bank is not known, and nothing undoes it: it waits for a late answer or for an operator"
    );
}
