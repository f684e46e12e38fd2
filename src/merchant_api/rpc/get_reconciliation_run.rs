//! GetReconciliationRun: one comparison with a bank's report.

use tonic::{Request, Response, Status};

use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::merchant_api::pb;
use crate::merchant_api::read::id::run_id;
use crate::merchant_api::show::discrepancy::run;
use crate::merchant_api::show::errors;
use crate::merchant_api::transport::gate;
use crate::store::Store;
use crate::store::records::lists::ListOrder;
use crate::store::records::settlement::RunFilter;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: Request<pb::GetReconciliationRunRequest>,
) -> Result<Response<pb::GetReconciliationRunResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let mut findings = Findings::default();
    let id = run_id(&mut findings, &request.get_ref().run_id);
    let id = findings.finish(id).map_err(of_invalid_request)?;
    let this = RunFilter {
        import_id: Some(id),
        ..RunFilter::default()
    };
    let found = store.report_runs(&merchant.id, &this, ListOrder::NewestFirst, 1, None);
    let found = found.await.map_err(|error| of_unavailable(&error))?;
    let found = found.items.first().ok_or_else(errors::run_not_found)?;
    Ok(Response::new(pb::GetReconciliationRunResponse {
        reconciliation_run: Some(run(found)),
    }))
}
