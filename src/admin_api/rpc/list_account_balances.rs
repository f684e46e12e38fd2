//! ListAccountBalances: what is booked on accounts, merchant by merchant. A page token is the last merchant of a page.

use tonic::{Request, Response, Status};

use crate::admin_api::show::ledger::account_balance;
use crate::admin_api::{gate, pb, read};
use crate::grpc::page::{cut, page_size};
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::payment::ids::MerchantId;
use crate::store::Store;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: &Request<pb::ListAccountBalancesRequest>,
) -> Result<Response<pb::ListAccountBalancesResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let request = request.get_ref();
    let mut findings = Findings::default();
    let size = page_size(&mut findings, request.page_size);
    let after = read::page_token(&mut findings, &request.page_token);
    let merchant_id = match request.merchant_id.as_str() {
        "" => Some(None),
        text => read::merchant_id(&mut findings, text).map(Some),
    };
    let read = size.zip(after).zip(merchant_id);
    let ((size, after), merchant_id) = findings.finish(read).map_err(of_invalid_request)?;
    let merchants = match merchant_id {
        Some(merchant_id) => vec![merchant_id],
        None => {
            let all = store.list_merchants().await;
            let all = all.map_err(|error| of_unavailable(&error))?;
            let mut ids: Vec<MerchantId> = all.into_iter().map(|merchant| merchant.id).collect();
            ids.retain(|id| after.is_none_or(|after| *id > after));
            ids.sort_unstable();
            ids
        }
    };
    let (merchants, next_page_token) = cut(merchants, size, ToString::to_string);
    let mut balances = Vec::new();
    for merchant_id in merchants {
        let found = store.balances(&merchant_id).await;
        let found = found.map_err(|error| of_unavailable(&error))?;
        balances.extend(found.iter().map(|it| account_balance(merchant_id, it)));
    }
    Ok(Response::new(pb::ListAccountBalancesResponse {
        balances,
        next_page_token,
    }))
}
