//! The folder of sealing keys, looked at again while the gateway runs: every few seconds, and when a card names a key
//! that is not known. So a key that another gateway or an operator has made is known without a restart, and so is a
//! master key that is rotated.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::header::Algorithm;
use super::keys::{SealingKeys, SealingKeysError, key_paths};
use super::master_key::MasterKey;
use crate::payment::moment::UnixMillis;

/// Between two looks at the folder.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The shortest time between two looks for keys that are not known, in milliseconds: anybody can name keys that there
/// are not.
const LOOK_AGAIN_AFTER_MS: i64 = 1_000;

/// What tells one state of the folder from another: each file, its number on the disk, and when it was changed.
type Seen = Vec<(PathBuf, u64, i64, i64)>;

/// Where the sealing keys came from, and where their public halves go.
#[derive(Debug)]
pub struct KeyFolder {
    path: PathBuf,
    jwks_path: PathBuf,
    master_key: Arc<MasterKey>,
    /// When it may be looked at again for an unknown key, in milliseconds since 1970.
    next_look_ms: AtomicI64,
    /// The folder as it was when its keys were read.
    seen: Mutex<Seen>,
    /// What could not be read or written at the last look: it is said once.
    failing: Mutex<Option<String>>,
}

impl KeyFolder {
    /// The folder at `path`, whose keys are wrapped under the master key, and the file of their public halves.
    #[must_use]
    pub fn new(path: PathBuf, jwks_path: PathBuf, master_key: Arc<MasterKey>) -> Self {
        Self {
            path,
            jwks_path,
            master_key,
            next_look_ms: AtomicI64::new(i64::MIN),
            seen: Mutex::default(),
            failing: Mutex::default(),
        }
    }

    /// The keys that are there now.
    ///
    /// # Errors
    /// When the folder or a file can't be read, or no key would be published: a folder that is not mounted is empty.
    pub(super) fn read(&self) -> Result<SealingKeys, SealingKeysError> {
        let seen = self.look()?;
        self.master_key.reload()?;
        let keys = SealingKeys::load(&self.path, &self.master_key)?;
        if !keys
            .active()
            .any(|key| key.algorithm() == Algorithm::EcdhEs)
        {
            let path = self.path.clone();
            return Err(SealingKeysError::NoneActive { path });
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(keys)
    }

    /// The keys that are there now, for a card that names an unknown one; `None` when it was looked at a moment ago, or
    /// can't be read.
    pub(super) fn look_again(&self, now: UnixMillis) -> Option<SealingKeys> {
        let now_ms = now.as_i64();
        let is_due =
            |next_ms| (next_ms <= now_ms).then(|| now_ms.saturating_add(LOOK_AGAIN_AFTER_MS));
        self.next_look_ms
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_due)
            .ok()?;
        self.said_once(self.read())
    }

    /// Whether something in it is not as it was read. One that can't be looked at is: reading it says why.
    pub(super) fn has_changed(&self) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        !self.look().is_ok_and(|now| now == *seen)
    }

    /// Writes the public halves where merchants find them, unless they are there.
    ///
    /// # Errors
    /// When the file can't be written.
    pub(super) fn publish(&self, keys: &SealingKeys) -> Result<(), SealingKeysError> {
        keys.write_jwks(&self.jwks_path)
    }

    /// What came of a look. An error is logged when it is another one than at the look before.
    pub(super) fn said_once<T>(&self, done: Result<T, SealingKeysError>) -> Option<T> {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match done {
            Ok(done) => {
                *failing = None;
                Some(done)
            }
            Err(error) => {
                let text = error.to_string();
                if failing.as_ref() != Some(&text) {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(
                        error,
                        "The sealing keys could not be read again or published; those from before go on"
                    );
                    *failing = Some(text);
                }
                None
            }
        }
    }

    fn look(&self) -> Result<Seen, SealingKeysError> {
        let keys = key_paths(&self.path)?.into_iter().map(|(path, _)| path);
        let mut seen: Seen = keys
            .chain(self.master_key.paths())
            .filter_map(|path| {
                let metadata = std::fs::metadata(&path).ok()?;
                let (changed, changed_ns) = (metadata.ctime(), metadata.ctime_nsec());
                Some((path, metadata.ino(), changed, changed_ns))
            })
            .collect();
        seen.sort();
        Ok(seen)
    }
}
