//! The counts of all nodes. Twice a second each node writes what it has counted since, in rows that no other node writes,
//! and reads what the others have written. So another node's count is known here after a second at most while the
//! database keeps up, and an attempt waits for neither.
//!
//! A batch has a number, and a row knows the last batch that it was written by: one whose COMMIT was not confirmed is
//! written again under its number, and nothing counts twice.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use super::limits::Limits;
use super::subject::{LimitCount, Subject};
use crate::clock::Clock;
use crate::payment::ids::NodeId;
use crate::random::HashMap;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::RiskCount;

/// Between two exchanges.
const EXCHANGE_EVERY: Duration = Duration::from_millis(500);
/// The most counts that are written in one transaction, so that no payment waits long for it.
const BATCH_COUNTS: usize = 64;
/// The most batches of one exchange: what is left waits for the next one.
const MOST_BATCHES: usize = 32;
/// About how many counts of another node are read at once.
const COUNTS_AT_ONCE: usize = 1_024;
/// How long a start waits for what earlier runs and other nodes have counted.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(10);

/// Exchanges counts with the other nodes, by the database.
#[derive(Debug)]
pub struct CountExchange {
    limits: Arc<Limits>,
    store: Store,
    clock: Arc<dyn Clock>,
    progress: Mutex<Progress>,
}

/// How far it has come.
#[derive(Debug, Default)]
struct Progress {
    /// The number of the last batch that was begun.
    batch: i64,
    /// The counts of that batch, until its COMMIT is confirmed.
    unconfirmed: Vec<RiskCount>,
    /// The last batch of each other node that was read.
    read: HashMap<NodeId, i64>,
}

impl CountExchange {
    /// Nothing is exchanged yet.
    #[must_use]
    pub fn new(limits: Arc<Limits>, store: Store, clock: Arc<dyn Clock>) -> Self {
        Self {
            limits,
            store,
            clock,
            progress: Mutex::default(),
        }
    }

    /// Reads what earlier runs and other nodes have counted.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        if self.limits.is_empty() {
            return Ok(());
        }
        let mut progress = self.progress.lock().await;
        match tokio::time::timeout(CAUGHT_UP_WITHIN, self.read(&mut progress)).await {
            Ok(read) => read,
            Err(_) => {
                tracing::warn!(
                    "Not all counts of limits could be read in time: some attempts of before count for nothing"
                );
                Ok(())
            }
        }
    }

    /// Exchanges counts, until `stop`.
    pub async fn exchange_until(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut is_failing = false;
        while !self.limits.is_empty() {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(EXCHANGE_EVERY) => {}
            }
            let exchanged = self.exchange().await;
            if let Err(error) = &exchanged
                && !is_failing
            {
                tracing::warn!(
                    %error,
                    "The counts of limits can't be exchanged: each node limits what it counts itself"
                );
            }
            is_failing = exchanged.is_err();
        }
    }

    /// Writes what this node has counted, and reads what others have.
    ///
    /// # Errors
    /// When the database does not take it, or can't be read. The next exchange goes on with it.
    pub async fn exchange(&self) -> Result<(), StoreError> {
        let mut progress = self.progress.lock().await;
        self.write(&mut progress).await?;
        // What is not confirmed might be read too, and would count twice.
        if self.store.exclusive() {
            return Ok(());
        }
        self.read(&mut progress).await
    }

    /// Forgets what all nodes have counted of a subject, for each limit that counts it or for one of them: what counted
    /// until then, as this node knows it. Other nodes forget it with their next exchange.
    ///
    /// # Errors
    /// When the database does not take it. This node forgets nothing then; once more, it takes back what is left.
    pub async fn release(
        &self,
        subject: &Subject,
        limit: Option<&str>,
    ) -> Result<Vec<LimitCount>, StoreError> {
        let mut progress = self.progress.lock().await;
        // Afterwards the database has what this node would tell of it; the rest is forgotten below.
        self.write(&mut progress).await?;
        let now = self.clock.now();
        let counts = self.limits.counts(subject, limit, now);
        let windows = self.limits.windows(subject, limit, now);
        progress.batch += 1;
        self.store
            .take_back_risk_counts(progress.batch, &windows, now)
            .await?;
        self.limits.forget(subject, limit);
        Ok(counts)
    }

    /// Writes what this node has counted.
    async fn write(&self, progress: &mut Progress) -> Result<(), StoreError> {
        for _ in 0..MOST_BATCHES {
            if progress.unconfirmed.is_empty() {
                progress.unconfirmed = self.limits.take_untold(BATCH_COUNTS);
                if progress.unconfirmed.is_empty() {
                    break;
                }
                progress.batch += 1;
            }
            let now = self.clock.now();
            self.store
                .add_risk_counts(progress.batch, &progress.unconfirmed, now)
                .await?;
            progress.unconfirmed.clear();
        }
        Ok(())
    }

    async fn read(&self, progress: &mut Progress) -> Result<(), StoreError> {
        let (nodes, now) = (self.store.risk_nodes().await?, self.clock.now());
        let is_known = |id: &NodeId| nodes.iter().any(|(node_id, _)| node_id == id);
        progress.read.retain(|id, _| is_known(id));
        let others = nodes
            .iter()
            .filter(|(node_id, _)| *node_id != self.store.node_id());
        for (node_id, last) in others {
            let read = progress.read.entry(*node_id).or_default();
            while *read < *last {
                // Most batches of long ago have no rows any more.
                let next = self
                    .store
                    .risk_batches(*node_id, (*read, *last), COUNTS_AT_ONCE);
                let Some(up_to) = next.await? else {
                    *read = *last;
                    break;
                };
                let counts = self.store.risk_counts(*node_id, (*read, up_to)).await?;
                counts.iter().for_each(|it| self.limits.take_in(it, now));
                *read = up_to;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
