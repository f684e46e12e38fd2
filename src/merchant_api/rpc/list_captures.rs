//! ListCaptures: the captures of one payment.

use tonic::{Request, Response, Status};

use super::views::PaymentViews;
use crate::grpc::page::page_size;
use crate::grpc::status;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::read::id::payment_id;
use crate::merchant_api::read::page_token::PageTokens;
use crate::merchant_api::show::errors;
use crate::merchant_api::transport::gate;
use crate::payment::ids::{CaptureId, PaymentId};

/// Answers the call.
pub(super) async fn call(
    views: &PaymentViews,
    request: Request<pb::ListCapturesRequest>,
) -> Result<Response<pb::ListCapturesResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let list = read(request.get_ref()).map_err(status::of_invalid_request)?;
    let payment = views.store.payment(&merchant.id, list.payment_id).await;
    payment
        .map_err(|error| status::of_unavailable(&error))?
        .ok_or_else(errors::payment_not_found)?;
    // One more than asked for, to know whether there is another page.
    let store = &views.store;
    let found = store.captures_of(list.payment_id, list.page_size + 1, list.after);
    let mut found = found
        .await
        .map_err(|error| status::of_unavailable(&error))?;
    let is_last = found.len() <= list.page_size;
    found.truncate(list.page_size);
    let next = found
        .last()
        .filter(|_| !is_last)
        .map(|(last, _)| list.page_tokens.write(last.id));
    let shown = found
        .into_iter()
        .map(|(found, operation)| views.capture(found, &operation));
    Ok(Response::new(pb::ListCapturesResponse {
        captures: shown.collect(),
        next_page_token: next.unwrap_or_default(),
    }))
}

/// A checked ListCapturesRequest.
struct List {
    payment_id: PaymentId,
    page_size: usize,
    /// The last capture of the page before.
    after: Option<CaptureId>,
    page_tokens: PageTokens,
}

fn read(request: &pb::ListCapturesRequest) -> Result<List, InvalidRequest> {
    let mut findings = Findings::default();
    let found = &mut findings;
    let payment_id = payment_id(found, &request.payment_id);
    let page_size = page_size(found, request.page_size);
    let page_tokens = PageTokens::new("captures", &request.payment_id);
    let after = page_tokens.read(found, &request.page_token);
    let read = (|| {
        Some(List {
            payment_id: payment_id?,
            page_size: page_size?,
            after: after?,
            page_tokens,
        })
    })();
    findings.finish(read)
}
