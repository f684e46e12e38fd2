//! ListSettlementBatches: the caller's batches, page by page.

use tonic::{Request, Response, Status};

use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::merchant_api::pb;
use crate::merchant_api::read::list::FilteredList;
use crate::merchant_api::show::settlement::batch;
use crate::merchant_api::transport::gate;
use crate::store::Store;
use crate::store::records::settlement::{BatchCursor, BatchFilter};

type List = FilteredList<BatchFilter, BatchCursor>;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: Request<pb::ListSettlementBatchesRequest>,
) -> Result<Response<pb::ListSettlementBatchesResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let request = request.get_ref();
    let conditions = (&*request.filter, &*request.order_by);
    let page = (request.page_size, &*request.page_token);
    let list = List::read("settlement batches", conditions, page).map_err(of_invalid_request)?;
    let found = store.list_settlement_batches(
        &merchant.id,
        &list.filter,
        list.order,
        list.page_size,
        list.after,
    );
    let found = found.await.map_err(|error| of_unavailable(&error))?;
    Ok(Response::new(pb::ListSettlementBatchesResponse {
        settlement_batches: found.items.iter().map(batch).collect(),
        next_page_token: list.next_page_token(found.next),
    }))
}
