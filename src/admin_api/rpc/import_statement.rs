//! ImportStatement: takes in a file of statements of a bank account.

use std::sync::Arc;

use pb::import_statement_request::Part;
use tonic::{Request, Response, Status, Streaming};

use super::audited::{Audited, read_call};
use super::incoming_file::chunks;
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::bank_statement::{faulty_file, taken_file};
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::{pb, read};
use crate::reconciliation::statement_imports::{
    GivenStatements, StatementImportError, StatementImports,
};
use crate::settlement::spool::SpoolError;

/// What the audit trail keeps of a file that has a fault.
const FAULTY: &str = "STATEMENT_FAULTY";

/// Answers the call.
pub(super) async fn call(
    imports: &Arc<StatementImports>,
    audited: &Audited,
    request: Request<Streaming<pb::ImportStatementRequest>>,
) -> Result<Response<pb::ImportStatementResponse>, Status> {
    let (metadata, extensions, mut parts) = request.into_parts();
    let first = parts.message().await?.and_then(|first| first.part);
    let file = match first {
        Some(Part::File(file)) => file,
        // All that is mandatory is missing then, which the caller is told.
        Some(Part::Chunk(_)) | None => pb::BankStatementFile::default(),
    };
    let request = Request::from_parts(metadata, extensions, file);
    let (call, mut given) = read_call(
        request,
        |findings, request| {
            let account = read::bank_account(findings, &request.account);
            let name = read::file_name(findings, &request.name);
            let sha256 = read::sha256(findings, &request.sha256);
            Some(GivenStatements {
                account: account?,
                name: name?,
                sha256: sha256?,
                operator: String::new(),
            })
        },
        |given| format!("{} {}", given.account, given.name),
    )?;
    given.operator.clone_from(&call.caller.name);
    let imports = Arc::clone(imports);
    let effect = Box::pin(async move {
        let chunks = chunks(parts, |message| match message.part {
            Some(Part::Chunk(bytes)) => Some(bytes),
            _ => None,
        });
        match Box::pin(imports.take_in(given, chunks)).await {
            Ok(taken) => Ok((taken_file(&taken), AuditOutcome::Done)),
            Err(StatementImportError::File(error)) => {
                let outcome = AuditOutcome::Failed(FAULTY.to_owned());
                Ok((faulty_file(&error), outcome))
            }
            Err(error) => Err(refusal(&error)),
        }
    });
    audited.perform(call, effect).await
}

pub(super) fn refusal(error: &StatementImportError) -> Refusal {
    match error {
        StatementImportError::NoAccount(_) => Refusal::StatementAccountNotFound,
        StatementImportError::Unfinished { .. } => {
            tracing::warn!(%error, "A bank statement is not taken in");
            Refusal::StatementUnfinished
        }
        StatementImportError::OtherFile
        | StatementImportError::Spool(SpoolError::Cut(_) | SpoolError::TooLarge) => {
            Refusal::FileIncomplete
        }
        StatementImportError::File(_)
        | StatementImportError::Busy
        | StatementImportError::Spool(SpoolError::File { .. })
        | StatementImportError::Interrupted(_)
        | StatementImportError::Store(_) => Refusal::not_done(error),
    }
}
