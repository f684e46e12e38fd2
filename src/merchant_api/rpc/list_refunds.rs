//! ListRefunds: a merchant's refunds, page by page.

use tonic::{Request, Response, Status};

use super::views::settled;
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::merchant_api::pb;
use crate::merchant_api::read::list::FilteredList;
use crate::merchant_api::show::refund::refund;
use crate::merchant_api::transport::gate;
use crate::store::Store;
use crate::store::records::lists::{RefundCursor, RefundFilter};

type List = FilteredList<RefundFilter, RefundCursor>;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: Request<pb::ListRefundsRequest>,
) -> Result<Response<pb::ListRefundsResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let request = request.get_ref();
    let conditions = (&*request.filter, &*request.order_by);
    let page = (request.page_size, &*request.page_token);
    let list = List::read("refunds", conditions, page).map_err(of_invalid_request)?;
    let found = store.list_refunds(
        &merchant.id,
        &list.filter,
        list.order,
        list.page_size,
        list.after,
    );
    let found = found.await.map_err(|error| of_unavailable(&error))?;
    let shown = found
        .items
        .into_iter()
        .map(|(found, operation)| (operation.id, refund(found, &operation)));
    let shown = settled(store, shown.collect()).await;
    Ok(Response::new(pb::ListRefundsResponse {
        refunds: shown.map_err(|error| of_unavailable(&error))?,
        next_page_token: list.next_page_token(found.next),
    }))
}
