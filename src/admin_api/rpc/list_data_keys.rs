//! ListDataKeys: the data keys, page by page. A page token is the version of the last key of a page.

use tonic::{Request, Response, Status};

use crate::admin_api::read::page_token;
use crate::admin_api::show::data_key::data_key;
use crate::admin_api::{gate, pb};
use crate::grpc::page::{cut, page_size};
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::operations::card_custody::CardCustody;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    custody: &CardCustody,
    request: &Request<pb::ListDataKeysRequest>,
) -> Result<Response<pb::ListDataKeysResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let request = request.get_ref();
    let mut findings = Findings::default();
    let size = page_size(&mut findings, request.page_size);
    let before = page_token(&mut findings, &request.page_token);
    let (size, before) = findings
        .finish(size.zip(before))
        .map_err(of_invalid_request)?;
    let keys = custody.keys(size + 1, before).await;
    let keys = keys.map_err(|error| of_unavailable(&error))?;
    let (keys, next_page_token) = cut(keys, size, |last| last.key_version.to_string());
    Ok(Response::new(pb::ListDataKeysResponse {
        data_keys: keys.into_iter().map(data_key).collect(),
        next_page_token,
    }))
}
