//! Operators and the audit trail: what the door reads and writes in the store.

use std::fmt;
use std::str::FromStr;

use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::callers::{AuditRecord, OperatorRecord};

/// The name under which the audit trail keeps what was done on the database itself. No operator has it.
pub const COMMAND_LINE: &str = "command-line";

/// What became of a call that changes something, as the audit trail keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It was tried, and did not succeed, for this reason.
    Failed(String),
    /// It was refused for this reason, which is the one in the error's details.
    Refused(String),
}

impl fmt::Display for AuditOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("DONE"),
            Self::Failed(reason) => write!(f, "FAILED:{reason}"),
            Self::Refused(reason) => write!(f, "REFUSED:{reason}"),
        }
    }
}

/// A text that is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected DONE, or FAILED: or REFUSED: and a reason")]
pub struct UnknownOutcome;

impl FromStr for AuditOutcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match (text, text.split_once(':')) {
            ("DONE", _) => Self::Done,
            (_, Some(("FAILED", reason))) => Self::Failed(reason.to_owned()),
            (_, Some(("REFUSED", reason))) => Self::Refused(reason.to_owned()),
            _ => return Err(UnknownOutcome),
        })
    }
}

/// What became of a change of an operator. Where nothing else is said, nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OperatorChanged {
    /// It was done, and its audit row was recorded with it.
    Done,
    /// The request had been recorded before, in this row.
    RequestTaken(Box<AuditRecord>),
    /// Nobody would be left who can approve.
    LastApprover,
    /// The operator is not as it was expected to be.
    Superseded,
}

/// Adds an operator, or changes the one that was `before`, and records `row`, in one transaction.
///
/// # Errors
/// When the store can't be read or written.
pub(super) async fn change_operator(
    store: &Store,
    before: Option<&OperatorRecord>,
    after: &OperatorRecord,
    row: &AuditRecord,
) -> Result<OperatorChanged, StoreError> {
    let written = match before {
        None => store.insert_operator(after, row).await.map(|()| true),
        Some(before) => store.update_operator(before, after, row).await,
    };
    match written {
        Ok(true) => Ok(OperatorChanged::Done),
        Ok(false) => {
            let now = store.operator(&after.name).await?;
            Ok(if now.as_ref() == before {
                OperatorChanged::LastApprover
            } else {
                OperatorChanged::Superseded
            })
        }
        Err(StoreError::Conflict { .. }) => {
            let taken = store.find_audit(&row.operator, &row.request_id).await?;
            Ok(taken.map_or(OperatorChanged::Superseded, |taken| {
                OperatorChanged::RequestTaken(Box::new(taken))
            }))
        }
        Err(error) => Err(error),
    }
}

/// Records `row`, unless its operator has used its request id before: then the row that has it.
///
/// # Errors
/// When the store can't be read or written.
pub(super) async fn record(
    store: &Store,
    row: &AuditRecord,
) -> Result<Option<AuditRecord>, StoreError> {
    match store.insert_audit(row).await {
        Ok(()) => Ok(None),
        Err(conflict @ StoreError::Conflict { .. }) => {
            let taken = store.find_audit(&row.operator, &row.request_id).await?;
            taken.map(Some).ok_or(conflict)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_reads_back() {
        for outcome in [
            AuditOutcome::Done,
            AuditOutcome::Failed("NOT_IN_TIME".into()),
            AuditOutcome::Refused("ROLE_TOO_LOW".into()),
        ] {
            assert_eq!(outcome.to_string().parse(), Ok(outcome));
        }
        for text in ["", "done", "REFUSED", "OTHER:X"] {
            assert_eq!(text.parse::<AuditOutcome>(), Err(UnknownOutcome), "{text}");
        }
    }
}
