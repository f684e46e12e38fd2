//! ResolveDiscrepancy: does something about a discrepancy.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::discrepancy::followed;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::{pb, read};
use crate::grpc::violations::{Findings, length_of};
use crate::payment::discrepancy::{Bearer, Ending, Step};
use crate::payment::ids::SubjectId;
use crate::reconciliation::discrepancies::Discrepancies;
use crate::store::records::callers::OperatorRole;
use pb::resolve_discrepancy_request::Step as Asked;

/// The most captures and refunds that a line is split into.
const MOST_PARTS: usize = 10;
/// What a line may be about.
const MATCHED: &str = "the id of a capture or refund; of a bank statement's line that of a payout, or the day of a host such \
    as acquirer/2026-11-30/EUR";
/// What names one of them.
const SUBJECT: &str = "the id of a capture or refund";

/// Answers the call.
pub(super) async fn call(
    discrepancies: &Arc<Discrepancies>,
    audited: &Audited,
    request: Request<pb::ResolveDiscrepancyRequest>,
) -> Result<Response<pb::ResolveDiscrepancyResponse>, Status> {
    let (mut call, (id, step)) = read_call(
        request,
        |findings, request| {
            let id = read::discrepancy_id(findings, &request.discrepancy_id);
            id.zip(step(findings, request))
        },
        |(id, step)| format!("{id} {}", named(step)),
    )?;
    // What corrects, or undoes that, is not for one operator alone.
    if matches!(step, Step::Approve | Step::Reopen) {
        call.least_role = OperatorRole::Approver;
    }
    let discrepancies = Arc::clone(discrepancies);
    let (by, reason) = (call.caller.name.to_string(), call.asked.reason.clone());
    let effect = Box::pin(async move {
        let resolved = discrepancies.step(&id, &step, (&by, &reason)).await;
        let resolved = resolved.map_err(Refusal::from)?;
        let answer = pb::ResolveDiscrepancyResponse {
            discrepancy: Some(followed(&resolved)),
        };
        Ok((answer, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}

fn step(findings: &mut Findings, request: &pb::ResolveDiscrepancyRequest) -> Option<Step> {
    let expected =
        "exactly one step: assign, ask_bank, accept, correct, approve, reopen, match or split";
    let read = match &request.step {
        Some(Asked::Assign(name)) => {
            return read::operator_name(findings, name).map(Step::Assign);
        }
        Some(Asked::Match(what)) => {
            let in_report = what.parse().map(Step::Found);
            let step = in_report.or_else(|_| what.parse().map(Step::Matched));
            let step = step.map_err(|_| length_of(what));
            return findings.keep("match", MATCHED, step);
        }
        Some(Asked::Split(parts)) => return split(findings, &parts.subject_ids),
        Some(Asked::AskBank(true)) => Ok(Step::AskBank),
        Some(Asked::Accept(true)) => Ok(Step::End(Ending::Accept)),
        Some(Asked::Approve(true)) => Ok(Step::Approve),
        Some(Asked::Reopen(true)) => Ok(Step::Reopen),
        Some(Asked::Correct(bearer)) => match pb::CorrectionBearer::try_from(*bearer) {
            Ok(pb::CorrectionBearer::Merchant) => Ok(Step::End(Ending::Correct(Bearer::Merchant))),
            Ok(pb::CorrectionBearer::House) => Ok(Step::End(Ending::Correct(Bearer::House))),
            Ok(pb::CorrectionBearer::Unspecified) | Err(_) => Err("nobody who bears it".to_owned()),
        },
        Some(_) => Err("a step that is false".to_owned()),
        None => Err("none".to_owned()),
    };
    findings.keep("step", expected, read)
}

/// The captures and refunds that a line is about.
fn split(findings: &mut Findings, asked: &[String]) -> Option<Step> {
    let read = asked.iter().zip(1..).take(MOST_PARTS);
    let subjects = read.filter_map(|(subject, place)| {
        let got = || format!("{} in place {place}", length_of(subject));
        let subject = subject.parse::<SubjectId>().map_err(|_| got());
        findings.keep("split.subject_ids", SUBJECT, subject)
    });
    let subjects: Vec<SubjectId> = subjects.collect();
    let mut once = subjects.clone();
    once.sort_unstable();
    once.dedup();
    let counts = (2..=MOST_PARTS).contains(&asked.len()) && once.len() == subjects.len();
    let read = match counts {
        true => Ok(()),
        false => Err(format!("{}, {} of them once", asked.len(), once.len())),
    };
    let expected = "2 to 10 captures or refunds, each once";
    findings.keep("split.subject_ids", expected, read)?;
    (subjects.len() == asked.len()).then_some(Step::Split(subjects))
}

/// A step, for the audit trail.
fn named(step: &Step) -> String {
    match step {
        Step::Assign(name) => format!("ASSIGN {name}"),
        Step::AskBank => "ASK_BANK".to_owned(),
        Step::End(Ending::Accept) | Step::Propose(Ending::Accept) => "ACCEPT".to_owned(),
        Step::End(Ending::Correct(bearer)) | Step::Propose(Ending::Correct(bearer)) => {
            format!("CORRECT {bearer:?}").to_uppercase()
        }
        Step::Approve => "APPROVE".to_owned(),
        Step::Reopen => "REOPEN".to_owned(),
        Step::Found(subject) => format!("MATCH {subject}"),
        Step::Matched(with) => format!("MATCH {with}"),
        Step::Split(subjects) => {
            let names: Vec<String> = subjects.iter().map(ToString::to_string).collect();
            format!("SPLIT {}", names.join(" "))
        }
    }
}
