//! Answers that come too late, and messages that match nothing.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::hosts::exchange::Exchange;
use crate::hosts::message::contents::Original;
use crate::hosts::message::definition::UnknownRule;
use crate::hosts::message::meaning::Meaning;
use crate::hosts::message::meaning::ends_the_debt;
use crate::hosts::notice::{HostNotice, QuarantineReason, Quarantined};
use crate::payment::adjustment::{Adjustment, without_effect};
use crate::payment::amounts::Amounts;
use crate::payment::custody::CustodyTimes;
use crate::payment::decline::{Decline, ResponseCode, UnknownReason};
use crate::payment::event::PaymentEvent;
use crate::payment::ids::{HostId, OperationId, QuarantineId};
use crate::payment::moment::UnixMillis;
use crate::payment::operation::{Open, OperationEvent, OperationState, ResolvedBy};
use crate::payment::planted::{Mistake, planted};
use crate::payment::reason::Reason;
use crate::payment::record::{Operation, Payment};
use crate::payment::state::PaymentState;
use crate::store::change::{Change, OperationStep, PaymentChange, Verdict};
use crate::store::error::StoreError;
use crate::store::records::{LateResponse, QuarantinedResponse};

use super::conclude::{RECORD_AGAIN_AFTER, RECORD_WITHIN, may_pass};
use super::flow::{Decides, Decision, Owes, Subject};
use super::machine::Operations;
use super::outcome::{Outcome, Undecidable};
use super::owe::log_if_suspended;
use super::owed_step::{adjusted, may_have_undone_nothing};

/// The most reports that are kept together.
const AT_ONCE: usize = 128;

impl Operations {
    /// Keeps what the lines report, until they are closed. Reports that wait are kept together: a
    /// bank that stood still answers thousands of payments at once.
    pub async fn keep_notices(self: Arc<Self>, mut notices: mpsc::Receiver<HostNotice>) {
        let mut waiting = Vec::with_capacity(AT_ONCE);
        while notices.recv_many(&mut waiting, AT_ONCE).await > 0 {
            join_all(waiting.drain(..).map(|notice| self.keep(notice))).await;
        }
    }

    /// Keeps a report, as long as the store may still take it.
    pub(super) async fn keep(&self, notice: HostNotice) {
        let give_up_at = Instant::now() + RECORD_WITHIN;
        // One name for all attempts, so that the quarantine has it once.
        let random = self.random.bytes_for_name().unwrap_or_default();
        while let Err(error) = self.keep_notice(notice.clone(), random).await {
            if !may_pass(&error) || Instant::now() >= give_up_at {
                tracing::error!(%error, ?notice, "A report of a line could not be recorded");
                break;
            }
            tracing::warn!(%error, "The store did not take a report; it is offered again");
            tokio::time::sleep(RECORD_AGAIN_AFTER).await;
        }
    }

    async fn keep_notice(&self, notice: HostNotice, random: [u8; 10]) -> Result<(), StoreError> {
        match notice {
            HostNotice::LateResponse {
                host_id,
                operation_id,
                response_code,
                approval_code,
                exchange,
                at,
            } => {
                tracing::warn!(
                    host.id = %host_id, operation.id = %operation_id,
                    %response_code,
                    "An answer came late or is unclear"
                );
                let late = late_response(host_id, operation_id, response_code, approval_code, at);
                Box::pin(self.keep_late(late, &exchange)).await
            }
            HostNotice::Quarantined(quarantined) => {
                self.keep_quarantined(*quarantined, random).await
            }
        }
    }

    /// Records a late answer, and what follows from it: the answer to a message that is owed counts as any other;
    /// a decline may end a debt, and an approval may make a new one. Nothing that was final changes.
    async fn keep_late(&self, late: LateResponse, exchange: &Exchange) -> Result<(), StoreError> {
        let Some(operation) = self.store.operation(late.operation_id).await? else {
            return self.store.record_late_response(late).await.map(|_| ());
        };
        if operation.state.is_open() && self.in_progress.contains(operation.id) {
            // Its outcome is being recorded, and comes first.
            return Err(StoreError::Unavailable {
                reason: "the operation's own outcome is not recorded yet".into(),
            });
        }
        if operation.state.open() == Open::Owed {
            if ends_an_attempt(exchange)
                && let Some(entry) = self.store.owed_entry(operation.id).await?
            {
                self.end_attempt(entry, exchange).await;
            }
            return Ok(());
        }
        let approval_code = late.approval_code.clone();
        let response_code = late.response_code;
        self.store.record_late_response(late).await?;
        if contradicts(&operation.state, exchange) {
            log_contradicted(&operation, response_code);
        }
        let about = match operation.state {
            OperationState::Unknown { .. } => self.store.operations_about(&operation).await?,
            _ => Vec::new(),
        };
        match Late::of(&operation, &about, exchange) {
            Late::Resolves => self.resolve_late(operation, exchange, response_code).await,
            Late::EndsDebt(decline) => self.end_debt(&operation, &about, decline).await,
            Late::MayOwe => self.owe_again(&operation, approval_code.as_deref()).await,
            Late::OnlyKept => Ok(()),
        }
    }

    /// An operation whose outcome is not known, and that is not reversed, has its outcome now. What its merchant was
    /// told stands; the payment tells what has become of it.
    async fn resolve_late(
        &self,
        operation: Operation,
        exchange: &Exchange,
        response_code: ResponseCode,
    ) -> Result<(), StoreError> {
        let Some(flow) = self.flows.of(operation.kind) else {
            return Ok(());
        };
        let payment = Box::new(self.store.payment_of(&operation).await?);
        let now = self.clock.now();
        let subject = Subject {
            payment: &payment,
            operation: &operation,
            hold_days: self.hosts.hold_days(operation.host_id),
            unknown: UnknownRule::Wait,
            now,
        };
        let Some(mut decision) = resolution(flow, exchange, &subject, response_code) else {
            return Ok(());
        };
        let owes = std::mem::take(&mut decision.owes);
        let owed = self.owed_by(&payment, &operation, None, &owes, now).await?;
        let times = (now, self.custody.times());
        let outcome = Outcome::of(payment, Box::new(operation), exchange, decision, times);
        match outcome {
            Ok(outcome) => {
                let mut outcome = Outcome {
                    owes: owed,
                    answers: false,
                    ..outcome
                };
                self.undo_with(&mut outcome, None, now).await?;
                self.record_once(&outcome).await.map(drop)
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "A late answer does not fit its operation");
                Ok(())
            }
        }
    }

    /// The bank declined, late: where its reversal was not sent yet, the debt ends, and the payment is declined.
    async fn end_debt(
        &self,
        original: &Operation,
        about: &[Operation],
        decline: &Decline,
    ) -> Result<(), StoreError> {
        for reversal in debts_ended(original, about) {
            let Some(entry) = self.store.owed_entry(reversal.id).await? else {
                continue;
            };
            self.cancel_owed(entry, decline).await;
        }
        Ok(())
    }

    /// The bank may have approved, and says so late: exactly one reversal is owed. One that is owed still will do. So
    /// does one that the bank says it has carried out: then it knew the original, and this answer was overtaken. One
    /// that the bank only took, or that found nothing to undo, will not, nor an operator's word that there was nothing.
    async fn owe_again(
        &self,
        original: &Operation,
        approval_code: Option<&str>,
    ) -> Result<(), StoreError> {
        let about = self.store.operations_about(original).await?;
        let payment = self.store.payment_of(original).await?;
        let now = self.clock.now();
        let times = self.custody.times();
        let again = OwedAgain::of(original, &about, &payment, (now, times));
        let Some(mut again) = again.map_err(refused)? else {
            return Ok(());
        };
        if !again.owes {
            return self.commit_or_refuse(&again.change()).await;
        }
        let undone = Original {
            operation: original,
            approval_code,
            released: None,
        };
        let owes = Owes::reversal(original, Reason::LateApproval);
        let reversal = self.owed_operation(&payment, undone, None, &owes, now);
        let reversal = reversal.await?;
        log_if_suspended(&reversal);
        let reversal_id = reversal.id;
        again.reversal = Some(reversal);
        self.commit_or_refuse(&again.change()).await?;
        tracing::warn!(
            payment.id = %payment.id, operation.id = %original.id, reversal.id = %reversal_id,
            "A bank that had not undone an operation has approved it; a new reversal is owed"
        );
        Ok(())
    }

    /// Where something else has changed the records, the report is looked at again.
    async fn commit_or_refuse(&self, change: &Change<'_>) -> Result<(), StoreError> {
        match self.store.commit(change).await? {
            Verdict::Committed { .. } => Ok(()),
            verdict => Err(refused(format!("{verdict:?}"))),
        }
    }

    /// A response that matches nothing in this process may answer what an earlier process sent.
    async fn keep_quarantined(
        &self,
        quarantined: Quarantined,
        random: [u8; 10],
    ) -> Result<(), StoreError> {
        let shown_rrn = quarantined.shown_rrn();
        let Quarantined {
            host_id,
            line: _,
            reason,
            mti,
            stan,
            rrn,
            shows_rrn: _,
            response_code,
            approval_code,
            key,
            masked,
            at,
        } = quarantined;
        let response = QuarantinedResponse {
            id: QuarantineId::from_parts(at, random),
            host_id,
            reason: reason.to_string(),
            mti: mti.unwrap_or_default(),
            stan,
            rrn: shown_rrn,
            response_code,
            message: masked,
            received_at: at,
        };
        // What the line can't tell from another answer may be one all the same, by its whole key. A second answer, and
        // one with a fault, may only make something owed.
        let (may_be_an_answer, may_decline) = match reason {
            QuarantineReason::NoMatch | QuarantineReason::KeyMismatch { .. } => (true, true),
            QuarantineReason::Duplicate | QuarantineReason::Undecodable { .. } => (true, false),
            QuarantineReason::UnexpectedRequest | QuarantineReason::NoResponseCode => {
                (false, false)
            }
        };
        self.store.record_quarantined(response).await?;
        let (true, Some(rrn), Some(stan), Some(key), Some(response_code)) =
            (may_be_an_answer, rrn, stan, key, response_code)
        else {
            return Ok(());
        };
        let sent = self
            .store
            .operations_by_reference(&host_id, rrn, stan)
            .await?;
        let now = self.clock.now();
        let answered = sent.iter().find(|operation| {
            would_be_late(operation, now, self.in_progress.contains(operation.id))
                && self.hosts.is_answer(&key, operation)
        });
        let Some(operation) = answered else {
            return Ok(());
        };
        // Of an answer that is not here any more only its code is known.
        let exchange = match self.hosts.meaning(host_id, operation.kind, response_code) {
            Some(Meaning::Declined { reason, advice }) if may_decline => Exchange::Declined {
                decline: Decline {
                    reason,
                    response_code,
                    advice,
                },
                kept: Vec::new(),
                bank_us: 0,
            },
            _ => Exchange::Unknown(UnknownReason::AnswerNotUnderstood),
        };
        let late = late_response(host_id, operation.id, response_code, approval_code, at);
        Box::pin(self.keep_late(late, &exchange)).await
    }
}

/// Whether an answer to this operation would be late: no task waits for one any more, and none was
/// recorded in time. A message that is owed is sent again, and answered again.
pub(crate) fn would_be_late(operation: &Operation, now: UnixMillis, in_progress: bool) -> bool {
    match operation.state {
        OperationState::Unknown { .. }
        | OperationState::Reversed
        | OperationState::Resolved { .. } => true,
        OperationState::Created => operation.deadline < now && !in_progress,
        _ => false,
    }
}

/// Whether a late answer to a message that is owed counts. Only what the host said does: otherwise the next attempt is
/// due anyway, or an operator has the entry.
pub(crate) fn ends_an_attempt(exchange: &Exchange) -> bool {
    exchange.is_decided() || matches!(exchange, Exchange::Unclear { .. })
}

/// What follows from a late answer to an operation that is owed no more, or never was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Late<'a> {
    /// The operation has its outcome.
    Resolves,
    /// Reversals that were not sent yet are not owed any more.
    EndsDebt(&'a Decline),
    /// The bank may have approved, so that a reversal may be owed.
    MayOwe,
    /// It is kept, and nothing follows.
    OnlyKept,
}

impl<'a> Late<'a> {
    /// What follows from `exchange`, where `about` is what undoes an operation whose outcome is not known.
    pub(crate) fn of(operation: &Operation, about: &[Operation], exchange: &'a Exchange) -> Self {
        let is_unknown = matches!(operation.state, OperationState::Unknown { .. });
        match exchange {
            Exchange::Approved { .. } if is_unknown && about.is_empty() => Self::Resolves,
            Exchange::Declined { decline, .. } if !ends_the_debt(decline.reason) => Self::OnlyKept,
            Exchange::Declined { .. } if is_unknown && about.is_empty() => Self::Resolves,
            Exchange::Declined { decline, .. } => Self::EndsDebt(decline),
            // Nothing undoes it, and this says no more than was known.
            _ if is_unknown && about.is_empty() => Self::OnlyKept,
            Exchange::NotSent(_) => Self::OnlyKept,
            Exchange::Approved { .. }
            | Exchange::Unknown(_)
            | Exchange::Unclear { .. }
            | Exchange::Taken { .. }
            | Exchange::OriginalUnknown { .. }
            | Exchange::Again { .. } => Self::MayOwe,
        }
    }
}

/// What a late answer makes of an operation whose outcome is not known; none where nothing hangs on it, and what its
/// merchant was told stands.
pub(crate) fn resolution(
    flow: &dyn Decides,
    exchange: &Exchange,
    subject: &Subject<'_>,
    response_code: ResponseCode,
) -> Option<Decision> {
    let decided = flow.decide(exchange, subject);
    decided.payment.as_ref()?;
    Some(Decision {
        operation: vec![OperationEvent::Resolved {
            by: ResolvedBy::LateResponse,
            response_code: Some(response_code),
            took_effect: matches!(exchange, Exchange::Approved { .. }),
        }],
        ..decided
    })
}

/// The debts that a late decline of `original` ends: those of which nothing was sent, not even before an operator had them
/// sent again.
pub(crate) fn debts_ended<'a>(
    original: &Operation,
    about: &'a [Operation],
) -> impl Iterator<Item = &'a Operation> {
    let is_unknown = matches!(original.state, OperationState::Unknown { .. });
    let was_sent =
        |it: &Operation| it.state != OperationState::Queued || it.attempts.first_at.is_some();
    let queued = move |it: &&Operation| {
        is_unknown && (!was_sent(it) || planted(Mistake::DebtEndedAfterSending))
    };
    about.iter().filter(queued)
}

/// What a late approval makes of the operation that it approves.
pub(crate) struct OwedAgain {
    /// A version on: of two reports at once one makes the reversal, and an acknowledgement that is being recorded at
    /// this moment is looked at again.
    moved: Operation,
    /// Whether a new reversal is owed, and what it does to the payment.
    pub(crate) owes: bool,
    payment: Option<(Payment, Adjustment)>,
    /// The reversal.
    pub(crate) reversal: Option<Operation>,
}

impl OwedAgain {
    /// What follows for `original`; none where nothing does. `about` is what undoes it.
    ///
    /// # Errors
    /// When the payment can't take it.
    pub(crate) fn of(
        original: &Operation,
        about: &[Operation],
        payment: &Payment,
        (now, times): (UnixMillis, CustodyTimes),
    ) -> Result<Option<Self>, Undecidable> {
        let moved = Operation {
            version: original.version + 1,
            ..original.clone()
        };
        let mut again = Self {
            moved,
            owes: false,
            payment: None,
            reversal: None,
        };
        match original.state {
            OperationState::Unknown { .. } => return Ok(Some(again)),
            // An operator said that it stands.
            OperationState::Resolved {
                took_effect: true, ..
            } => return Ok(None),
            OperationState::Reversed | OperationState::Resolved { .. }
                if !planted(Mistake::LateApprovalForgotten) => {}
            _ => return Ok(None),
        }
        let undone_nothing = |reversal| may_have_undone_nothing(reversal, original);
        if about.is_empty() || !about.iter().all(undone_nothing) {
            return Ok(None);
        }
        // Else it stands, or was declined. A later operation (a capture) leaves the payment as it is.
        if without_effect(original).is_none() {
            if payment.state != PaymentState::Reversed {
                return Ok(None);
            }
            let event = PaymentEvent::ReversalOwedAgain;
            let custody = times.owed(now);
            again.payment = Some(adjusted(payment, event, Amounts::ZERO, custody, now)?);
        }
        again.owes = true;
        Ok(Some(again))
    }

    /// The change that records it.
    pub(crate) fn change(&self) -> Change<'_> {
        Change {
            step: Some(OperationStep {
                operation: &self.moved,
                answers: false,
            }),
            owes: self.reversal.as_slice(),
            payment: self
                .payment
                .as_ref()
                .map(|(expected, adjustment)| PaymentChange::Adjusted {
                    expected,
                    adjustment,
                }),
            ..Change::default()
        }
    }
}

/// Whether a late answer says another thing than an earlier one, or an operator, of an operation that has ended by that:
/// its amount may have been given back, and asked for again.
fn contradicts(state: &OperationState, exchange: &Exchange) -> bool {
    let OperationState::Resolved { took_effect, .. } = state else {
        return false;
    };
    match exchange {
        Exchange::Approved { .. } | Exchange::Taken { .. } => !took_effect,
        Exchange::Declined { decline, .. } => *took_effect && ends_the_debt(decline.reason),
        _ => false,
    }
}

/// The alarm: nothing is changed, and the books may differ.
fn log_contradicted(operation: &Operation, response_code: ResponseCode) {
    tracing::error!(
        payment.id = %operation.payment_id,
        operation.id = %operation.id,
        host.id = %operation.host_id,
        stan = %operation.stan,
        rrn = %operation.rrn,
        kind = operation.kind.name(),
        %response_code,
        "A late answer contradicts the end of an operation: compare the payment with the bank's books"
    );
}

/// What another report has changed meanwhile is read again.
fn refused(reason: impl ToString) -> StoreError {
    StoreError::Unavailable {
        reason: reason.to_string(),
    }
}

fn late_response(
    host_id: HostId,
    operation_id: OperationId,
    response_code: ResponseCode,
    approval_code: String,
    received_at: UnixMillis,
) -> LateResponse {
    LateResponse {
        operation_id,
        host_id,
        response_code,
        approval_code: Some(approval_code).filter(|code| !code.is_empty()),
        received_at,
    }
}

#[cfg(test)]
mod tests;
