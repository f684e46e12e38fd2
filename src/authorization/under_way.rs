//! The operations of the payments under way in this process: no recovery touches them. And those that it
//! gave up before anything was sent, without knowing whether they are recorded.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::HashSet;

use crate::payment::ids::OperationId;

/// The most operations that are remembered as never sent. Who is forgotten is taken for sent, and owes a
/// reversal that the bank will find nothing for.
const NEVER_SENT: usize = 16_384;

/// The operations that a flow of this process is working on, or has given up before it sent anything.
#[derive(Debug, Default)]
pub struct UnderWay {
    marked: Mutex<HashSet<OperationId>>,
    never_sent: Mutex<VecDeque<OperationId>>,
}

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

    /// Remembers that nothing was sent, and never will be, for an operation whose COMMIT may still come
    /// through: a database that hangs can confirm to itself what its client gave up long ago.
    pub(super) fn never_send(&self, operation_id: OperationId) {
        let mut never_sent = Self::locked(&self.never_sent);
        if never_sent.len() >= NEVER_SENT {
            never_sent.pop_front();
        }
        never_sent.push_back(operation_id);
    }

    pub(super) fn was_never_sent(&self, operation_id: OperationId) -> bool {
        Self::locked(&self.never_sent).contains(&operation_id)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<OperationId>> {
        Self::locked(&self.marked)
    }

    fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        // A panic elsewhere leaves a set that is still a set.
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        self.under_way.lock().remove(&self.operation_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::moment::UnixMillis;

    #[test]
    fn the_latest_that_were_never_sent_are_remembered() {
        let under_way = UnderWay::default();
        let operation = |number: usize| {
            let now = UnixMillis::new(i64::try_from(number).unwrap());
            OperationId::from_parts(now, [7; 10])
        };
        for number in 0..=NEVER_SENT {
            under_way.never_send(operation(number));
        }
        assert!(!under_way.was_never_sent(operation(0)));
        assert!(under_way.was_never_sent(operation(1)));
        assert!(under_way.was_never_sent(operation(NEVER_SENT)));
        assert!(!under_way.contains(operation(1)));
    }
}
