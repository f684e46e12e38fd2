//! Rows of the audit trail.

use crate::admin_api::pb;
use crate::admin_api::records::AuditOutcome;
use crate::grpc::time::timestamp;
use crate::store::records::callers::AuditRecord;

/// A row, without its answer.
pub(in crate::admin_api) fn entry(row: AuditRecord) -> pb::AuditEntry {
    let (outcome, outcome_reason) = match row.outcome.as_deref().map(str::parse) {
        None => (pb::AuditOutcome::Begun, String::new()),
        Some(Ok(AuditOutcome::Done)) => (pb::AuditOutcome::Done, String::new()),
        Some(Ok(AuditOutcome::Failed(reason))) => (pb::AuditOutcome::Failed, reason),
        Some(Ok(AuditOutcome::Refused(reason))) => (pb::AuditOutcome::Refused, reason),
        // Written by another version.
        Some(Err(_)) => (
            pb::AuditOutcome::Unspecified,
            row.outcome.unwrap_or_default(),
        ),
    };
    pb::AuditEntry {
        audit_id: row.id.to_string(),
        time: Some(timestamp(row.at)),
        operator: row.operator,
        action: row.action,
        target: row.target,
        reason: row.reason,
        request_id: row.request_id,
        outcome: outcome.into(),
        outcome_reason,
    }
}
