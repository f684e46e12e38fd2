//! ListReportLines: the lines of a report as they came, page by page.

use tonic::{Request, Response, Status};

use crate::admin_api::read::{import_id, page_token};
use crate::admin_api::show::discrepancy::report_line;
use crate::admin_api::{gate, pb};
use crate::grpc::page::page_size;
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::reconciliation::discrepancies::Discrepancies;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    discrepancies: &Discrepancies,
    request: &Request<pb::ListReportLinesRequest>,
) -> Result<Response<pb::ListReportLinesResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let request = request.get_ref();
    let mut findings = Findings::default();
    let found = &mut findings;
    let import = import_id(found, &request.import_id);
    let size = page_size(found, request.page_size);
    let after = page_token::<i64>(found, &request.page_token);
    let read = import.zip(size).zip(after);
    let ((import, size), after) = findings.finish(read).map_err(of_invalid_request)?;
    let found = discrepancies.lines(import, size, after.unwrap_or(0));
    let found = found.await.map_err(|error| of_unavailable(&error))?;
    // A line that is several items comes once for each, so the page is as long as it is.
    let last = found
        .last()
        .map(|(last, _)| last.outcome.number.to_string());
    let lines = found
        .iter()
        .map(|(line, said)| report_line(line, said.as_ref()));
    Ok(Response::new(pb::ListReportLinesResponse {
        next_page_token: last.filter(|_| found.len() >= size).unwrap_or_default(),
        lines: lines.collect(),
    }))
}
