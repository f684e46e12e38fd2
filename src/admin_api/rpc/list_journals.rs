//! ListJournals: journals with their lines, page by page. A page token is the position of the last one of a page.

use tonic::{Request, Response, Status};

use crate::admin_api::show::ledger::journal;
use crate::admin_api::{gate, pb, read};
use crate::grpc::page::{cut, page_size};
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::store::Store;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: &Request<pb::ListJournalsRequest>,
) -> Result<Response<pb::ListJournalsResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let request = request.get_ref();
    let mut findings = Findings::default();
    let size = page_size(&mut findings, request.page_size);
    let after = read::page_token(&mut findings, &request.page_token);
    let payment_id = match request.payment_id.as_str() {
        "" => Some(None),
        text => read::payment_id(&mut findings, text).map(Some),
    };
    let read = size.zip(after).zip(payment_id);
    let ((size, after), payment_id) = findings.finish(read).map_err(of_invalid_request)?;
    let found = store.journals_after(payment_id, after.unwrap_or(0), size + 1);
    let found = found.await.map_err(|error| of_unavailable(&error))?;
    let (found, next_page_token) = cut(found, size, |last| last.position.to_string());
    Ok(Response::new(pb::ListJournalsResponse {
        journals: found.into_iter().map(journal).collect(),
        next_page_token,
    }))
}
