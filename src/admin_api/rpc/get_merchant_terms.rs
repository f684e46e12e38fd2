//! GetMerchantTerms: what a merchant pays, when it is paid, and where to.

use tonic::{Request, Response, Status};

use crate::admin_api::read::merchant_id;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::merchant_terms::terms as shown;
use crate::admin_api::{gate, pb};
use crate::grpc::status::of_invalid_request;
use crate::grpc::violations::Findings;
use crate::settlement::merchant_terms::MerchantTerms;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    terms: &MerchantTerms,
    request: &Request<pb::GetMerchantTermsRequest>,
) -> Result<Response<pb::GetMerchantTermsResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let mut findings = Findings::default();
    let merchant = merchant_id(&mut findings, &request.get_ref().merchant_id);
    let merchant = findings.finish(merchant).map_err(of_invalid_request)?;
    let found = terms.terms(&merchant).await;
    let found = found.map_err(|error| Refusal::from(error).status())?;
    Ok(Response::new(pb::GetMerchantTermsResponse {
        merchant_terms: Some(shown(found)),
    }))
}
