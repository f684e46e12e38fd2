//! ListDifferences: what the report of a closed day has otherwise, page by page.

use tonic::{Request, Response, Status};

use super::list_totals::refusal;
use crate::admin_api::read::{business_date, host_id, page_token};
use crate::admin_api::show::report::difference;
use crate::admin_api::{gate, pb};
use crate::grpc::page::{cut, page_size};
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::settlement::agreement::{Agreement, TotalsError};
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    agreement: &Agreement,
    request: &Request<pb::ListDifferencesRequest>,
) -> Result<Response<pb::ListDifferencesResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let request = request.get_ref();
    let mut findings = Findings::default();
    let host_id = host_id(&mut findings, &request.host_id);
    let date = business_date(&mut findings, &request.business_date);
    let size = page_size(&mut findings, request.page_size);
    let after = page_token::<String>(&mut findings, &request.page_token);
    let read = host_id.zip(date).zip(size).zip(after);
    let (((host_id, date), size), after) = findings.finish(read).map_err(of_invalid_request)?;
    let after = after.unwrap_or_default();
    let found = agreement.differences(host_id, date, size + 1, &after).await;
    let found = found.map_err(|error| match error {
        TotalsError::Store(error) => of_unavailable(&error),
        error => refusal(&error).status(),
    })?;
    let (found, next_page_token) = cut(found, size, |(id, _)| id.clone());
    Ok(Response::new(pb::ListDifferencesResponse {
        differences: found.iter().map(|(_, found)| difference(found)).collect(),
        next_page_token,
    }))
}
