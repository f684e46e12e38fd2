//! ListTotals: the totals of a closed day, page by page.

use tonic::{Request, Response, Status};

use crate::admin_api::read::{business_date, host_id, page_token};
use crate::admin_api::show::business_day::totals;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::{gate, pb};
use crate::grpc::page::{cut, page_size};
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::settlement::agreement::{Agreement, TotalsError};
use crate::store::records::callers::OperatorRole;
use crate::store::records::settlement::TotalsCursor;

/// Answers the call.
pub(super) async fn call(
    agreement: &Agreement,
    request: &Request<pb::ListTotalsRequest>,
) -> Result<Response<pb::ListTotalsResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let request = request.get_ref();
    let mut findings = Findings::default();
    let host_id = host_id(&mut findings, &request.host_id);
    let date = business_date(&mut findings, &request.business_date);
    let size = page_size(&mut findings, request.page_size);
    let after = page_token::<TotalsCursor>(&mut findings, &request.page_token);
    let read = host_id.zip(date).zip(size).zip(after);
    let (((host_id, date), size), after) = findings.finish(read).map_err(of_invalid_request)?;
    let found = agreement.totals(host_id, date, size + 1, after).await;
    let found = found.map_err(|error| match error {
        TotalsError::Store(error) => of_unavailable(&error),
        error => refusal(&error).status(),
    })?;
    let (found, next_page_token) = cut(found, size, |last| TotalsCursor::of(last).to_string());
    Ok(Response::new(pb::ListTotalsResponse {
        totals: found.iter().map(totals).collect(),
        next_page_token,
    }))
}

/// Why there are no such totals.
pub(super) fn refusal(error: &TotalsError) -> Refusal {
    match error {
        TotalsError::NoHost(_) => Refusal::HostNotFound,
        TotalsError::NotClosed { .. } => Refusal::DayNotClosed,
        TotalsError::Closing { .. } => Refusal::DayClosing,
        TotalsError::Store(error) => Refusal::not_done(error),
    }
}
