//! Gives an end to the operations that a dead node left without one, and records the outcomes that this
//! node remembers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::payment::ids::OperationId;
use crate::payment::moment::UnixMillis;
use crate::payment::record::{Operation, Payment};
use crate::store::error::StoreError;

use super::call::OperationError;
use super::conclude::{LONGEST, Recorded, may_pass};
use super::flow::unfinished;
use super::machine::Operations;

/// Between two looks for operations without an end.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The most operations that are looked at in one go.
const AT_ONCE: usize = 200;
/// How long an outcome is remembered of which the store holds no intent, in milliseconds: its COMMIT may
/// have been lost for good.
const NO_INTENT_KEPT_MS: i64 = 3_600_000;

impl Operations {
    /// Gives an end to every operation that a dead node left, now and again until `stop`.
    pub async fn recover_until(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        // A task of its own: however long the recovery takes, the heartbeats are looked at in time.
        let (watching, stopping) = (Arc::clone(&self), stop.clone());
        tokio::spawn(async move {
            let liveness = &watching.node_liveness;
            liveness.watch(&watching.store, stopping).await;
        });
        let mut looked_for_holds = None;
        loop {
            self.record_remembered().await;
            looked_for_holds = self.expire_holds(looked_for_holds).await;
            if let Err(error) = self.recover().await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "Operations without an end could not be recovered");
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// An operation of this node is left behind when no task works on it and its longest time is over; one
    /// of another node when that node is dead and no byte may be sent any more.
    async fn recover(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let longest_ms = i64::try_from(LONGEST.as_millis()).unwrap_or(i64::MAX);
        let own_past = now.plus_ms(-longest_ms);
        let left_behind = |operation: &Operation| {
            if operation.node_id == self.node_id {
                operation.deadline < own_past && !self.in_progress.contains(operation.id)
            } else {
                self.node_liveness
                    .is_dead(operation.node_id, Instant::now())
            }
        };
        self.end_unfinished(now, left_behind).await
    }

    /// Records the outcomes that this process remembers because the store did not take them, unless a task
    /// still works on them. Returns how many payments of the store are left without theirs.
    ///
    /// One read says which of them the store holds an intent of. The others are not offered to it, since nothing waits
    /// for them; they are looked for again, less and less often, until they can't come any more.
    pub async fn record_remembered(&self) -> usize {
        let due = self.in_progress.due(Instant::now());
        let held = match self.store.operations_that_exist(&due).await {
            Ok(held) => held,
            Err(error) => {
                tracing::warn!(%error, "The outcomes that wait can't be recorded yet");
                return self.in_progress.waiting();
            }
        };
        for operation_id in due {
            let Some(outcome) = self.in_progress.outcome(operation_id) else {
                continue;
            };
            if !held.contains(&operation_id) {
                self.keep_without_intent(&outcome.operation);
                continue;
            }
            match self.record_once(&outcome).await {
                Ok(Recorded::AsDecided { .. }) => {}
                Ok(Recorded::EndedBefore(..)) => self.keep_ended_before(&outcome.operation).await,
                // It ends as one whose outcome is not known.
                Ok(Recorded::Cancelled(..)) => {}
                Ok(Recorded::NoIntent) => continue,
                // What the bank said is not forgotten: something has moved the payment where no outcome fits.
                Err(error @ StoreError::Conflict { .. }) => {
                    log_not_ended(operation_id, &error);
                    continue;
                }
                // It takes nothing yet.
                Err(error) if may_pass(&error) || error == StoreError::Closed => break,
                Err(error) => log_not_ended(operation_id, &error),
            }
            self.in_progress.forget(operation_id);
        }
        self.in_progress.waiting()
    }

    /// An operation that the store holds no intent of: a database that hangs can commit one that its client gave up long
    /// ago. The older it is, the less likely that is, and the later it is looked for again.
    fn keep_without_intent(&self, operation: &Operation) {
        let age_ms = self.clock.now().as_i64() - operation.created_at.as_i64();
        if age_ms >= NO_INTENT_KEPT_MS {
            return self.in_progress.forget(operation.id);
        }
        let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
        let again = Instant::now() + (age / 4).max(LOOK_EVERY);
        self.in_progress.is_absent(operation.id, again);
    }

    /// Gives an end to everything unfinished, at once: for a process that knows to be alone. Returns how
    /// many there were.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub async fn recover_all(&self) -> Result<usize, StoreError> {
        self.end_unfinished(UnixMillis::new(i64::MAX), |_| true)
            .await
    }

    /// Ends what is left behind as its flow says, past its deadline. An operation that can't be ended holds
    /// up no other. What this process remembers is left to [`record_remembered`](Self::record_remembered).
    async fn end_unfinished(
        &self,
        past: UnixMillis,
        left_behind: impl Fn(&Operation) -> bool,
    ) -> Result<usize, StoreError> {
        let mut ended = 0;
        let mut after = None;
        loop {
            let part = self
                .store
                .unfinished_operations(past, AT_ONCE, after.as_ref())
                .await?;
            for (payment, operation) in part.found {
                if !left_behind(&operation) || self.in_progress.remembers(operation.id) {
                    continue;
                }
                let operation_id = operation.id;
                match self.end(Box::new(payment), Box::new(operation)).await {
                    Ok(true) => ended += 1,
                    Ok(false) => {}
                    Err(error) if may_pass(&error) => return Err(error),
                    Err(error) => log_not_ended(operation_id, &error),
                }
            }
            match part.next {
                Some(next) => after = Some(next),
                None => return Ok(ended),
            }
        }
    }

    async fn end(
        &self,
        payment: Box<Payment>,
        operation: Box<Operation>,
    ) -> Result<bool, StoreError> {
        let decided: Result<_, OperationError<std::convert::Infallible>> =
            self.decide((payment, operation), None, &unfinished()).await;
        // What can't be decided has been logged.
        let Ok(outcome) = decided else {
            return Ok(false);
        };
        let recorded = self.record(&outcome).await?;
        Ok(matches!(recorded, Recorded::AsDecided { .. }))
    }
}

fn log_not_ended(operation_id: OperationId, error: &StoreError) {
    let error = error as &dyn std::error::Error;
    tracing::error!(operation.id = %operation_id, error, "The outcome can't be recorded");
}
