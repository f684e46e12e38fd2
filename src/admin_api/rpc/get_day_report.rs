//! GetDayReport: what the report of a closed day has said.

use tonic::{Request, Response, Status};

use super::list_totals::refusal;
use crate::admin_api::read::{business_date, host_id};
use crate::admin_api::show::report::day_report;
use crate::admin_api::{gate, pb};
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::settlement::agreement::{Agreement, TotalsError};
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    agreement: &Agreement,
    request: &Request<pb::GetDayReportRequest>,
) -> Result<Response<pb::GetDayReportResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let request = request.get_ref();
    let mut findings = Findings::default();
    let host_id = host_id(&mut findings, &request.host_id);
    let date = business_date(&mut findings, &request.business_date);
    let (host_id, date) = findings
        .finish(host_id.zip(date))
        .map_err(of_invalid_request)?;
    let found = agreement.report(host_id, date).await;
    let found = found.map_err(|error| match error {
        TotalsError::Store(error) => of_unavailable(&error),
        error => refusal(&error).status(),
    })?;
    Ok(Response::new(
        found.as_ref().map(day_report).unwrap_or_default(),
    ))
}
