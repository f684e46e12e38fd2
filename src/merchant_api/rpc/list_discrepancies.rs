//! ListDiscrepancies: the caller's discrepancies, page by page.

use tonic::{Request, Response, Status};

use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::merchant_api::pb;
use crate::merchant_api::read::list::FilteredList;
use crate::merchant_api::show::discrepancy::discrepancy;
use crate::merchant_api::transport::gate;
use crate::store::Store;
use crate::store::records::settlement::DiscrepancyFilter;

type List = FilteredList<DiscrepancyFilter, String>;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: Request<pb::ListDiscrepanciesRequest>,
) -> Result<Response<pb::ListDiscrepanciesResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let request = request.get_ref();
    let conditions = (&*request.filter, &*request.order_by);
    let page = (request.page_size, &*request.page_token);
    let list = List::read("discrepancies", conditions, page).map_err(of_invalid_request)?;
    let found = store.list_discrepancies(
        Some(&merchant.id),
        &list.filter,
        list.order,
        list.page_size,
        list.after.as_ref(),
    );
    let found = found.await.map_err(|error| of_unavailable(&error))?;
    Ok(Response::new(pb::ListDiscrepanciesResponse {
        discrepancies: found.items.iter().map(discrepancy).collect(),
        next_page_token: list.next_page_token(found.next),
    }))
}
