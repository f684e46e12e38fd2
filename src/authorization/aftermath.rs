//! What comes after the answer: late responses, messages that match nothing, and payments that a
//! stopped gateway left without an outcome.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::hosts::exchange::Exchange;
use crate::hosts::notice::{HostNotice, QuarantineReason, Quarantined};
use crate::payment::decline::{ResponseCode, UnknownReason};
use crate::payment::ids::{HostId, OperationId, QuarantineId};
use crate::payment::moment::UnixMillis;
use crate::payment::operation::OperationState;
use crate::store::error::StoreError;
use crate::store::records::{LateResponse, OutcomeRecorded, QuarantinedResponse, ReversalOwed};

use super::{Authorizations, decision};

/// Between two looks for payments without an outcome.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long after its deadline an operation still belongs to the process that recorded it. Longer
/// than that process offers its outcome to the store after the deadline has passed.
const GRACE_MS: i64 = 45_000;
/// The most payments that are resolved in one go.
const AT_ONCE: usize = 200;

impl Authorizations {
    /// Keeps what the bank links report, until they are closed.
    pub async fn keep_notices(self: Arc<Self>, mut notices: mpsc::Receiver<HostNotice>) {
        while let Some(notice) = notices.recv().await {
            if let Err(error) = self.keep_notice(notice).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "A report of a bank link could not be recorded");
            }
        }
    }

    async fn keep_notice(&self, notice: HostNotice) -> Result<(), StoreError> {
        match notice {
            HostNotice::LateResponse {
                host_id,
                operation_id,
                response_code,
                approval_code,
                at,
            } => {
                tracing::warn!(
                    host.id = %host_id, operation.id = %operation_id, ?response_code,
                    "A response came late; what the merchant was told stands"
                );
                self.keep_late(host_id, operation_id, response_code, approval_code, at)
                    .await
            }
            HostNotice::Quarantined(quarantined) => self.keep_quarantined(*quarantined).await,
            // The link itself has logged it, and the health service follows the status board.
            HostNotice::LineUp { .. } | HostNotice::LineDown { .. } => Ok(()),
        }
    }

    /// A late answer changes nothing that was told. One that approves, or that can't be read, leaves
    /// a reversal owed, if none is yet.
    async fn keep_late(
        &self,
        host_id: HostId,
        operation_id: OperationId,
        response_code: Option<ResponseCode>,
        approval_code: String,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let Some(response_code) = response_code else {
            // Without DE 39 there is nothing to keep of it: the reversal that is owed stays owed.
            return Ok(());
        };
        let reversal = (response_code == ResponseCode::APPROVED).then_some(ReversalOwed {
            operation_id,
            reason: UnknownReason::NoAnswerInTime,
            due_at: at,
        });
        let response = LateResponse {
            operation_id,
            host_id,
            response_code,
            approval_code: Some(approval_code).filter(|code| !code.is_empty()),
            received_at: at,
            reversal,
        };
        self.store.record_late_response(response).await.map(|_| ())
    }

    /// A response that matches nothing in this process may answer what an earlier process sent.
    async fn keep_quarantined(&self, quarantined: Quarantined) -> Result<(), StoreError> {
        let Quarantined {
            host_id,
            line,
            reason,
            mti,
            stan,
            rrn,
            response_code,
            masked,
            at,
        } = quarantined;
        tracing::warn!(
            host.id = %host_id, line, %reason, mti, ?stan, ?rrn,
            "A message from the bank matched nothing and went to the quarantine"
        );
        if let (QuarantineReason::NoMatch, Some(rrn), Some(stan)) = (&reason, rrn, stan)
            && let Some(operation) = self
                .store
                .find_operation_by_reference(&host_id, rrn, stan)
                .await?
            && awaits_an_answer(&operation.state)
        {
            self.keep_late(
                host_id.clone(),
                operation.id,
                response_code,
                String::new(),
                at,
            )
            .await?;
        }
        let random = crate::clock::random_bytes().unwrap_or_default();
        let response = QuarantinedResponse {
            id: QuarantineId::from_parts(at, random),
            host_id,
            reason: reason.to_string(),
            mti: mti.unwrap_or_default(),
            stan,
            rrn,
            response_code,
            message: masked,
            received_at: at,
        };
        self.store.record_quarantined(response).await
    }

    /// Gives an outcome to every payment that a stopped process left, now and again until `stop`.
    pub async fn resolve_abandoned_until(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            let past = self.clock.now().plus_ms(-GRACE_MS);
            if let Err(error) = self.resolve_abandoned(past).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "Payments without an outcome could not be resolved");
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Gives an outcome to every operation whose deadline was before `past`: not known, and a
    /// reversal is owed, since a byte of it may have reached the bank. Returns how many.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub async fn resolve_abandoned(&self, past: UnixMillis) -> Result<usize, StoreError> {
        let mut resolved = 0;
        loop {
            let before = resolved;
            let abandoned = self.store.unfinished_operations(past, AT_ONCE).await?;
            let found = abandoned.len();
            for (payment, operation) in abandoned {
                let exchange = Exchange::Unknown(UnknownReason::GatewayStopped);
                let now = self.clock.now();
                let decided = match decision::decide(&payment, &operation, exchange, 0, now) {
                    Ok(decided) => decided,
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(payment.id = %payment.id, error, "It can't be resolved");
                        continue;
                    }
                };
                super::log_reversal_owed(&decided.operation, UnknownReason::GatewayStopped);
                if let OutcomeRecorded::Recorded = self.record(decided).await? {
                    resolved += 1;
                }
            }
            // A round that resolved nothing would find the same ones again.
            if found < AT_ONCE || resolved == before {
                return Ok(resolved);
            }
        }
    }
}

/// Whether the gateway gave up on this operation without an answer.
fn awaits_an_answer(state: &OperationState) -> bool {
    matches!(
        state,
        OperationState::Created
            | OperationState::Sent
            | OperationState::Unknown { .. }
            | OperationState::ReversalQueued { .. }
    )
}
