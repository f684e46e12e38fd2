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
use crate::payment::ids::{OperationId, PaymentId};
use crate::store::Store;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: Request<pb::ListOperationsRequest>,
) -> Result<Response<pb::ListOperationsResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let list = read(request.get_ref()).map_err(status::of_invalid_request)?;
    let unread = |error| status::of_unavailable(&error);
    let payment = store.payment(&merchant.id, list.payment_id).await;
    payment
        .map_err(unread)?
        .ok_or_else(errors::payment_not_found)?;
    let operations = store.operations_of(list.payment_id).await;
    let mut operations = operations.map_err(unread)?;
    // Ids sort by the time at which they were given.
    operations.sort_by_key(|operation| operation.id);
    if let Some(after) = list.after {
        operations.retain(|operation| operation.id > after);
    }
    let is_last = operations.len() <= list.page_size;
    operations.truncate(list.page_size);
    let next = operations
        .last()
        .filter(|_| !is_last)
        .map(|operation| list.page_tokens.write(operation.id));
    let mut shown = Vec::with_capacity(operations.len());
    for found in operations {
        let late = store.late_response(found.id).await.map_err(unread)?;
        shown.push(operation(found, late));
    }
    Ok(Response::new(pb::ListOperationsResponse {
        operations: shown,
        next_page_token: next.unwrap_or_default(),
    }))
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
