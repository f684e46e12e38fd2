//! ListRefunds: a merchant's refunds, page by page.

use tonic::{Request, Response, Status};

use crate::grpc::page::page_size;
use crate::grpc::status;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::read::filter;
use crate::merchant_api::read::order::order_by;
use crate::merchant_api::read::page_token::PageTokens;
use crate::merchant_api::show::refund::refund;
use crate::merchant_api::transport::gate;
use crate::store::Store;
use crate::store::records::{ListOrder, RefundCursor, RefundFilter};

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: Request<pb::ListRefundsRequest>,
) -> Result<Response<pb::ListRefundsResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let list = read(request.get_ref()).map_err(status::of_invalid_request)?;
    // One more than asked for, to know whether there is another page.
    let found = store.list_refunds(
        &merchant.id,
        &list.filter,
        list.order,
        list.page_size + 1,
        list.after,
    );
    let mut found = found
        .await
        .map_err(|error| status::of_unavailable(&error))?;
    let is_last = found.len() <= list.page_size;
    found.truncate(list.page_size);
    let next = found.last().filter(|_| !is_last).map(|(last, _)| {
        list.page_tokens.write(RefundCursor {
            created_at: last.created_at,
            id: last.id,
        })
    });
    let shown = found
        .into_iter()
        .map(|(found, operation)| refund(found, &operation));
    Ok(Response::new(pb::ListRefundsResponse {
        refunds: shown.collect(),
        next_page_token: next.unwrap_or_default(),
    }))
}

/// A checked ListRefundsRequest.
struct List {
    filter: RefundFilter,
    order: ListOrder,
    page_size: usize,
    /// The last refund of the page before.
    after: Option<RefundCursor>,
    page_tokens: PageTokens,
}

fn read(request: &pb::ListRefundsRequest) -> Result<List, InvalidRequest> {
    let mut findings = Findings::default();
    let found = &mut findings;
    let page_size = page_size(found, request.page_size);
    let filter = filter::read(found, &request.filter);
    let order = order_by(found, &request.order_by);
    let page_tokens = PageTokens::new(
        match order.unwrap_or_default() {
            ListOrder::NewestFirst => "refunds, newest first",
            ListOrder::OldestFirst => "refunds, oldest first",
        },
        &request.filter,
    );
    let after = page_tokens.read(found, &request.page_token);
    let read = (|| {
        Some(List {
            filter: filter?,
            order: order?,
            page_size: page_size?,
            after: after?,
            page_tokens,
        })
    })();
    findings.finish(read)
}
