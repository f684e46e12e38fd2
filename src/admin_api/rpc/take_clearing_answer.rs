//! TakeClearingAnswer: takes in what a host answers to a clearing file.

use std::sync::Arc;

use iso8583::hex;
use pb::take_clearing_answer_request::Part;
use tonic::{Request, Response, Status, Streaming};

use super::audited::{Audited, read_call};
use super::incoming_file::WholeFile;
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::business_day::file;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::{gate, pb, read};
use crate::settlement::clearing::nps_answer::{NpsAnswerError, read_answer};
use crate::settlement::clearing_answers::{AnswerError, ClearingAnswers};
use crate::settlement::hashing::sha256_of;
use crate::store::records::callers::OperatorRole;

const ANSWER: WholeFile = WholeFile {
    field: "chunk",
    expected: "an answer of at most 4 MiB",
    most_bytes: 4 * 1024 * 1024,
};

/// Answers the call.
pub(super) async fn call(
    answers: &Arc<ClearingAnswers>,
    audited: &Audited,
    request: Request<Streaming<pb::TakeClearingAnswerRequest>>,
) -> Result<Response<pb::TakeClearingAnswerResponse>, Status> {
    // Nobody else sends a file.
    gate::caller(&request, OperatorRole::Operator)?;
    let (metadata, extensions, parts) = request.into_parts();
    let (mut first, bytes) = whole(parts).await?;
    let sha256 = sha256_of(&bytes);
    let digits = hex::encode_lower(&sha256);
    let is_whole = first.sha256.is_empty() || first.sha256 == digits;
    if is_whole {
        // The same request with other bytes is another one.
        first.sha256 = digits;
    }
    let request = Request::from_parts(metadata, extensions, first);
    let (call, (host_id, _)) = read_call(
        request,
        |findings, request| {
            let host_id = read::host_id(findings, &request.host_id);
            let name = read::file_name(findings, &request.name);
            read::sha256(findings, &request.sha256)?;
            host_id.zip(name)
        },
        |(host_id, name)| format!("{host_id} {name}"),
    )?;
    if !is_whole {
        return Err(Refusal::FileIncomplete.status());
    }
    let known = answers.member_of(host_id).map(drop);
    known.map_err(|error| refusal(&error).status())?;
    let answer = read_answer(&*bytes).map_err(|error| unreadable(&error))?;
    let answers = Arc::clone(answers);
    let effect = Box::pin(async move {
        let taken = answers.take(host_id, &answer, sha256).await;
        let taken = taken.map_err(|error| refusal(&error))?;
        let answer = pb::TakeClearingAnswerResponse {
            settlement_file: Some(file(&taken.file)),
            business_date: taken.file.business_date.to_string(),
            was_there: taken.was_there,
        };
        Ok((answer, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}

/// Which answer it is, and all of its bytes.
async fn whole(
    mut parts: Streaming<pb::TakeClearingAnswerRequest>,
) -> Result<(pb::AnswerFile, Vec<u8>), Status> {
    let first = parts.message().await?.and_then(|first| first.part);
    let file = match first {
        Some(Part::File(file)) => file,
        // All that is mandatory is missing then, which the caller is told.
        Some(Part::Chunk(_)) | None => return Ok((pb::AnswerFile::default(), Vec::new())),
    };
    let chunk = |next: pb::TakeClearingAnswerRequest| match next.part {
        Some(Part::Chunk(chunk)) => Some(chunk),
        Some(Part::File(_)) | None => None,
    };
    Ok((file, ANSWER.read(Vec::new(), parts, chunk).await?))
}

fn unreadable(error: &NpsAnswerError) -> Status {
    match error {
        NpsAnswerError::Read(_) => Refusal::not_done(error).status(),
        NpsAnswerError::Line {
            line,
            expected,
            got,
        } => ANSWER.invalid(&format!("in line {line} {expected}"), &format!("{got:?}")),
    }
}

fn refusal(error: &AnswerError) -> Refusal {
    match error {
        AnswerError::NoHost(_) => Refusal::HostNotFound,
        AnswerError::NoAnswers(_) => Refusal::AnswersNotTaken,
        AnswerError::NoFile { .. } => Refusal::ClearingFileNotFound,
        AnswerError::Busy | AnswerError::Store(_) => Refusal::not_done(error),
    }
}
