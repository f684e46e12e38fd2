//! ListSettlementImports: the reports of all hosts, and how far each has come. A page token is the id of the last one of a
//! page.

use tonic::{Request, Response, Status};

use crate::admin_api::read::page_token;
use crate::admin_api::show::report::settlement_import;
use crate::admin_api::{gate, pb};
use crate::grpc::page::{cut, page_size};
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::store::Store;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: &Request<pb::ListSettlementImportsRequest>,
) -> Result<Response<pb::ListSettlementImportsResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let request = request.get_ref();
    let mut findings = Findings::default();
    let size = page_size(&mut findings, request.page_size);
    let after = page_token(&mut findings, &request.page_token);
    let (size, after) = findings
        .finish(size.zip(after))
        .map_err(of_invalid_request)?;
    let found = store.list_imports(size + 1, after).await;
    let found = found.map_err(|error| of_unavailable(&error))?;
    let (found, next_page_token) = cut(found, size, |last| last.id.to_string());
    let shown = found.iter().map(|import| settlement_import(import, &[]));
    Ok(Response::new(pb::ListSettlementImportsResponse {
        settlement_imports: shown.collect(),
        next_page_token,
    }))
}
