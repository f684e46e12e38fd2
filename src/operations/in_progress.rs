//! What this process is working on, and the outcomes that the store has not taken yet.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::payment::ids::OperationId;
use crate::random::HashSet;

use super::outcome::Outcome;

/// The most outcomes that are remembered, about a kilobyte each. An operation whose outcome is forgotten
/// ends as unknown, and owes a reversal.
const MAX_REMEMBERED: usize = 16_384;

/// The operations that a task of this process is working on, and the outcomes that wait for the store.
#[derive(Debug, Default)]
pub(super) struct InProgress {
    marked: Mutex<HashSet<OperationId>>,
    /// The names of operations begin with the time, so the first is the oldest.
    remembered: Mutex<BTreeMap<OperationId, Remembered>>,
}

/// An outcome that waits for the store.
#[derive(Debug)]
struct Remembered {
    outcome: Outcome,
    /// Until then it is not looked for: the store did not hold its intent.
    absent_until: Option<Instant>,
}

/// An operation is in progress for as long as this lives.
pub(super) struct Mark<'a> {
    in_progress: &'a InProgress,
    operation_id: OperationId,
}

impl InProgress {
    pub(super) fn mark(&self, operation_id: OperationId) -> Mark<'_> {
        locked(&self.marked).insert(operation_id);
        Mark {
            in_progress: self,
            operation_id,
        }
    }

    pub(super) fn contains(&self, operation_id: OperationId) -> bool {
        locked(&self.marked).contains(&operation_id)
    }

    /// Remembers an outcome until the store takes it. The store may not even hold the intent yet: a
    /// database that hangs can commit what its client gave up long ago.
    pub(super) fn remember(&self, outcome: Outcome) {
        let mut remembered = locked(&self.remembered);
        let operation_id = outcome.operation.id;
        let outcome = Remembered {
            outcome,
            absent_until: None,
        };
        remembered.insert(operation_id, outcome);
        if remembered.len() > MAX_REMEMBERED
            && let Some((operation_id, _)) = remembered.pop_first()
        {
            tracing::error!(operation.id = %operation_id, "An outcome that is not recorded is forgotten");
        }
    }

    /// Whether this process, and nothing else, knows the outcome of an operation.
    pub(super) fn remembers(&self, operation_id: OperationId) -> bool {
        locked(&self.remembered).contains_key(&operation_id)
    }

    /// The operations whose outcomes are to be recorded now, and that no task works on; the oldest comes first.
    pub(super) fn due(&self, now: Instant) -> Vec<OperationId> {
        let remembered = locked(&self.remembered);
        let due = remembered.iter().filter(|(operation_id, remembered)| {
            remembered.absent_until.is_none_or(|until| until <= now)
                && !self.contains(**operation_id)
        });
        due.map(|(operation_id, _)| *operation_id).collect()
    }

    /// What is remembered of an operation.
    pub(super) fn outcome(&self, operation_id: OperationId) -> Option<Outcome> {
        let remembered = locked(&self.remembered);
        Some(remembered.get(&operation_id)?.outcome.clone())
    }

    /// The store holds no intent of the operation: it is looked for again after `until`.
    pub(super) fn is_absent(&self, operation_id: OperationId, until: Instant) {
        if let Some(remembered) = locked(&self.remembered).get_mut(&operation_id) {
            remembered.absent_until = Some(until);
        }
    }

    /// How many outcomes wait for the store; without those of which it held no intent.
    pub(super) fn waiting(&self) -> usize {
        let remembered = locked(&self.remembered);
        let waits = |remembered: &&Remembered| remembered.absent_until.is_none();
        remembered.values().filter(waits).count()
    }

    /// The outcome is recorded.
    pub(super) fn forget(&self, operation_id: OperationId) {
        locked(&self.remembered).remove(&operation_id);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves a set that is still a set.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        locked(&self.in_progress.marked).remove(&self.operation_id);
    }
}
