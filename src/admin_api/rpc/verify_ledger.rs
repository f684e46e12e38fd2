//! VerifyLedger: compares the ledger with its seals, part by part. A page token is the number of the last seal of a
//! part.

use tonic::{Request, Response, Status};

use crate::admin_api::show::ledger::verification;
use crate::admin_api::{gate, pb, read};
use crate::grpc::status::{of_invalid_request, of_unavailable};
use crate::grpc::violations::Findings;
use crate::ledger_seals::sealer::LedgerSealer;
use crate::store::records::callers::OperatorRole;

/// Answers the call.
pub(super) async fn call(
    sealer: &LedgerSealer,
    request: &Request<pb::VerifyLedgerRequest>,
) -> Result<Response<pb::VerifyLedgerResponse>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let mut findings = Findings::default();
    let after = read::page_token(&mut findings, &request.get_ref().page_token);
    let after: Option<i64> = findings.finish(after).map_err(of_invalid_request)?;
    let looked_at = sealer.verify(after.unwrap_or(0)).await;
    let looked_at = looked_at.map_err(|error| of_unavailable(&error))?;
    let shown = verification(looked_at, &sealer.public_key());
    Ok(Response::new(shown))
}
