//! What this process is working on, and the outcomes that the store has not taken yet.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    remembered: Mutex<BTreeMap<OperationId, Outcome>>,
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
        remembered.insert(outcome.operation.id, outcome);
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

    /// The first remembered outcome after `after` that no task works on.
    pub(super) fn next_after(&self, after: Option<OperationId>) -> Option<Outcome> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        locked(&self.remembered)
            .range((from, Bound::Unbounded))
            .map(|(_, outcome)| outcome)
            .find(|outcome| !self.contains(outcome.operation.id))
            .cloned()
    }

    /// How many outcomes wait for the store.
    pub(super) fn remembered(&self) -> usize {
        locked(&self.remembered).len()
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
