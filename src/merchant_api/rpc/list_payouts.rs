//! ListPayouts: the caller's payouts, page by page.

use tonic::{Request, Response, Status};

use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::merchant_api::pb;
use crate::merchant_api::read::list::FilteredList;
use crate::merchant_api::show::payout::payout;
use crate::merchant_api::transport::gate;
use crate::payment::ids::PayoutId;
use crate::store::Store;
use crate::store::merchant_money::{Payout, PayoutFilter};

type List = FilteredList<PayoutFilter, PayoutId>;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: Request<pb::ListPayoutsRequest>,
) -> Result<Response<pb::ListPayoutsResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let request = request.get_ref();
    let conditions = (&*request.filter, &*request.order_by);
    let page = (request.page_size, &*request.page_token);
    let list = List::read("payouts", conditions, page).map_err(of_invalid_request)?;
    let found = store.list_payouts(
        &merchant.id,
        &list.filter,
        list.order,
        list.page_size,
        list.after,
    );
    let found = found.await.map_err(|error| of_unavailable(&error))?;
    let ids: Vec<PayoutId> = found.items.iter().map(|it| it.id).collect();
    let paid = store.batches_paid_by(&ids).await;
    let paid = paid.map_err(|error| of_unavailable(&error))?;
    let shown = |found: &Payout| payout(found, paid.get(&found.id).map_or(&[], |it| it));
    Ok(Response::new(pb::ListPayoutsResponse {
        payouts: found.items.iter().map(shown).collect(),
        next_page_token: list.next_page_token(found.next),
    }))
}
