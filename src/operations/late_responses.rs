//! Answers that come too late, and messages that match nothing.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::hosts::exchange::Exchange;
use crate::hosts::message::contents::Original;
use crate::hosts::message::definition::UnknownRule;
use crate::hosts::message::meaning::Meaning;
use crate::hosts::notice::{HostNotice, QuarantineReason, Quarantined};
use crate::payment::decline::{Decline, ResponseCode, UnknownReason};
use crate::payment::ids::QuarantineId;
use crate::payment::operation::{Open, OperationState};
use crate::payment::reason::Reason;
use crate::payment::record::Operation;
use crate::store::change::{Change, Verdict};
use crate::store::error::StoreError;
use crate::store::records::{LateResponse, QuarantinedResponse};

use super::conclude::{RECORD_AGAIN_AFTER, RECORD_WITHIN, may_pass};
use super::flow::Subject;
use super::late_answer::{
    Late, OwedAgain, contradicts, debts_ended, ends_an_attempt, resolution, would_be_late,
};
use super::machine::Operations;
use super::outcome::Outcome;
use super::owe::log_if_suspended;
use super::plan::Owes;

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
                let late = LateResponse {
                    operation_id,
                    host_id,
                    response_code,
                    approval_code: Some(approval_code).filter(|code| !code.is_empty()),
                    amount_differs: matches!(
                        exchange,
                        Exchange::Unclear {
                            reason: UnknownReason::AmountDiffers,
                            ..
                        }
                    ),
                    received_at: at,
                };
                Box::pin(self.keep_late(late, Some(&exchange))).await
            }
            HostNotice::Quarantined(quarantined) => {
                self.keep_quarantined(*quarantined, random).await
            }
        }
    }

    /// Records a late answer, and what follows from it: the answer to a message that is owed counts as any other;
    /// a decline may end a debt, and an approval may make a new one. Nothing that was final changes. An answer that is not
    /// believed is no `exchange`: nothing follows but the alarm, where it contradicts.
    async fn keep_late(
        &self,
        late: LateResponse,
        exchange: Option<&Exchange>,
    ) -> Result<(), StoreError> {
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
            if let Some(exchange) = exchange.filter(|exchange| ends_an_attempt(exchange))
                && let Some(entry) = self.store.owed_entry(operation.id).await?
            {
                self.end_attempt(entry, exchange).await;
            }
            return Ok(());
        }
        let approval_code = late.approval_code.clone();
        let response_code = late.response_code;
        self.store.record_late_response(late).await?;
        let meaning = (self.hosts).meaning(operation.host_id, operation.kind, response_code);
        if meaning.is_some_and(|meaning| contradicts(&operation, meaning)) {
            log_contradicted(&operation, response_code);
        }
        let Some(exchange) = exchange else {
            return Ok(());
        };
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
        let Some(decide) = self.flows.of(operation.kind) else {
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
        let Some(mut decision) = resolution(decide, exchange, &subject, response_code) else {
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
        // one with a fault, that declines is not believed.
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
        // Of an answer that is not here any more only its code is known: one that approves may have approved another
        // amount.
        let exchange = match self.hosts.meaning(host_id, operation.kind, response_code) {
            Some(Meaning::Declined { reason, advice }) => may_decline.then(|| Exchange::Declined {
                decline: Decline {
                    reason,
                    response_code,
                    advice,
                },
                kept: Vec::new(),
                bank_us: 0,
            }),
            _ => Some(Exchange::Unknown(UnknownReason::AnswerNotUnderstood)),
        };
        let late = LateResponse {
            operation_id: operation.id,
            host_id,
            response_code,
            approval_code: Some(approval_code).filter(|code| !code.is_empty()),
            amount_differs: false,
            received_at: at,
        };
        Box::pin(self.keep_late(late, exchange.as_ref())).await
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

#[cfg(test)]
mod tests;
