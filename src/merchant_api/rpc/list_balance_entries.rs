//! ListBalanceEntries: what changed what the merchant is owed, page by page.

use tonic::{Request, Response, Status};

use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::merchant_api::pb;
use crate::merchant_api::read::list::FilteredList;
use crate::merchant_api::show::balance::balance_entry;
use crate::merchant_api::transport::gate;
use crate::store::Store;
use crate::store::reads::balances::EntryFilter;

type List = FilteredList<EntryFilter, String>;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: Request<pb::ListBalanceEntriesRequest>,
) -> Result<Response<pb::ListBalanceEntriesResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let request = request.get_ref();
    let conditions = (&*request.filter, &*request.order_by);
    let page = (request.page_size, &*request.page_token);
    let list = List::read("balance entries", conditions, page).map_err(of_invalid_request)?;
    let found = store
        .balance_entries(
            &merchant.id,
            &list.filter,
            list.order,
            list.page_size,
            list.after.as_deref(),
        )
        .await
        .map_err(|error| of_unavailable(&error))?;
    Ok(Response::new(pb::ListBalanceEntriesResponse {
        entries: found.items.into_iter().map(balance_entry).collect(),
        next_page_token: list.next_page_token(found.next),
    }))
}
