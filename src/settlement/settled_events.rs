//! Once a batch is funded its merchant is told of each capture, refund and chargeback in it: by an event for each.
//!
//! Every node does so, some items of each batch in turn, and goes on where another one, or an earlier run, has come to.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::looking::look_until;
use crate::clock::Clock;
use crate::fault_points::FaultPoint;
use crate::store::Store;
use crate::store::error::StoreError;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After each transaction: payments take their positions meanwhile.
const PAUSE: Duration = Duration::from_millis(10);
/// The most batches that are told in turn.
const BATCHES_AT_ONCE: usize = 100;

/// Tells merchants what is settled.
pub struct SettledEvents {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl SettledEvents {
    /// Tells what is settled in this store.
    #[must_use]
    pub const fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Tells merchants until `stop` is set. What fails is logged, and tried again.
    pub async fn look_until(self, stop: watch::Receiver<bool>) {
        let stopping = stop.clone();
        let failed = "Merchants are not told yet of what is settled";
        look_until(stop, LOOK_EVERY, failed, || self.look(&stopping)).await;
    }

    /// Tells all that is not told, or until `stop` is set.
    ///
    /// # Errors
    /// When the store can't be read or written: what was told stands.
    pub async fn look(&self, stop: &watch::Receiver<bool>) -> Result<(), StoreError> {
        loop {
            let batches = self.store.batches_to_tell(BATCHES_AT_ONCE).await?;
            if batches.is_empty() {
                return Ok(());
            }
            for batch in batches {
                if *stop.borrow() {
                    return Ok(());
                }
                self.store.tell_items(batch, self.clock.now()).await?;
                FaultPoint::ItemsTold.pass();
                sleep(PAUSE).await;
            }
        }
    }
}
