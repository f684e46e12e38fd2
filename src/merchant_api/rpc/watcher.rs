//! What happens to a merchant's payments, as a stream: first what is kept after a cursor, then what happens.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tonic::{Code, Status};

use super::views::PaymentViews;
use crate::event_feed::{EventFeed, Happened};
use crate::grpc::status::{self, ErrorAnswer};
use crate::grpc::violations::{InvalidRequest, Violation, length_of};
use crate::merchant_api::pb;
use crate::merchant_api::read::cursor::{BadCursor, Cursors};
use crate::merchant_api::show;
use crate::metrics::BoundCounter;
use crate::payment::ids::MerchantId;
use crate::shares::{Place, Shares};
use crate::store::Store;
use crate::store::reads::events::Event;

/// Streams at once on this node: merchants share them.
const WATCHERS: usize = 2048;
/// Events that a stream reads at once of what is kept.
const PAGE: usize = 100;
/// So often a stream is told its cursor while nothing happens, so that a dead connection is noticed.
const TOLD_EVERY: Duration = Duration::from_secs(30);

/// Shows events.
pub(crate) struct EventViews {
    /// Shows the payments; has the records.
    payments: Arc<PaymentViews>,
    /// What happens.
    feed: Arc<EventFeed>,
    /// The cursors of the store.
    pub(super) cursors: Arc<Cursors>,
    watchers: Shares<MerchantId>,
}

impl EventViews {
    /// Shows the events of this store.
    pub(crate) fn new(
        payments: Arc<PaymentViews>,
        feed: Arc<EventFeed>,
        cursors: Arc<Cursors>,
        refused: BoundCounter,
    ) -> Self {
        let watchers = Shares::new(WATCHERS, refused);
        Self {
            payments,
            feed,
            cursors,
            watchers,
        }
    }

    /// The records.
    pub(super) fn store(&self) -> &Store {
        &self.payments.store
    }

    /// An event as the API shows it.
    pub(super) fn show(&self, event: &Event) -> pb::Event {
        let payments = &self.payments;
        show::event::event(
            event,
            &self.cursors,
            |payment| payments.new_payment(payment),
            |capture, operation| payments.capture(capture, operation),
        )
    }

    /// The position that a cursor of a request names; 0 where there is none.
    pub(super) async fn position(&self, cursor: &str) -> Result<i64, Status> {
        if cursor.is_empty() {
            return Ok(0);
        }
        let position = self.cursors.read(cursor);
        let position = position.map_err(|bad| bad_cursor(bad, cursor))?;
        let last = self.store().last_position().await;
        let last = last.map_err(|error| status::of_unavailable(&error))?;
        // Nothing that was told is forgotten: it was told by a store that knew more.
        match position <= last {
            true => Ok(position),
            false => Err(bad_cursor(BadCursor::OfAnotherStore, cursor)),
        }
    }

    /// A stream of what happens to this merchant's payments from now on, beginning with what is kept after `after`.
    pub(super) async fn watch(
        self: &Arc<Self>,
        merchant: MerchantId,
        after: i64,
    ) -> Result<Watcher, Status> {
        let place = self.watchers.take(&merchant);
        let place = place.ok_or_else(too_many_watchers)?;
        let happens = self.feed.watch(&merchant).await;
        Ok(Watcher {
            views: Arc::clone(self),
            merchant,
            position: after,
            reading: true,
            read: VecDeque::new(),
            happens,
            _place: place,
        })
    }
}

/// What happens to one merchant's payments.
pub(super) struct Watcher {
    views: Arc<EventViews>,
    merchant: MerchantId,
    /// Up to which everything was told.
    position: i64,
    /// Whether there may be more to read of what is kept.
    reading: bool,
    read: VecDeque<Arc<Event>>,
    happens: Receiver<Happened>,
    _place: Place<MerchantId>,
}

impl Watcher {
    /// The next event; none while nothing happens for a while. An error ends the stream.
    pub(super) async fn next(&mut self) -> Result<Option<Arc<Event>>, Status> {
        loop {
            if let Some(event) = self.read.pop_front() {
                // What was read of what is kept happens once more.
                if event.position > self.position {
                    self.position = event.position;
                    return Ok(Some(event));
                }
            } else if self.reading {
                self.read_on().await?;
            } else {
                let handed_on = self.views.feed.position();
                match tokio::time::timeout(TOLD_EVERY, self.happens.recv()).await {
                    Ok(Ok(Some(event))) => self.read.push_back(event),
                    // What can't be read ends the stream there.
                    Ok(Ok(None)) => self.reading = true,
                    Ok(Err(RecvError::Lagged(_))) => return Err(self.too_slow()),
                    Ok(Err(RecvError::Closed)) => return Err(self.stopping()),
                    Err(_nothing) => {
                        // Everything before it has been waited for, and nothing was this merchant's.
                        self.position = self.position.max(handed_on.unwrap_or(0));
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// It begins now, and needs nothing of what is kept.
    pub(super) fn begin_now(&mut self) {
        self.reading = false;
    }

    /// The cursor to go on after.
    pub(super) fn cursor(&self) -> String {
        self.views.cursors.write(self.position)
    }

    async fn read_on(&mut self) -> Result<(), Status> {
        let events = self
            .views
            .store()
            .events_of(&self.merchant, None, self.position, PAGE);
        let page = events
            .await
            .map_err(|error| status::of_unavailable(&error))?;
        self.reading = page.next.is_some();
        if let (true, Some(next)) = (page.items.is_empty(), page.next) {
            // All of them were of what is gone.
            self.position = next;
        }
        self.read.extend(page.items.into_iter().map(Arc::new));
        Ok(())
    }

    fn too_slow(&self) -> Status {
        let text = "more has happened than this stream could take; go on after the cursor";
        ErrorAnswer::not_sent(Code::Aborted, "WATCHER_TOO_SLOW", text)
            .with_metadata("cursor", &self.cursor())
            .into_status()
    }

    fn stopping(&self) -> Status {
        let text = "this gateway is stopping; go on after the cursor, on another one or later";
        ErrorAnswer::not_sent(Code::Unavailable, "DRAINING", text)
            .with_metadata("cursor", &self.cursor())
            .retry_after(status::RETRY_UNAVAILABLE)
            .into_status()
    }
}

fn bad_cursor(bad: BadCursor, cursor: &str) -> Status {
    match bad {
        BadCursor::NoCursor => {
            let got = length_of(cursor);
            status::of_invalid_request(InvalidRequest::Violations(vec![Violation {
                field: "after_cursor",
                description: format!("expected the cursor of an event or of an answer, got {got}"),
            }]))
        }
        BadCursor::OfAnotherStore => {
            let text = "after_cursor is one of another store, or of this one before it was restored; begin anew, \
                        without one";
            let reason = "CURSOR_OF_ANOTHER_STORE";
            ErrorAnswer::not_sent(Code::OutOfRange, reason, text).into_status()
        }
    }
}

fn too_many_watchers() -> Status {
    let text = "the gateway is at its limit of streams, and this caller has its share of them; end one first, or \
                watch through another gateway";
    ErrorAnswer::not_sent(Code::ResourceExhausted, "OVERLOADED", text)
        .retry_after(status::RETRY_UNAVAILABLE)
        .into_status()
}
