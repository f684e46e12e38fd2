//! ListOperations: the exchanges with banks on behalf of one payment.

use tonic::{Request, Response, Status};

use super::views::settled;
use crate::grpc::page::cut;
use crate::grpc::status;
use crate::merchant_api::pb;
use crate::merchant_api::read::list::PartsList;
use crate::merchant_api::show::errors;
use crate::merchant_api::show::operation::operation;
use crate::merchant_api::transport::gate;
use crate::payment::ids::OperationId;
use crate::payment::record::Operation;
use crate::random::HashMap;
use crate::store::Store;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: Request<pb::ListOperationsRequest>,
) -> Result<Response<pb::ListOperationsResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let request = request.get_ref();
    let page = (request.page_size, &*request.page_token);
    let list = PartsList::<OperationId>::read("operations", &request.payment_id, page);
    let list = list.map_err(status::of_invalid_request)?;
    let unread = |error| status::of_unavailable(&error);
    let payment = store.payment(&merchant.id, list.payment_id).await;
    payment
        .map_err(unread)?
        .ok_or_else(errors::payment_not_found)?;
    // Ids sort by the time at which they were given.
    let operations = store.list_operations(list.payment_id, list.page_size + 1, list.after);
    let operations = operations.await.map_err(unread)?;
    let (operations, next_page_token) = cut(operations, list.page_size, |last| {
        list.page_tokens.write(last.id)
    });
    let ids: Vec<OperationId> = operations.iter().map(|it| it.id).collect();
    let late = store.late_responses_of(&ids).await.map_err(unread)?;
    // The last of each operation.
    let mut late: HashMap<_, _> = late.into_iter().map(|it| (it.operation_id, it)).collect();
    let with_late = |found: Operation| {
        let late = late.remove(&found.id);
        (found.id, operation(found, late))
    };
    let shown = operations.into_iter().map(with_late).collect();
    Ok(Response::new(pb::ListOperationsResponse {
        operations: settled(store, shown).await.map_err(unread)?,
        next_page_token,
    }))
}
