//! ImportReport: takes in the settlement report of a closed day.

use std::sync::Arc;

use pb::import_report_request::Part;
use tonic::{Request, Response, Status, Streaming};

use super::audited::{Audited, read_call};
use super::incoming_file::chunks;
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::report::{faulty, imported};
use crate::admin_api::{pb, read};
use crate::reconciliation::given_report::{GivenReport, ImportError};
use crate::reconciliation::report_imports::ReportImports;
use crate::settlement::spool::SpoolError;

/// What the audit trail keeps of a report that has faults.
const FAULTY: &str = "REPORT_FAULTY";

/// Answers the call.
pub(super) async fn call(
    imports: &Arc<ReportImports>,
    audited: &Audited,
    request: Request<Streaming<pb::ImportReportRequest>>,
) -> Result<Response<pb::ImportReportResponse>, Status> {
    let (metadata, extensions, mut parts) = request.into_parts();
    let first = parts.message().await?.and_then(|first| first.part);
    let file = match first {
        Some(Part::File(file)) => file,
        // All that is mandatory is missing then, which the caller is told.
        Some(Part::Chunk(_)) | None => pb::ReportFile::default(),
    };
    let request = Request::from_parts(metadata, extensions, file);
    let (call, mut given) = read_call(
        request,
        |findings, request| {
            let host_id = read::host_id(findings, &request.host_id);
            let name = read::file_name(findings, &request.name);
            let date = match request.business_date.as_str() {
                "" => Some(None),
                date => read::business_date(findings, date).map(Some),
            };
            let sha256 = read::sha256(findings, &request.sha256);
            Some(GivenReport {
                host_id: host_id?,
                name: name?,
                business_date: date?,
                sha256: sha256?,
                amends: request.amends,
                cycle: (request.cycle != 0).then(|| request.cycle.into()),
                operator: String::new(),
            })
        },
        |given| match given.amends {
            true => format!("{} {} AMENDS", given.host_id, given.name),
            false => format!("{} {}", given.host_id, given.name),
        },
    )?;
    given.operator.clone_from(&call.caller.name);
    let imports = Arc::clone(imports);
    let effect = Box::pin(async move {
        let chunks = chunks(parts, |message| match message.part {
            Some(Part::Chunk(bytes)) => Some(bytes),
            _ => None,
        });
        match Box::pin(imports.take_in(given, chunks)).await {
            Ok(done) => Ok((imported(&done), AuditOutcome::Done)),
            Err(ImportError::Report(error)) => match faulty(&error) {
                Some(answer) => Ok((answer, AuditOutcome::Failed(FAULTY.to_owned()))),
                None => Err(Refusal::not_done(&error)),
            },
            Err(error) => Err(refusal(&error)),
        }
    });
    audited.perform(call, effect).await
}

fn refusal(error: &ImportError) -> Refusal {
    match error {
        ImportError::NoHost(_) => Refusal::HostNotFound,
        ImportError::NoReports(_) => Refusal::ReportsNotTaken,
        ImportError::NotClosed { .. } => Refusal::DayNotClosed,
        ImportError::Closing { .. } => Refusal::DayClosing,
        ImportError::NoDate => Refusal::ReportDateMissing,
        ImportError::Cycle { .. } => Refusal::ReportCycleWrong,
        ImportError::AnotherReport { .. } => Refusal::ReportApplied,
        ImportError::Replaced { .. } => Refusal::ReportReplaced,
        ImportError::Funded { .. } => Refusal::BatchesFunded,
        ImportError::OtherFile | ImportError::Spool(SpoolError::Cut(_) | SpoolError::TooLarge) => {
            Refusal::FileIncomplete
        }
        ImportError::Busy
        | ImportError::Report(_)
        | ImportError::Spool(SpoolError::File { .. })
        | ImportError::Interrupted(_)
        | ImportError::Chargeback(_)
        | ImportError::Correction(_)
        | ImportError::End(_)
        | ImportError::Store(_) => Refusal::not_done(error),
    }
}
