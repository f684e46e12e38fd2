//! What happens, as it happens: events of this node and of others, handed to those who watch.
//!
//! One task reads what was committed since its last look, whoever committed it: positions come in the order of the
//! commits, so nothing behind the last one can appear later. It looks when this node has committed, and every few
//! milliseconds for what other nodes have. Those who watch share what it read. One who is too slow loses its place in
//! the queue of its merchant, and is told so; it holds up nobody.
//!
//! Nobody watching, nothing is read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, watch};
use tokio::time::sleep;

use crate::payment::ids::MerchantId;
use crate::random::HashMap;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::reads::events::Event;

/// Between two looks at what was committed, at the most: what other nodes commit is found by looking.
const LOOK_EVERY: Duration = Duration::from_millis(15);
/// And at the least, where this node commits: one look finds what several batches wrote.
const LOOKS_APART: Duration = Duration::from_millis(4);
/// The most positions that are read at once.
const AT_ONCE: i64 = 500;
/// The most events that a watcher may be behind.
const EVENTS_BEHIND: usize = 1024;

/// An event. None: there is one that can't be read; the stream reads it itself, and ends by that.
pub type Happened = Option<Arc<Event>>;
type Watched = HashMap<MerchantId, broadcast::Sender<Happened>>;

/// Hands events to those who watch.
pub struct EventFeed {
    store: Store,
    /// None once the gateway stops.
    watched: Mutex<Option<Watched>>,
    /// Told when somebody watches.
    somebody: Notify,
    /// The position up to which everything was handed on; none while nobody watches.
    position: watch::Sender<Option<i64>>,
}

impl EventFeed {
    /// A feed of what is committed to this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            watched: Mutex::new(Some(Watched::default())),
            somebody: Notify::new(),
            position: watch::Sender::new(None),
        }
    }

    /// Everything that is committed to a merchant's payments from now on; it ends when the gateway stops. What was
    /// committed before this returns may come as well.
    pub async fn watch(&self, merchant: &MerchantId) -> broadcast::Receiver<Happened> {
        let receiver = match &mut *self.watched() {
            Some(watched) => watched
                .entry(*merchant)
                .or_insert_with(|| broadcast::Sender::new(EVENTS_BEHIND))
                .subscribe(),
            None => broadcast::channel(1).1,
        };
        self.somebody.notify_one();
        // What comes after the position where the task begins is handed on; what came before can be read.
        let mut position = self.position.subscribe();
        let _ended = position.wait_for(Option::is_some).await;
        receiver
    }

    /// The position up to which everything was handed on; none while nobody watches.
    #[must_use]
    pub fn position(&self) -> Option<i64> {
        *self.position.borrow()
    }

    /// Hands on what is committed until `stopping` says so.
    pub async fn hand_on_until(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => {}
            () = self.hand_on() => {}
        }
        // Those who watch are told by that.
        *self.watched() = None;
        self.position.send_replace(Some(0));
    }

    async fn hand_on(&self) {
        let mut committed = self.store.committed();
        loop {
            // What was committed until here the next look finds.
            committed.mark_unchanged();
            let looked = match self.position() {
                Some(position) => self.look(position).await,
                None => {
                    self.somebody.notified().await;
                    self.store.last_position().await
                }
            };
            match looked {
                Ok(position) => self.looked(position),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "Events can't be read; those who watch wait");
                    self.somebody.notify_one();
                }
            }
            sleep(LOOKS_APART).await;
            tokio::select! {
                Ok(()) = committed.changed() => {}
                // Also where the writer has ended.
                () = sleep(LOOK_EVERY - LOOKS_APART) => {}
            }
        }
    }

    /// Hands on what was committed after `position`; returns up to where.
    async fn look(&self, position: i64) -> Result<i64, StoreError> {
        let last = self.store.last_position().await?.min(position + AT_ONCE);
        if last <= position {
            return Ok(position);
        }
        let wanted = |merchant: &MerchantId| {
            let watched = self.watched();
            watched.as_ref().is_some_and(|it| it.contains_key(merchant))
        };
        let events = self.store.events_between(position + 1, last, &wanted);
        let events = events.await?;
        let watched = self.watched();
        for (merchant, event) in events {
            if let Some(sender) = watched.as_ref().and_then(|it| it.get(&merchant)) {
                // Where nobody watches any more the merchant is forgotten below.
                let _nobody = sender.send(event.map(Arc::new));
            }
        }
        Ok(last)
    }

    /// Notes how far everything was handed on, and forgets merchants whom nobody watches.
    fn looked(&self, position: i64) {
        if let Some(watched) = &mut *self.watched() {
            watched.retain(|_, sender| sender.receiver_count() > 0);
            let position = (!watched.is_empty()).then_some(position);
            self.position.send_replace(position);
        }
    }

    fn watched(&self) -> MutexGuard<'_, Option<Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
