//! Ends operations of which nobody knows what came of them, because lines of a report say that they were booked: by what an
//! operator would end them, and each once.

use std::sync::Arc;

use super::asked::Booked;
use crate::clock::Clock;
use crate::operations::machine::Operations;
use crate::operations::resolve_owed::OwedRefusal;
use crate::payment::ids::AuditId;
use crate::payment::settlement_import::SettlementImport;
use crate::random::{NoEntropy, Random};
use crate::store::error::StoreError;
use crate::store::records::callers::{AuditRecord, BY_ITSELF};

/// The call by which the report came.
const ACTION: &str = "SettlementAdminService.ImportReport";
/// What came of it: it is recorded with what it says.
const DONE: &str = "DONE";

/// Why an operation could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum ReportedEndError {
    /// No name for the row of the audit trail could be made.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Ends operations.
pub(super) struct ReportedEnds {
    pub(super) operations: Arc<Operations>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Random,
}

impl ReportedEnds {
    /// Ends what a line says was booked. Whether something has ended, now or meanwhile by something else: then it may be an
    /// item. What can't be said to stand is left as it is.
    ///
    /// # Errors
    /// [`ReportedEndError`].
    pub(super) async fn end(
        &self,
        import: &SettlementImport,
        booked: &Booked,
    ) -> Result<bool, ReportedEndError> {
        let at = self.clock.now();
        let act = AuditRecord {
            id: AuditId::from_parts(at, self.random.bytes_for_name()?),
            at,
            operator: BY_ITSELF.to_owned(),
            action: ACTION.to_owned(),
            target: booked.ends.to_string(),
            reason: format!(
                "line {} of the report of {} of {} ({}) has it as booked",
                booked.line, import.host_id, import.business_date, import.name
            ),
            request_id: format!("{}:{}", import.id, booked.line),
            body_hash: import.sha256,
            outcome: Some(DONE.to_owned()),
            answer: Vec::new(),
        };
        let ended = self.operations.resolve_reported(booked.ends, act);
        match Box::pin(ended).await {
            Ok(before) => {
                tracing::warn!(
                    import.id = %import.id, host.id = %import.host_id, line = booked.line,
                    payment.id = %before.payment_id, operation.id = %before.id, kind = before.kind.name(),
                    "A report ends what nobody knew the outcome of"
                );
                Ok(true)
            }
            Err(OwedRefusal::NotOwed | OwedRefusal::Moved) => Ok(true),
            Err(
                refusal @ (OwedRefusal::NotSuspended
                | OwedRefusal::InFlight
                | OwedRefusal::AmountDiffers),
            ) => {
                tracing::warn!(
                    import.id = %import.id, operation.id = %booked.ends, line = booked.line, %refusal,
                    "A report has as booked what can't be said to stand"
                );
                Ok(false)
            }
            Err(OwedRefusal::Store(error)) => Err(error.into()),
        }
    }
}
