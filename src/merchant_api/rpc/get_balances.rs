//! GetBalances: what the merchant is owed, by currency.

use tonic::{Request, Response, Status};

use crate::grpc::status;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::read::money::currency;
use crate::merchant_api::show::balance::balances;
use crate::merchant_api::transport::gate;
use crate::payment::money::Currency;
use crate::store::Store;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: Request<pb::GetBalancesRequest>,
) -> Result<Response<pb::GetBalancesResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let only = read(request.get_ref()).map_err(status::of_invalid_request)?;
    let accounts = store.balances(&merchant.id).await;
    let mut accounts = accounts.map_err(|error| status::of_unavailable(&error))?;
    accounts.retain(|account| only.is_none_or(|only| account.currency == only));
    Ok(Response::new(pb::GetBalancesResponse {
        balances: balances(&accounts),
    }))
}

/// The currency asked for; none for all.
fn read(request: &pb::GetBalancesRequest) -> Result<Option<Currency>, InvalidRequest> {
    let mut findings = Findings::default();
    let read = match request.currency.as_str() {
        "" => Some(None),
        code => currency(&mut findings, "currency", code).map(Some),
    };
    findings.finish(read)
}
