//! The folder of sealing keys, looked at again when a card names a key that is not known: another gateway may have
//! made it, or an operator may have put it there.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::keys::SealingKeys;
use super::master_key::MasterKey;
use crate::payment::moment::UnixMillis;

/// The shortest time between two looks, in milliseconds: anybody can name keys that there are not.
const LOOK_AGAIN_AFTER_MS: i64 = 1_000;

/// Where the sealing keys came from.
#[derive(Debug)]
pub struct KeyFolder {
    path: PathBuf,
    master_key: Arc<MasterKey>,
    /// When it may be looked at again, in milliseconds since 1970.
    next_look_ms: AtomicI64,
}

impl KeyFolder {
    /// The folder at `path`, whose keys are wrapped under the master key.
    #[must_use]
    pub fn new(path: PathBuf, master_key: Arc<MasterKey>) -> Self {
        Self {
            path,
            master_key,
            next_look_ms: AtomicI64::new(i64::MIN),
        }
    }

    /// The keys that are there now; `None` when it was looked at a moment ago, or can't be read.
    pub(super) fn look_again(&self, now: UnixMillis) -> Option<SealingKeys> {
        let now_ms = now.as_i64();
        let is_due =
            |next_ms| (next_ms <= now_ms).then(|| now_ms.saturating_add(LOOK_AGAIN_AFTER_MS));
        self.next_look_ms
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_due)
            .ok()?;
        SealingKeys::load(&self.path, &self.master_key)
            .inspect_err(|error| tracing::warn!(%error, "The sealing keys could not be read again"))
            .ok()
    }
}
