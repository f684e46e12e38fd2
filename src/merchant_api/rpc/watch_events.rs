//! WatchEvents: what happened to the merchant's payments after a cursor, then what happens.

use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt as _, unfold};
use tonic::{Request, Response, Status};

use super::list_events::{Kinds, kinds};
use super::watcher::{EventViews, Watcher};
use crate::grpc::status;
use crate::grpc::violations::Findings;
use crate::merchant_api::pb;
use crate::merchant_api::transport::gate;

/// What is streamed.
pub(super) type Events = BoxStream<'static, Result<pb::WatchEventsResponse, Status>>;

/// Answers the call.
pub(super) async fn call(
    views: &Arc<EventViews>,
    request: Request<pb::WatchEventsRequest>,
) -> Result<Response<Events>, Status> {
    let merchant = gate::caller(&request)?;
    let request = request.into_inner();
    let mut findings = Findings::default();
    let kinds = kinds(&mut findings, &request.kinds);
    let kinds = findings.finish(kinds).map_err(status::of_invalid_request)?;
    let after = views.position(&request.after_cursor).await?;
    let watcher = views.watch(merchant.id, after).await?;
    let stream = Stream {
        views: Arc::clone(views),
        watcher,
        kinds,
    };
    Ok(Response::new(unfold(Some(stream), next).boxed()))
}

struct Stream {
    views: Arc<EventViews>,
    watcher: Watcher,
    kinds: Kinds,
}

/// The next message, and the stream after it; an error is the last one.
async fn next(
    stream: Option<Stream>,
) -> Option<(Result<pb::WatchEventsResponse, Status>, Option<Stream>)> {
    let mut stream = stream?;
    loop {
        let event = match stream.watcher.next().await {
            Ok(Some(event)) => event,
            Ok(None) => {
                let cursor = stream.watcher.cursor();
                let told = pb::WatchEventsResponse {
                    event: None,
                    cursor,
                };
                return Some((Ok(told), Some(stream)));
            }
            Err(ended) => return Some((Err(ended), None)),
        };
        let kinds = stream.kinds.as_ref();
        if kinds.is_none_or(|kinds| kinds.contains(&event.kind)) {
            let event = stream.views.show(&event);
            let told = pb::WatchEventsResponse {
                cursor: event.cursor.clone(),
                event: Some(event),
            };
            return Some((Ok(told), Some(stream)));
        }
    }
}
