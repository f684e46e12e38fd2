//! ListSettlementNotes: what is in a batch, page by page.

use tonic::{Request, Response, Status};

use crate::grpc::page::{cut, page_size};
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::merchant_api::pb;
use crate::merchant_api::read::id::batch_id;
use crate::merchant_api::read::page_token::PageTokens;
use crate::merchant_api::show::errors;
use crate::merchant_api::show::settlement::note;
use crate::merchant_api::transport::gate;
use crate::store::Store;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: Request<pb::ListSettlementNotesRequest>,
) -> Result<Response<pb::ListSettlementNotesResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let request = request.get_ref();
    let mut findings = Findings::default();
    let id = batch_id(&mut findings, &request.batch_id);
    let size = page_size(&mut findings, request.page_size);
    let page_tokens = PageTokens::new("settlement notes", &request.batch_id);
    let after = page_tokens.read(&mut findings, &request.page_token);
    let read = id.zip(size).zip(after);
    let ((id, size), after) = findings.finish(read).map_err(of_invalid_request)?;
    let batch = store.noted_batch(&merchant.id, id).await;
    let batch = batch
        .map_err(|error| of_unavailable(&error))?
        .ok_or_else(errors::batch_not_found)?;
    let found = store.settlement_items(&batch.key, size + 1, after).await;
    let found = found.map_err(|error| of_unavailable(&error))?;
    let (found, next_page_token) = cut(found, size, |last| page_tokens.write(last.subject_id));
    let shown = found.into_iter().map(|item| note(&batch, item));
    Ok(Response::new(pb::ListSettlementNotesResponse {
        settlement_notes: shown.collect(),
        next_page_token,
    }))
}
