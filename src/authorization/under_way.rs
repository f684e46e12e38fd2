//! The operations of the payments under way in this process: no recovery touches them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::HashSet;

use crate::payment::ids::OperationId;

/// The operations that a flow of this process is working on.
#[derive(Debug, Default)]
pub struct UnderWay(Mutex<HashSet<OperationId>>);

/// An operation is under way for as long as this lives.
pub(super) struct Mark<'a> {
    under_way: &'a UnderWay,
    operation_id: OperationId,
}

impl UnderWay {
    pub(super) fn mark(&self, operation_id: OperationId) -> Mark<'_> {
        self.lock().insert(operation_id);
        Mark {
            under_way: self,
            operation_id,
        }
    }

    pub(super) fn contains(&self, operation_id: OperationId) -> bool {
        self.lock().contains(&operation_id)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<OperationId>> {
        // A panic elsewhere leaves a set that is still a set.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        self.under_way.lock().remove(&self.operation_id);
    }
}
