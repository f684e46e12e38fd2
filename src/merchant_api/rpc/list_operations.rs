//! ListOperations: the exchanges with banks on behalf of one payment.

use tonic::{Request, Response, Status};

use crate::grpc::page::page_size;
use crate::grpc::status;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::read::id::payment_id;
use crate::merchant_api::read::page_token::PageTokens;
use crate::merchant_api::show::errors;
use crate::merchant_api::show::operation::operation;
use crate::merchant_api::transport::gate;
use crate::payment::ids::{MerchantId, OperationId, PaymentId};
use crate::payment::record::Operation;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::KeptLateResponse;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: Request<pb::ListOperationsRequest>,
) -> Result<Response<pb::ListOperationsResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let list = read(request.get_ref()).map_err(status::of_invalid_request)?;
    let mut operations = operations(store, &merchant.id, list.payment_id)
        .await
        .map_err(|error| status::of_unavailable(&error))?
        .ok_or_else(errors::payment_not_found)?;
    // Ids sort by the time at which they were given.
    operations.sort_by_key(|(operation, _)| operation.id);
    if let Some(after) = list.after {
        operations.retain(|(operation, _)| operation.id > after);
    }
    let is_last = operations.len() <= list.page_size;
    operations.truncate(list.page_size);
    let next = operations
        .last()
        .filter(|_| !is_last)
        .map(|(operation, _)| list.page_tokens.write(operation.id));
    let shown = operations
        .into_iter()
        .map(|(found, late)| operation(found, late));
    Ok(Response::new(pb::ListOperationsResponse {
        operations: shown.collect(),
        next_page_token: next.unwrap_or_default(),
    }))
}

/// The exchanges of the merchant's payment with this id, each with the response that came late for it; `None` when
/// the merchant has no such payment.
async fn operations(
    store: &Store,
    merchant_id: &MerchantId,
    id: PaymentId,
) -> Result<Option<Vec<(Operation, Option<KeptLateResponse>)>>, StoreError> {
    if store.payment(merchant_id, id).await?.is_none() {
        return Ok(None);
    }
    let mut operations = Vec::new();
    for operation in store.operations_of(id).await? {
        let late = store.late_response(operation.id).await?;
        operations.push((operation, late));
    }
    Ok(Some(operations))
}

/// A checked ListOperationsRequest.
struct List {
    payment_id: PaymentId,
    page_size: usize,
    /// The last operation of the page before.
    after: Option<OperationId>,
    page_tokens: PageTokens,
}

fn read(request: &pb::ListOperationsRequest) -> Result<List, InvalidRequest> {
    let mut findings = Findings::default();
    let found = &mut findings;
    let payment_id = payment_id(found, &request.payment_id);
    let page_size = page_size(found, request.page_size);
    let page_tokens = PageTokens::new("operations", &request.payment_id);
    let after = page_tokens.read(found, &request.page_token);
    let read = (|| {
        Some(List {
            payment_id: payment_id?,
            page_size: page_size?,
            after: after?,
            page_tokens,
        })
    })();
    findings.finish(read)
}
