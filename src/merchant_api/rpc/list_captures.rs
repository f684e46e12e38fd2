//! ListCaptures: the captures of one payment.

use tonic::{Request, Response, Status};

use super::views::PaymentViews;
use crate::grpc::page::cut;
use crate::grpc::status;
use crate::merchant_api::pb;
use crate::merchant_api::read::list::PartsList;
use crate::merchant_api::show::errors;
use crate::merchant_api::transport::gate;

/// Answers the call.
pub(super) async fn call(
    views: &PaymentViews,
    request: Request<pb::ListCapturesRequest>,
) -> Result<Response<pb::ListCapturesResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let request = request.get_ref();
    let page = (request.page_size, &*request.page_token);
    let list = PartsList::read("captures", &request.payment_id, page);
    let list = list.map_err(status::of_invalid_request)?;
    let payment = views.store.payment(&merchant.id, list.payment_id).await;
    payment
        .map_err(|error| status::of_unavailable(&error))?
        .ok_or_else(errors::payment_not_found)?;
    let store = &views.store;
    let found = store.captures_of(list.payment_id, list.page_size + 1, list.after);
    let found = found
        .await
        .map_err(|error| status::of_unavailable(&error))?;
    let (found, next_page_token) = cut(found, list.page_size, |(last, _)| {
        list.page_tokens.write(last.id)
    });
    let shown = views.captures(found).await;
    Ok(Response::new(pb::ListCapturesResponse {
        captures: shown.map_err(|error| status::of_unavailable(&error))?,
        next_page_token,
    }))
}
