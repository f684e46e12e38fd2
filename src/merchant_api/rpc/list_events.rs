//! ListEvents: what happened to the merchant's payments, page by page.

use tonic::{Request, Response, Status};

use super::watcher::EventViews;
use crate::grpc::page::page_size;
use crate::grpc::status;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::show::event::KINDS;
use crate::merchant_api::transport::gate;
use crate::payment::event_kind::EventKind;

/// Answers the call.
pub(super) async fn call(
    views: &EventViews,
    request: Request<pb::ListEventsRequest>,
) -> Result<Response<pb::ListEventsResponse>, Status> {
    let merchant = gate::caller(&request)?;
    let request = request.into_inner();
    let (page_size, kinds) = read(&request).map_err(status::of_invalid_request)?;
    let after = views.position(&request.after_cursor).await?;
    let events = views
        .store()
        .events_of(&merchant.id, kinds.as_deref(), after, page_size);
    let page = events
        .await
        .map_err(|error| status::of_unavailable(&error))?;
    let oldest = views.store().oldest_event(&merchant.id).await;
    let oldest = oldest.map_err(|error| status::of_unavailable(&error))?;
    let events: Vec<pb::Event> = page.items.iter().map(|event| views.show(event)).collect();
    let last = match page.next {
        // What was passed over is not looked at again.
        Some(position) => Some(views.cursors.write(position)),
        None => events.last().map(|event| event.cursor.clone()),
    };
    Ok(Response::new(pb::ListEventsResponse {
        next_cursor: last.unwrap_or(request.after_cursor),
        // Whoever goes on after it begins with the oldest event.
        oldest_cursor: oldest.map_or_else(String::new, |oldest| views.cursors.write(oldest - 1)),
        events,
    }))
}

fn read(request: &pb::ListEventsRequest) -> Result<(usize, Kinds), InvalidRequest> {
    let mut findings = Findings::default();
    let page_size = page_size(&mut findings, request.page_size);
    let kinds = kinds(&mut findings, &request.kinds);
    findings.finish(page_size.zip(kinds))
}

/// Kinds of events; none for all.
pub(super) type Kinds = Option<Vec<EventKind>>;

/// The kinds that a request names. One that does not happen in this version finds nothing.
pub(super) fn kinds(findings: &mut Findings, asked: &[i32]) -> Option<Kinds> {
    let mut kinds = Vec::new();
    for kind in asked {
        match pb::EventKind::try_from(*kind) {
            Ok(pb::EventKind::Unspecified) | Err(_) => {
                findings.add("kinds", "kinds of events", kind);
                return None;
            }
            Ok(asked) => {
                let named = KINDS.iter().filter(|(_, shown)| *shown == asked);
                kinds.extend(named.map(|(kind, _)| *kind));
            }
        }
    }
    Some((!asked.is_empty()).then_some(kinds))
}
