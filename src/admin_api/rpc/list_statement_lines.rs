//! ListStatementLines: the lines of a bank account, page by page.

use tonic::{Request, Response, Status};

use super::import_statement::refusal;
use crate::admin_api::read::{bank_account, page_token};
use crate::admin_api::show::bank_statement::line;
use crate::admin_api::{gate, pb};
use crate::grpc::page::{cut, page_size};
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::reconciliation::statement_imports::StatementImports;
use crate::store::Store;
use crate::store::records::callers::OperatorRole;
use crate::store::records::statements::LinePlace;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    imports: &StatementImports,
    request: &Request<pb::ListStatementLinesRequest>,
) -> Result<Response<pb::ListStatementLinesResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let request = request.get_ref();
    let mut findings = Findings::default();
    let account = bank_account(&mut findings, &request.account);
    let size = page_size(&mut findings, request.page_size);
    let after = page_token::<LinePlace>(&mut findings, &request.page_token);
    let read = account.zip(size).zip(after);
    let ((account, size), after) = findings.finish(read).map_err(of_invalid_request)?;
    let known = imports.account(account).map(drop);
    known.map_err(|error| refusal(&error).status())?;
    let found = store.bank_lines(account, request.only_open, size + 1, after.as_ref());
    let found = found.await.map_err(|error| of_unavailable(&error))?;
    let (found, next_page_token) = cut(found, size, |it| LinePlace::of(it).to_string());
    Ok(Response::new(pb::ListStatementLinesResponse {
        lines: found.iter().map(line).collect(),
        next_page_token,
    }))
}
