//! ListReconciliationRuns: the comparisons with reports that covered the caller, page by page.

use tonic::{Request, Response, Status};

use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::merchant_api::pb;
use crate::merchant_api::read::list::FilteredList;
use crate::merchant_api::show::discrepancy::run;
use crate::merchant_api::transport::gate;
use crate::payment::ids::ImportId;
use crate::store::Store;
use crate::store::records::settlement::RunFilter;

type List = FilteredList<RunFilter, ImportId>;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: Request<pb::ListReconciliationRunsRequest>,
) -> Result<Response<pb::ListReconciliationRunsResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let request = request.get_ref();
    let conditions = (&*request.filter, &*request.order_by);
    let page = (request.page_size, &*request.page_token);
    let list = List::read("reconciliation runs", conditions, page).map_err(of_invalid_request)?;
    let found = store.report_runs(
        &merchant.id,
        &list.filter,
        list.order,
        list.page_size,
        list.after,
    );
    let found = found.await.map_err(|error| of_unavailable(&error))?;
    Ok(Response::new(pb::ListReconciliationRunsResponse {
        reconciliation_runs: found.items.iter().map(run).collect(),
        next_page_token: list.next_page_token(found.next),
    }))
}
