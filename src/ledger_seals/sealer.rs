//! Seals the ledger every minute.
//!
//! Every node does. A seal's number is the key of its row: of two nodes one is first, and its seal stands. Every node
//! writes all seals to a file of its own, so that there is more than one copy outside the database.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::seal_file::SealFile;
use crate::clock::Clock;
use crate::ledger::seal::{Hash, MerkleTree, Seal, SealKey, Sealed, leaf};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::lists::MAX_PAGE_SIZE;

/// Between two seals.
const SEAL_EVERY: Duration = Duration::from_secs(60);
/// The most positions of one seal.
const POSITIONS: i64 = 50_000;
/// After this many positions the balances are summed again, so that no balance has many lines to sum.
const CHECKPOINT_EVERY: i64 = 10_000;
/// The most seals that are verified in one call.
const SEALS_AT_ONCE: usize = 500;
/// The positions that are read at once.
pub(super) const POSITIONS_AT_ONCE: i64 = 1_000;

/// Seals the ledger.
#[derive(Debug)]
pub struct LedgerSealer {
    pub(super) store: Store,
    pub(super) key: SealKey,
    /// Where the seals are written outside the database.
    pub(super) file: Option<SealFile>,
    /// The most seals that one call of [`verify`](Self::verify) looks at.
    pub(super) seals_at_once: usize,
    pub(super) clock: Arc<dyn Clock>,
}

/// The place of a seal in the chain.
pub(super) struct Place {
    pub(super) number: i64,
    pub(super) epoch: i64,
    pub(super) previous: Hash,
}

/// Seals could not be made, or not be written outside the database.
#[derive(Debug, thiserror::Error)]
pub enum SealingError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file.
    #[error("the file of the seals can't be read or written")]
    File(#[from] io::Error),
    /// The file has a seal that the database lacks.
    #[error(
        "the file of the seals has seal {number}, and the database has not; run `payswitch ledger verify`"
    )]
    Ahead {
        /// The last seal of the file.
        number: i64,
    },
    /// The file has something else beside the seals of this installation, which were added all the same.
    #[error(
        "the file of the seals has lines that are no seals of this installation; run `payswitch ledger verify`"
    )]
    Foreign,
}

impl LedgerSealer {
    /// A sealer that signs with `key`, and writes to `file` too.
    #[must_use]
    pub fn new(store: Store, key: SealKey, file: Option<SealFile>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            key,
            file,
            seals_at_once: SEALS_AT_ONCE,
            clock,
        }
    }

    /// The public key that the seals are signed with.
    #[must_use]
    pub fn public_key(&self) -> Hash {
        self.key.public_key()
    }

    /// Seals every minute until `stop` is set. What fails is logged, and tried again.
    pub async fn seal_until(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = sleep(SEAL_EVERY) => {}
            }
            if let Err(error) = self.seal().await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "The ledger could not be sealed");
            }
        }
    }

    /// Seals what came since the last seal, sums the balances where that is due, and writes the file.
    ///
    /// # Errors
    /// When the store or the file can't be used.
    pub async fn seal(&self) -> Result<(), SealingError> {
        let last = self.store.last_position().await?;
        loop {
            let before = self.store.last_seal().await?;
            let from = before.as_ref().map_or(1, |seal| seal.sealed.to + 1);
            if from > last {
                break;
            }
            let place = Place {
                number: before.as_ref().map_or(1, |seal| seal.sealed.number + 1),
                epoch: before.as_ref().map_or(1, |seal| seal.sealed.epoch),
                previous: before.as_ref().map_or(Hash::default(), Seal::hash),
            };
            let seal = self.seal_of(place, from, last.min(from + POSITIONS - 1));
            self.store.insert_seal(&seal.await?).await?;
        }
        self.store.checkpoint_balances(CHECKPOINT_EVERY).await?;
        self.write_file().await
    }

    /// The seal at this place in the chain, over the positions `from` to `to`.
    pub(super) async fn seal_of(
        &self,
        place: Place,
        from: i64,
        to: i64,
    ) -> Result<Seal, StoreError> {
        let mut tree = MerkleTree::default();
        let mut first = from;
        while first <= to {
            let last = to.min(first + POSITIONS_AT_ONCE - 1);
            for journal in self.store.ledger_part(first, last).await?.journals {
                tree.push(leaf(journal.position, &journal.content_sha256).as_bytes());
            }
            first = last + 1;
        }
        Ok(self.key.seal(Sealed {
            number: place.number,
            epoch: place.epoch,
            from,
            to,
            journals: i64::try_from(tree.leaves()).unwrap_or(i64::MAX),
            root: tree.root(),
            previous: place.previous,
            at: self.clock.now(),
        }))
    }

    /// Adds the seals that the file lacks.
    pub(super) async fn write_file(&self) -> Result<(), SealingError> {
        let Some(file) = self.file.clone() else {
            return Ok(());
        };
        let (reading, key) = (file.clone(), self.public_key());
        let mut seen = blocking(move || reading.look(&key)).await?;
        let last = self.store.last_seal().await?;
        let number = seen.number();
        if last.map_or(0, |seal| seal.sealed.number) < number {
            return Err(SealingError::Ahead { number });
        }
        let mut after = number;
        loop {
            let seals = self.store.seals_after(after, MAX_PAGE_SIZE).await?;
            let Some(last) = seals.last() else {
                break;
            };
            after = last.number;
            let lines: Vec<String> = seals.into_iter().map(|seal| seal.line).collect();
            let file = file.clone();
            seen = blocking(move || file.append(&lines, &key)).await?;
        }
        if seen.foreign {
            return Err(SealingError::Foreign);
        }
        Ok(())
    }
}

/// Runs what waits for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}
