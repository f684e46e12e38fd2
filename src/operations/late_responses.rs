//! Answers that come too late, and messages that match nothing.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::hosts::notice::{HostNotice, QuarantineReason, Quarantined};
use crate::payment::decline::ResponseCode;
use crate::payment::ids::{HostId, OperationId, QuarantineId};
use crate::payment::moment::UnixMillis;
use crate::payment::operation::OperationState;
use crate::payment::record::Operation;
use crate::store::error::StoreError;
use crate::store::records::{LateResponse, QuarantinedResponse};

use super::conclude::{RECORD_AGAIN_AFTER, RECORD_WITHIN, may_pass};
use super::machine::Operations;

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
                at,
            } => {
                tracing::warn!(
                    host.id = %host_id, operation.id = %operation_id,
                    %response_code,
                    "An answer came late or is unclear; what the merchant was told stands"
                );
                self.keep_late(host_id, operation_id, response_code, approval_code, at)
                    .await
            }
            HostNotice::Quarantined(quarantined) => {
                self.keep_quarantined(*quarantined, random).await
            }
        }
    }

    /// A late answer changes nothing that was told, and the reversal that is owed stays owed: it was
    /// recorded together with the outcome that isn't known.
    async fn keep_late(
        &self,
        host_id: HostId,
        operation_id: OperationId,
        response_code: ResponseCode,
        approval_code: String,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let response = LateResponse {
            operation_id,
            host_id,
            response_code,
            approval_code: Some(approval_code).filter(|code| !code.is_empty()),
            received_at: at,
        };
        self.store.record_late_response(response).await.map(|_| ())
    }

    /// A response that matches nothing in this process may answer what an earlier process sent.
    async fn keep_quarantined(
        &self,
        quarantined: Quarantined,
        random: [u8; 10],
    ) -> Result<(), StoreError> {
        let Quarantined {
            host_id,
            line: _,
            reason,
            mti,
            stan,
            rrn,
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
            rrn,
            response_code,
            message: masked,
            received_at: at,
        };
        let may_be_an_answer = reason == QuarantineReason::NoMatch;
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
        let answered = sent.iter().find(|operation| {
            self.would_be_late(operation) && self.hosts.is_answer(&key, operation)
        });
        if let Some(operation) = answered {
            self.keep_late(host_id, operation.id, response_code, approval_code, at)
                .await?;
        }
        Ok(())
    }

    /// Whether an answer to this operation would be late: no task waits for one any more, and none was
    /// recorded in time.
    fn would_be_late(&self, operation: &Operation) -> bool {
        match operation.state {
            OperationState::Unknown { .. } | OperationState::ReversalQueued { .. } => true,
            OperationState::Created | OperationState::Sent => {
                operation.deadline < self.clock.now() && !self.in_progress.contains(operation.id)
            }
            _ => false,
        }
    }
}
