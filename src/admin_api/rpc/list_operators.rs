//! ListOperators: all operators, by name.

use tonic::{Request, Response, Status};

use crate::admin_api::show::operator::operator;
use crate::admin_api::{gate, pb};
use crate::grpc::status::of_unavailable;
use crate::store::Store;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: &Request<pb::ListOperatorsRequest>,
) -> Result<Response<pb::ListOperatorsResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let operators = store.list_operators().await;
    let operators = operators.map_err(|error| of_unavailable(&error))?;
    Ok(Response::new(pb::ListOperatorsResponse {
        operators: operators.iter().map(operator).collect(),
    }))
}
