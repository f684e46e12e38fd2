//! ListBalanceEntries: what changed what the merchant is owed, page by page.

use tonic::{Request, Response, Status};

use crate::grpc::page::{cut, page_size};
use crate::grpc::status;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::read::filter;
use crate::merchant_api::read::order::order_by;
use crate::merchant_api::read::page_token::PageTokens;
use crate::merchant_api::show::balance::balance_entry;
use crate::merchant_api::transport::gate;
use crate::store::Store;
use crate::store::reads::balances::EntryFilter;
use crate::store::records::ListOrder;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: Request<pb::ListBalanceEntriesRequest>,
) -> Result<Response<pb::ListBalanceEntriesResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let list = read(request.get_ref()).map_err(status::of_invalid_request)?;
    let found = store
        .balance_entries(
            &merchant.id,
            &list.filter,
            list.order,
            list.page_size + 1,
            list.after.as_deref(),
        )
        .await
        .map_err(|error| status::of_unavailable(&error))?;
    let (found, next_page_token) = cut(found, list.page_size, |last| {
        list.page_tokens.write(&last.journal_id)
    });
    Ok(Response::new(pb::ListBalanceEntriesResponse {
        entries: found.into_iter().map(balance_entry).collect(),
        next_page_token,
    }))
}

/// A checked ListBalanceEntriesRequest.
struct List {
    filter: EntryFilter,
    order: ListOrder,
    page_size: usize,
    /// The last journal of the page before.
    after: Option<String>,
    page_tokens: PageTokens,
}

fn read(request: &pb::ListBalanceEntriesRequest) -> Result<List, InvalidRequest> {
    let mut findings = Findings::default();
    let found = &mut findings;
    let page_size = page_size(found, request.page_size);
    let filter = filter::read(found, &request.filter);
    let order = order_by(found, &request.order_by);
    let page_tokens = PageTokens::new(
        match order.unwrap_or_default() {
            ListOrder::NewestFirst => "balance entries, newest first",
            ListOrder::OldestFirst => "balance entries, oldest first",
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
