//! ListBusinessDays: the days of a host, page by page. A page token is the date of the last day of a page.

use tonic::{Request, Response, Status};

use crate::admin_api::read::{host_id, page_token};
use crate::admin_api::show::business_day::business_day;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::{gate, pb};
use crate::grpc::page::{cut, page_size};
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::settlement::days::BusinessDays;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    days: &BusinessDays,
    request: &Request<pb::ListBusinessDaysRequest>,
) -> Result<Response<pb::ListBusinessDaysResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let request = request.get_ref();
    let mut findings = Findings::default();
    let host_id = host_id(&mut findings, &request.host_id);
    let size = page_size(&mut findings, request.page_size);
    let before = page_token(&mut findings, &request.page_token);
    let read = host_id.zip(size).zip(before);
    let ((host_id, size), before) = findings.finish(read).map_err(of_invalid_request)?;
    let found = days.days(host_id, size + 1, before).await;
    let found = found.map_err(|error| of_unavailable(&error))?;
    let found = found.ok_or_else(|| Refusal::HostNotFound.status())?;
    let (found, next_page_token) = cut(found, size, |last| last.day.date.to_string());
    Ok(Response::new(pb::ListBusinessDaysResponse {
        business_days: found.iter().map(business_day).collect(),
        next_page_token,
    }))
}
