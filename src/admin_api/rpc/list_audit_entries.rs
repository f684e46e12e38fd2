//! ListAuditEntries: the audit trail, page by page. A page token is the id of the last entry of a page.

use tonic::{Request, Response, Status};

use crate::admin_api::show::audit::entry;
use crate::admin_api::{gate, pb};
use crate::grpc::page::page_size;
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::{Findings, length_of};
use crate::payment::ids::AuditId;
use crate::store::Store;
use crate::store::records::{AuditFilter, OperatorRole};

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
    // One more than asked for tells whether there is a next page.
    let entries = store
        .list_audit(&AuditFilter::default(), size + 1, after)
        .await;
    let mut entries = entries.map_err(|error| of_unavailable(&error))?;
    let more = entries.len() > size;
    entries.truncate(size);
    let next_page_token = match entries.last() {
        Some(last) if more => last.id.to_string(),
        _ => String::new(),
    };
    Ok(Response::new(pb::ListAuditEntriesResponse {
        entries: entries.into_iter().map(entry).collect(),
        next_page_token,
    }))
}

/// `Some(None)` for the first page.
fn page_token(findings: &mut Findings, text: &str) -> Option<Option<AuditId>> {
    if text.is_empty() {
        return Some(None);
    }
    if !findings.no_clear_card("page_token", text) {
        return None;
    }
    let read = text.parse().map_err(|_| length_of(text));
    let token = findings.keep("page_token", "the next_page_token of the page before", read);
    token.map(Some)
}
