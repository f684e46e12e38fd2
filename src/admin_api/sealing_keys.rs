//! The sealing keys: their folder, how far each has come, and when it was used last.
//!
//! The folder says what a key is. What gateways have found in it is recorded in the database, so that a key that is gone
//! is known still, and so that the audit trail has what was done on the folder itself: the first gateway that notices it
//! records it, once for all. What an operator does here has an audit row of its own (`rpc/audited`). Whoever takes a step
//! or records what was found holds the lock of the folder, so that none of the gateways that share the folder finds a step
//! that is being recorded.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Mutex, watch};

use super::records::{AuditOutcome, COMMAND_LINE};
use crate::card::envelope::Opener;
use crate::card::header::Algorithm;
use crate::card::key_folder::LOOK_EVERY;
use crate::card::key_rotation::{ListedKey, Rotation, RotationError};
use crate::card::keys::{FolderLock, SealingKeys, SealingKeysError};
use crate::card::master_key::MasterKey;
use crate::card::master_rotation::{MasterRotation, MasterRotationError, Stage};
use crate::card::sealing_key::KeyState;
use crate::clock::Clock;
use crate::payment::ids::AuditId;
use crate::payment::moment::UnixMillis;
use crate::random::{NoEntropy, Random};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::callers::AuditRecord;
use crate::store::records::keys::{SealingKeyRecord, SealingKeyState};

/// After so many looks at the folder it is recorded when keys were used last: every minute.
const LOOKS_BETWEEN_USES: u32 = 12;

/// What the sealing keys of a gateway are made of.
pub struct SealingKeyParts {
    /// The folder.
    pub folder: PathBuf,
    /// Whether the installation has an RSA key.
    pub keeps_rsa: bool,
    /// What the keys are wrapped under.
    pub master_key: Arc<MasterKey>,
    /// The file of the master key, where it lies in one.
    pub master_key_file: Option<PathBuf>,
    /// What opens with the keys.
    pub opener: Arc<Opener>,
    /// Where it is recorded what was found.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names audit rows.
    pub random: Random,
}

/// The sealing keys of a gateway.
pub struct SealingKeyBook {
    parts: SealingKeyParts,
    noted: Mutex<Noted>,
}

/// What this process has recorded.
#[derive(Default)]
struct Noted {
    /// How far the keys had come that were in use here.
    states: Option<BTreeMap<String, SealingKeyState>>,
    /// When each was used last.
    uses: BTreeMap<String, UnixMillis>,
}

/// A sealing key as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShownKey {
    pub(super) kid: String,
    pub(super) algorithm: String,
    pub(super) state: SealingKeyState,
    pub(super) since: UnixMillis,
    /// From when on it may go on to the next state.
    pub(super) next_from: Option<UnixMillis>,
    /// By any gateway, to the minute.
    pub(super) used_at: Option<UnixMillis>,
    /// Whether this gateway has it.
    pub(super) is_here: bool,
}

/// Why the keys can't be listed or changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyBookError {
    /// The folder, or the step is not allowed.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The keys can't be read or published afterwards.
    #[error(transparent)]
    Keys(#[from] SealingKeysError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No name for an audit row.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The task that works on the files has failed.
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
}

/// What is to be done with the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyStep {
    Add(Algorithm),
    Activate(String),
    Retire { kid: String, anyway: bool },
}

impl SealingKeyBook {
    /// Nothing is recorded yet.
    #[must_use]
    pub fn new(parts: SealingKeyParts) -> Self {
        Self {
            parts,
            noted: Mutex::default(),
        }
    }

    /// Records what changes in the folder, and when keys are used, until `stop`.
    pub async fn look_until(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut is_failing = false;
        for looks in 0_u32.. {
            let done = self.look(looks % LOOKS_BETWEEN_USES == 0).await;
            if let Err(error) = &done
                && !is_failing
            {
                let error = error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "It can't be recorded how far the sealing keys have come"
                );
            }
            is_failing = done.is_err();
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn look(&self, with_uses: bool) -> Result<(), KeyBookError> {
        let mut noted = self.noted.lock().await;
        // Where another gateway holds the lock, the next look finds what it leaves.
        if self.has_news(&noted)
            && let Some(_lock) = self.lock_if_free().await?
        {
            self.note(&mut noted, true).await?;
        }
        if with_uses {
            self.note_uses(&mut noted).await?;
        }
        Ok(())
    }

    /// The keys of this gateway, those that are not published yet first, then those that it does not have.
    ///
    /// # Errors
    /// When the folder or the database can't be read.
    pub(super) async fn list(&self) -> Result<Vec<ShownKey>, KeyBookError> {
        let listed = self.in_folder(None, |rotation| rotation.list()).await?;
        let recorded = self.parts.store.sealing_keys().await?;
        let mut shown: Vec<_> = listed
            .into_iter()
            .map(|key| self.shown(key, &recorded))
            .collect();
        let is_here = |it: &SealingKeyRecord| shown.iter().any(|key| key.kid == it.kid);
        let elsewhere: Vec<_> = recorded.into_iter().filter(|it| !is_here(it)).collect();
        shown.extend(elsewhere.into_iter().map(|key| ShownKey {
            kid: key.kid,
            algorithm: key.algorithm,
            state: key.state,
            since: key.since,
            next_from: None,
            used_at: key.used_at,
            is_here: false,
        }));
        Ok(shown)
    }

    /// Takes a step: the key that it is about as it is then.
    ///
    /// # Errors
    /// When it is not allowed, or the folder or the database can't be used. What was done and could not be recorded, the
    /// next look finds.
    pub(super) async fn step(&self, step: KeyStep) -> Result<Option<ShownKey>, KeyBookError> {
        let mut noted = self.noted.lock().await;
        let lock = Arc::new(self.lock().await?);
        // What somebody has done on the folder before is not taken for a part of this. A folder that can't be used as it is
        // may be what the step repairs.
        if let Err(error) = self.reload_keys().await {
            tracing::warn!(%error, "The folder of sealing keys can't be read before a step");
        }
        self.note(&mut noted, true).await?;
        self.note_uses(&mut noted).await?;
        let keeps_rsa = self.parts.keeps_rsa;
        let taken = self.in_folder(Some(&lock), move |rotation| match step {
            KeyStep::Add(algorithm) => rotation.add(algorithm).map(|key| key.kid),
            KeyStep::Activate(kid) => rotation.activate(&kid).map(|key| key.kid),
            KeyStep::Retire { kid, anyway } => {
                rotation.retire(&kid, keeps_rsa, anyway).map(|_| kid)
            }
        });
        let kid = taken.await?;
        self.reload_keys().await?;
        self.note(&mut noted, false).await?;
        drop(lock);
        let listed = self.list().await?;
        Ok(listed.into_iter().find(|key| key.kid == kid))
    }

    /// How far a rotation of the master key is; none where the master key lies in no file.
    ///
    /// # Errors
    /// When a file is there whose time can't be told.
    pub(super) fn master_stage(&self) -> Result<Option<Stage>, MasterRotationError> {
        let file = self.parts.master_key_file.as_deref();
        file.map(MasterRotation::stage).transpose()
    }

    fn shown(&self, key: ListedKey, recorded: &[SealingKeyRecord]) -> ShownKey {
        let recorded = recorded.iter().find(|it| it.kid == key.kid);
        let keys = self.parts.opener.sealing_keys();
        let here = keys.iter().find(|it| it.kid() == key.kid);
        ShownKey {
            used_at: recorded
                .and_then(|it| it.used_at)
                .max(here.and_then(|it| it.used_at())),
            kid: key.kid,
            algorithm: key.algorithm.name().to_owned(),
            state: recorded_state(key.state),
            since: key.since,
            next_from: key.next_from,
            is_here: true,
        }
    }

    /// Waits for the lock of the folder.
    async fn lock(&self) -> Result<FolderLock, KeyBookError> {
        let folder = self.parts.folder.clone();
        Ok(tokio::task::spawn_blocking(move || FolderLock::take(&folder)).await??)
    }

    /// The lock of the folder, unless somebody else holds it.
    async fn lock_if_free(&self) -> Result<Option<FolderLock>, KeyBookError> {
        let folder = self.parts.folder.clone();
        Ok(tokio::task::spawn_blocking(move || FolderLock::take_if_free(&folder)).await??)
    }

    async fn reload_keys(&self) -> Result<(), KeyBookError> {
        let opener = Arc::clone(&self.parts.opener);
        Ok(tokio::task::spawn_blocking(move || opener.reload_keys()).await??)
    }

    /// Files, and numbers of thousands of bits: no work for a thread that payments share. The `lock` stays held until it
    /// is done, also where the caller has gone away.
    async fn in_folder<T: Send + 'static>(
        &self,
        lock: Option<&Arc<FolderLock>>,
        work: impl FnOnce(&Rotation<'_>) -> Result<T, RotationError> + Send + 'static,
    ) -> Result<T, KeyBookError> {
        let folder = self.parts.folder.clone();
        let master_key = Arc::clone(&self.parts.master_key);
        let now = self.parts.clock.now();
        let lock = lock.map(Arc::clone);
        let work = tokio::task::spawn_blocking(move || {
            master_key.reload().map_err(SealingKeysError::from)?;
            work(&Rotation {
                folder: &folder,
                master_key: &master_key,
                now,
                lock: lock.as_deref(),
            })
        });
        Ok(work.await??)
    }

    /// Whether the keys in use are not as this process has recorded them last.
    fn has_news(&self, noted: &Noted) -> bool {
        noted.states.as_ref() != Some(&states(&self.parts.opener.sealing_keys()))
    }

    /// Records how far the keys in use have come since the last look: with a row of the audit trail each, where nobody
    /// else records it. The caller holds the lock of the folder.
    async fn note(&self, noted: &mut Noted, with_audit: bool) -> Result<(), KeyBookError> {
        let keys = self.parts.opener.sealing_keys();
        let states = states(&keys);
        if noted.states.as_ref() == Some(&states) {
            return Ok(());
        }
        let recorded = self.parts.store.sealing_keys().await?;
        // The keys of a new installation, and of one that has not recorded any before, are nobody's change.
        let with_audit = with_audit && !recorded.is_empty();
        let found = keys.iter().map(|key| {
            let state = recorded_state(key.state());
            (key.kid(), key.algorithm().name(), state)
        });
        // A key that is gone was here before: a folder of another machine may not have it yet. The one process that has
        // a database for itself knows them all.
        let was_here = |it: &&SealingKeyRecord| match &noted.states {
            Some(before) => before.contains_key(&it.kid),
            None => self.parts.store.exclusive(),
        };
        let gone = recorded.iter().filter(was_here).filter_map(|it| {
            let gone = SealingKeyState::Retired;
            (!states.contains_key(&it.kid)).then_some((&*it.kid, &*it.algorithm, gone))
        });
        for (kid, algorithm, state) in found.chain(gone) {
            let before = recorded.iter().find(|it| it.kid == kid);
            if before.is_some_and(|before| before.state >= state) {
                continue;
            }
            let key = SealingKeyRecord {
                kid: kid.to_owned(),
                algorithm: algorithm.to_owned(),
                state,
                since: self.parts.clock.now(),
                used_at: None,
            };
            let row = with_audit.then(|| self.row(&key)).transpose()?;
            let before = before.map(|before| before.state);
            let store = &self.parts.store;
            // Where it was not recorded, another gateway with a folder of its own was first.
            store.record_sealing_key(&key, before, row.as_ref()).await?;
        }
        noted.states = Some(states);
        Ok(())
    }

    fn row(&self, key: &SealingKeyRecord) -> Result<AuditRecord, NoEntropy> {
        let state = key.state.name();
        Ok(AuditRecord {
            id: AuditId::from_parts(key.since, self.parts.random.bytes_for_name()?),
            at: key.since,
            operator: COMMAND_LINE.to_owned(),
            action: "sealing key changed".to_owned(),
            target: format!("{} as {state}", key.kid),
            reason: "found in the folder of sealing keys".to_owned(),
            request_id: format!("{}-{state}", key.kid),
            body_hash: [0; 32],
            outcome: Some(AuditOutcome::Done.to_string()),
            answer: Vec::new(),
        })
    }

    async fn note_uses(&self, noted: &mut Noted) -> Result<(), KeyBookError> {
        let keys = self.parts.opener.sealing_keys();
        let known = |kid: &str| keys.iter().any(|key| key.kid() == kid);
        noted.uses.retain(|kid, _| known(kid));
        for key in keys.iter() {
            let Some(used_at) = key.used_at() else {
                continue;
            };
            if noted.uses.get(key.kid()) != Some(&used_at) {
                let store = &self.parts.store;
                store.record_sealing_key_use(key.kid(), used_at).await?;
                noted.uses.insert(key.kid().to_owned(), used_at);
            }
        }
        Ok(())
    }
}

/// How far each key has come.
fn states(keys: &SealingKeys) -> BTreeMap<String, SealingKeyState> {
    let states = keys
        .iter()
        .map(|key| (key.kid().to_owned(), recorded_state(key.state())));
    states.collect()
}

const fn recorded_state(state: KeyState) -> SealingKeyState {
    match state {
        KeyState::Upcoming => SealingKeyState::Upcoming,
        KeyState::Active => SealingKeyState::Active,
        KeyState::Retiring => SealingKeyState::Retiring,
    }
}

#[cfg(test)]
mod tests;
