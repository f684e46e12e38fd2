//! The operations of the payments under way in this process: no recovery touches them. And what came of
//! those whose outcome the store did not take.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::HashSet;

use crate::payment::ids::OperationId;
use crate::store::records::AuthorizationOutcome;

/// The most outcomes that are remembered, about a kilobyte each. What came of an operation that is
/// forgotten is not known any more: a reversal is owed.
const UNRECORDED: usize = 16_384;

/// The operations that a flow of this process is working on, or has left without a record of their
/// outcome.
#[derive(Debug, Default)]
pub struct UnderWay {
    marked: Mutex<HashSet<OperationId>>,
    /// The names of operations begin with the time, so the first is the oldest.
    unrecorded: Mutex<BTreeMap<OperationId, AuthorizationOutcome>>,
}

/// An operation is under way for as long as this lives.
pub(super) struct Mark<'a> {
    under_way: &'a UnderWay,
    operation_id: OperationId,
}

impl UnderWay {
    pub(super) fn mark(&self, operation_id: OperationId) -> Mark<'_> {
        locked(&self.marked).insert(operation_id);
        Mark {
            under_way: self,
            operation_id,
        }
    }

    pub(super) fn contains(&self, operation_id: OperationId) -> bool {
        locked(&self.marked).contains(&operation_id)
    }

    /// Remembers what came of an operation, for when the store takes it again. It may not even hold the
    /// intent yet: a database that hangs can confirm to itself what its client gave up long ago.
    pub(super) fn remember(&self, outcome: AuthorizationOutcome) {
        let mut unrecorded = locked(&self.unrecorded);
        unrecorded.insert(outcome.operation.id, outcome);
        if unrecorded.len() > UNRECORDED
            && let Some((operation_id, _)) = unrecorded.pop_first()
        {
            tracing::error!(operation.id = %operation_id, "An outcome that is not recorded is forgotten");
        }
    }

    /// Whether it is known here, and nowhere else, what came of an operation.
    pub(super) fn remembers(&self, operation_id: OperationId) -> bool {
        locked(&self.unrecorded).contains_key(&operation_id)
    }

    /// The outcome that comes next after `after`, of those that no flow works on.
    pub(super) fn next_after(&self, after: Option<OperationId>) -> Option<AuthorizationOutcome> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        locked(&self.unrecorded)
            .range((from, Bound::Unbounded))
            .map(|(_, outcome)| outcome)
            .find(|outcome| !self.contains(outcome.operation.id))
            .cloned()
    }

    /// How many outcomes are not recorded.
    pub(super) fn unrecorded(&self) -> usize {
        locked(&self.unrecorded).len()
    }

    /// It is recorded now.
    pub(super) fn forget(&self, operation_id: OperationId) {
        locked(&self.unrecorded).remove(&operation_id);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves a set that is still a set.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        locked(&self.under_way.marked).remove(&self.operation_id);
    }
}
