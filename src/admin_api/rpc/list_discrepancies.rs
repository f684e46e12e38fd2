//! ListDiscrepancies: what banks have otherwise, page by page.

use tonic::{Request, Response, Status};

use crate::admin_api::read::{bank_account, business_date, host_id, page_token};
use crate::admin_api::show::discrepancy::discrepancy;
use crate::admin_api::{gate, pb};
use crate::grpc::page::page_size;
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::{Findings, length_of};
use crate::payment::account_finding::AccountFindingKind;
use crate::payment::difference::DifferenceKind;
use crate::payment::discrepancy::DiscrepancyState;
use crate::reconciliation::discrepancies::Discrepancies;
use crate::store::records::callers::OperatorRole;
use crate::store::records::settlement::DiscrepancyFilter;

/// Answers the call.
pub(super) async fn call(
    discrepancies: &Discrepancies,
    request: &Request<pb::ListDiscrepanciesRequest>,
) -> Result<Response<pb::ListDiscrepanciesResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let request = request.get_ref();
    let mut findings = Findings::default();
    let found = &mut findings;
    let filter = filter(found, request);
    let size = page_size(found, request.page_size);
    let after = page_token::<String>(found, &request.page_token);
    let read = filter.zip(size).zip(after);
    let ((filter, size), after) = findings.finish(read).map_err(of_invalid_request)?;
    let page = discrepancies.list(&filter, size, after.as_ref());
    let page = page.await.map_err(|error| of_unavailable(&error))?;
    Ok(Response::new(pb::ListDiscrepanciesResponse {
        discrepancies: page.items.iter().map(discrepancy).collect(),
        next_page_token: page.next.unwrap_or_default(),
    }))
}

fn filter(
    findings: &mut Findings,
    request: &pb::ListDiscrepanciesRequest,
) -> Option<DiscrepancyFilter> {
    let host = optional(&request.host_id, |text| host_id(findings, text));
    let date = optional(&request.business_date, |text| business_date(findings, text));
    let account = optional(&request.account, |text| bank_account(findings, text));
    let kinds = optional(&request.kind, |text| {
        // A name may be of both books.
        let in_report = DifferenceKind::from_discrepancy_name(text);
        let on_account = AccountFindingKind::from_discrepancy_name(text);
        let kinds = match (in_report, on_account) {
            (None, None) => Err(length_of(text)),
            kinds => Ok(kinds),
        };
        findings.keep("kind", "the name of a kind, such as AMOUNT_DIFFERS", kinds)
    });
    let state = optional(&request.state, |text| {
        let state = DiscrepancyState::from_name(text).ok_or_else(|| length_of(text));
        findings.keep("state", "the name of a state, such as OPEN", state)
    });
    let (kind, account_kind) = kinds?.unwrap_or_default();
    Some(DiscrepancyFilter {
        is_open: !request.all && request.state.is_empty(),
        host_id: host?,
        business_date: date?,
        kind,
        account_kind,
        account: account?,
        state: state?,
        ..DiscrepancyFilter::default()
    })
}

/// Reads what may be left out: `Some(None)` where it is.
fn optional<T>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    match text {
        "" => Some(None),
        text => read(text).map(Some),
    }
}
