//! Reload: reads certificates, revocation lists and profiles again.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, done_or, read_call};
use crate::admin_api::pb;
use crate::reloading::{Outcome, PartOutcome, Reloading};

/// Answers the call.
pub(super) async fn call(
    reloading: &Arc<Reloading>,
    audited: &Audited,
    request: Request<pb::ReloadRequest>,
) -> Result<Response<pb::ReloadResponse>, Status> {
    let about = |(): &()| "certificates and profiles".to_owned();
    let (call, ()) = read_call(request, |_, _| Some(()), about)?;
    let reloading = Arc::clone(reloading);
    let effect = async move {
        let parts = reloading.reload().await;
        let used = parts.iter().all(|it| it.outcome != Outcome::Refused);
        let parts = parts.into_iter().map(part_reload).collect();
        Ok((pb::ReloadResponse { parts }, done_or(used, "PART_REFUSED")))
    };
    audited.perform(call, effect).await
}

fn part_reload(done: PartOutcome) -> pb::PartReload {
    let outcome = match done.outcome {
        Outcome::Unchanged => pb::ReloadOutcome::Unchanged,
        Outcome::Reloaded => pb::ReloadOutcome::Reloaded,
        Outcome::Refused => pb::ReloadOutcome::Refused,
    };
    pb::PartReload {
        part: done.part,
        outcome: outcome.into(),
        detail: done.detail,
    }
}
