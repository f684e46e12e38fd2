//! ListPayoutAccountChanges: the changes of a merchant's account, page by page.

use tonic::{Request, Response, Status};

use crate::admin_api::read::{merchant_id, page_token};
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::merchant_terms::account_change;
use crate::admin_api::{gate, pb};
use crate::grpc::page::{cut, page_size};
use crate::grpc::status::of_invalid_request;
use crate::grpc::violations::Findings;
use crate::settlement::merchant_terms::MerchantTerms;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    terms: &MerchantTerms,
    request: &Request<pb::ListPayoutAccountChangesRequest>,
) -> Result<Response<pb::ListPayoutAccountChangesResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let request = request.get_ref();
    let mut findings = Findings::default();
    let merchant = merchant_id(&mut findings, &request.merchant_id);
    let size = page_size(&mut findings, request.page_size);
    let before = page_token(&mut findings, &request.page_token);
    let read = merchant.zip(size).zip(before);
    let ((merchant, size), before) = findings.finish(read).map_err(of_invalid_request)?;
    let found = terms.account_changes(&merchant, size + 1, before).await;
    let found = found.map_err(|error| Refusal::from(error).status())?;
    let (found, next_page_token) = cut(found, size, |last| last.id.to_string());
    Ok(Response::new(pb::ListPayoutAccountChangesResponse {
        account_changes: found.iter().map(account_change).collect(),
        next_page_token,
    }))
}
