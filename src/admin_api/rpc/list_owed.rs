//! ListOwed: what is owed, page by page. A page token is the id of the last entry of a page.

use tonic::{Request, Response, Status};

use crate::admin_api::show::owed::owed;
use crate::admin_api::{gate, pb, read};
use crate::grpc::page::{cut, page_size};
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::store::Store;
use crate::store::reads::owed::OwedFilter;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: &Request<pb::ListOwedRequest>,
) -> Result<Response<pb::ListOwedResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let request = request.get_ref();
    let mut findings = Findings::default();
    let size = page_size(&mut findings, request.page_size);
    let after = read::page_token(&mut findings, &request.page_token);
    let host_id = match request.host_id.as_str() {
        "" => Some(None),
        text => read::host_id(&mut findings, text).map(Some),
    };
    let read = size.zip(after).zip(host_id);
    let ((size, after), host_id) = findings.finish(read).map_err(of_invalid_request)?;
    let filter = OwedFilter {
        host_id,
        suspended_only: request.suspended_only,
    };
    let found = store.list_owed(&filter, size + 1, after).await;
    let found = found.map_err(|error| of_unavailable(&error))?;
    let (found, next_page_token) = cut(found, size, |last| last.id.to_string());
    Ok(Response::new(pb::ListOwedResponse {
        owed: found.iter().map(owed).collect(),
        next_page_token,
    }))
}
