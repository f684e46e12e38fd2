//! MatchStatementLine: an operator says what a line of a bank account is.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::bank_statement::line;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::{pb, read};
use crate::reconciliation::statement_matching::{MatchError, Matching};

/// Answers the call.
pub(super) async fn call(
    matching: &Arc<Matching>,
    audited: &Audited,
    request: Request<pb::MatchStatementLineRequest>,
) -> Result<Response<pb::MatchStatementLineResponse>, Status> {
    let (call, (line_id, with)) = read_call(
        request,
        |findings, request| {
            let line_id = read::bank_line_id(findings, &request.line_id);
            line_id.zip(read::match_candidate(findings, &request.with))
        },
        |(line_id, with)| format!("{line_id} {with}"),
    )?;
    let matching = Arc::clone(matching);
    let (operator, reason) = (call.caller.name.to_string(), call.asked.reason.clone());
    let effect = Box::pin(async move {
        let by = (operator.as_str(), reason.as_str());
        let matched = matching.by_hand(line_id, with, by).await;
        let matched = matched.map_err(|error| refusal(&error))?;
        let answer = pb::MatchStatementLineResponse {
            line: Some(line(&matched)),
        };
        Ok((answer, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}

fn refusal(error: &MatchError) -> Refusal {
    match error {
        MatchError::NoLine(_) => Refusal::StatementLineNotFound,
        MatchError::NoCandidate(_) => Refusal::MatchNotFound,
        MatchError::Amount { .. } => Refusal::MatchAmountDiffers,
        MatchError::Taken { .. } => Refusal::MatchTaken,
        MatchError::Store(_) => Refusal::not_done(error),
    }
}
