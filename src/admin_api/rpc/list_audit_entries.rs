//! ListAuditEntries: the audit trail, page by page. A page token is the id of the last entry of a page.

use tonic::{Request, Response, Status};

use crate::admin_api::read::page_token;
use crate::admin_api::show::audit::entry;
use crate::admin_api::{gate, pb};
use crate::grpc::page::{cut, page_size};
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::store::Store;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: &Request<pb::ListAuditEntriesRequest>,
) -> Result<Response<pb::ListAuditEntriesResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let request = request.get_ref();
    let mut findings = Findings::default();
    let size = page_size(&mut findings, request.page_size);
    let after = page_token(&mut findings, &request.page_token);
    let (size, after) = findings
        .finish(size.zip(after))
        .map_err(of_invalid_request)?;
    let entries = store.list_audit(size + 1, after).await;
    let entries = entries.map_err(|error| of_unavailable(&error))?;
    let (entries, next_page_token) = cut(entries, size, |last| last.id.to_string());
    Ok(Response::new(pb::ListAuditEntriesResponse {
        entries: entries.into_iter().map(entry).collect(),
        next_page_token,
    }))
}
