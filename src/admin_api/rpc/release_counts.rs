//! ReleaseCounts: forgets what was counted of a card, a merchant or an address.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::audited::{Audited, read_call};
use super::counted_subject::About;
use crate::admin_api::records::AuditOutcome;
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::show::risk::count;
use crate::admin_api::{pb, read};
use crate::risk::exchange::CountExchange;
use crate::store::Store;

/// Answers the call.
pub(super) async fn call(
    counts: &Arc<CountExchange>,
    store: &Store,
    audited: &Audited,
    request: Request<pb::ReleaseCountsRequest>,
) -> Result<Response<pb::ReleaseCountsResponse>, Status> {
    let (call, (about, limit)) = read_call(
        request,
        |findings, request| {
            let about = About::read(findings, request.subject.as_ref());
            let limit = read::limit(findings, &request.limit);
            about.zip(limit)
        },
        |(about, limit)| match limit {
            Some(limit) => format!("{about} for {limit}"),
            None => about.to_string(),
        },
    )?;
    let (counts, store) = (Arc::clone(counts), store.clone());
    // Boxed: the way to the database makes it large.
    let effect = Box::pin(async move {
        let subject = about.subject(&store).await?;
        let released = counts.release(&subject, limit.as_deref()).await;
        let released = released.map_err(|error| Refusal::not_done(&error))?;
        if released.is_empty() && limit.is_some() {
            return Err(Refusal::LimitNotFound);
        }
        let released = released.into_iter().map(count).collect();
        Ok((pb::ReleaseCountsResponse { released }, AuditOutcome::Done))
    });
    audited.perform(call, effect).await
}
