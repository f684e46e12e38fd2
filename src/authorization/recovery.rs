//! Gives an outcome to payments that a stopped gateway left without one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::hosts::exchange::Exchange;
use crate::payment::decline::UnknownReason;
use crate::payment::ids::NodeId;
use crate::payment::moment::UnixMillis;
use crate::payment::record::{Operation, Payment};
use crate::store::error::StoreError;
use crate::store::records::OutcomeRecorded;

use super::recording::{LONGEST, log_reversal_owed, may_pass};
use super::{Authorizations, decision};

/// Between two looks for payments without an outcome.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A process that has given no new sign of life for this long is taken for stopped. It gives one every
/// ten seconds.
const SILENT_FOR: Duration = Duration::from_secs(35);
/// When this process's own signs of life have not arrived for so long, nobody's silence means anything.
const OWN_SIGN_LATE: Duration = Duration::from_secs(20);
/// A process that has not looked for so long knows nothing of the others' silence.
const LOOKED_AWAY: Duration = Duration::from_secs(15);
/// The most payments that are looked at in one go.
const AT_ONCE: usize = 200;
/// How long an outcome is remembered of which the store holds no intent, in milliseconds: its COMMIT may
/// have been lost for good.
const NOT_FOUND_KEPT_MS: i64 = 3_600_000;

/// Who is alive, told from whether signs of life *change* while this process watches: the clocks of
/// two machines, or of one that was set, are never compared.
/// A database that took no signs, or could not be asked, makes nobody stopped.
#[derive(Debug)]
struct Lives {
    own: NodeId,
    looked_at: Option<Instant>,
    seen: HashMap<NodeId, (UnixMillis, Instant)>,
}

impl Lives {
    fn of(own: NodeId) -> Self {
        Self {
            own,
            looked_at: None,
            seen: HashMap::new(),
        }
    }

    fn look(&mut self, signs: &[(NodeId, UnixMillis)], now: Instant) {
        let looked_away = self
            .looked_at
            .replace(now)
            .is_none_or(|before| now.duration_since(before) > LOOKED_AWAY);
        let before = std::mem::take(&mut self.seen);
        for &(node_id, sign) in signs {
            let since = match before.get(&node_id) {
                Some(&(same, since)) if same == sign && !looked_away => since,
                _ => now,
            };
            self.seen.insert(node_id, (sign, since));
        }
        let own_arrive = self
            .seen
            .get(&self.own)
            .is_some_and(|(_, since)| now.duration_since(*since) < OWN_SIGN_LATE);
        if !own_arrive {
            let others = self.seen.iter_mut().filter(|(id, _)| **id != self.own);
            for (_, (_, since)) in others {
                *since = now;
            }
        }
    }

    fn is_alive(&self, node_id: NodeId, now: Instant) -> bool {
        self.seen
            .get(&node_id)
            .is_some_and(|(_, since)| now.duration_since(*since) < SILENT_FOR)
    }
}

impl Authorizations {
    /// Gives an outcome to every payment that a stopped process left, now and again until `stop`.
    pub async fn recover_until(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut lives = Lives::of(self.node_id);
        loop {
            self.settle().await;
            if let Err(error) = self.recover(&mut lives).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "Payments without an outcome could not be resolved");
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn recover(&self, lives: &mut Lives) -> Result<usize, StoreError> {
        lives.look(&self.store.heartbeats().await?, Instant::now());
        let grace_ms = i64::try_from(LONGEST.as_millis()).unwrap_or(i64::MAX);
        let past = self.clock.now().plus_ms(-grace_ms);
        let left = |operation: &Operation| {
            if operation.node_id == self.node_id {
                !self.operations_under_way.contains(operation.id)
            } else {
                !lives.is_alive(operation.node_id, Instant::now())
            }
        };
        self.resolve(past, left).await
    }

    /// Records the outcomes that this process remembers because the store did not take them, unless a flow
    /// still works on them. Returns how many payments of the store are left without theirs; where it holds
    /// no intent, there is none.
    pub async fn settle(&self) -> usize {
        let (mut after, mut without_intent) = (None, 0_usize);
        while let Some(outcome) = self.operations_under_way.next_after(after) {
            let operation_id = outcome.operation.id;
            after = Some(operation_id);
            match self.store.record_outcome(&outcome).await {
                Ok(OutcomeRecorded::Recorded) => {}
                Ok(OutcomeRecorded::Superseded { .. }) => {
                    self.keep_superseded(&outcome.operation).await;
                }
                Err(StoreError::NotFound { .. }) => {
                    let age_ms = self.clock.now().as_i64() - outcome.operation.created_at.as_i64();
                    if age_ms < NOT_FOUND_KEPT_MS {
                        without_intent += 1;
                        continue;
                    }
                }
                // It takes nothing yet.
                Err(error) if may_pass(&error) || error == StoreError::Closed => break,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(operation.id = %operation_id, error, "An outcome can't be recorded");
                }
            }
            self.operations_under_way.forget(operation_id);
        }
        let unrecorded = self.operations_under_way.unrecorded();
        unrecorded.saturating_sub(without_intent)
    }

    /// Gives an outcome to everything unfinished, at once: for a process that knows to be alone.
    /// Returns how many there were.
    ///
    /// # Errors
    /// When the store can't be read or written.
    pub async fn recover_all(&self) -> Result<usize, StoreError> {
        self.resolve(UnixMillis::new(i64::MAX), |_| true).await
    }

    /// Resolves what nobody works on any more: the outcome is not known, and a reversal is owed, since
    /// a byte may have reached the bank. What this process remembers is [`settle`](Self::settle)'s. One
    /// that can't be resolved holds up no other.
    async fn resolve(
        &self,
        past: UnixMillis,
        left: impl Fn(&Operation) -> bool,
    ) -> Result<usize, StoreError> {
        let mut resolved = 0;
        let mut after = None;
        loop {
            let part = self
                .store
                .unfinished_operations(past, AT_ONCE, after.as_ref())
                .await?;
            for (payment, operation) in part.found {
                if !left(&operation) {
                    continue;
                }
                let payment_id = payment.id;
                match self
                    .resolve_one(Box::new(payment), Box::new(operation))
                    .await
                {
                    Ok(true) => resolved += 1,
                    Ok(false) => {}
                    Err(error) if may_pass(&error) => return Err(error),
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(payment.id = %payment_id, error, "The payment can't be resolved");
                    }
                }
            }
            match part.next {
                Some(next) => after = Some(next),
                None => return Ok(resolved),
            }
        }
    }

    async fn resolve_one(
        &self,
        payment: Box<Payment>,
        operation: Box<Operation>,
    ) -> Result<bool, StoreError> {
        if self.operations_under_way.remembers(operation.id) {
            return Ok(false);
        }
        let payment_id = payment.id;
        let exchange = Exchange::Unknown(UnknownReason::GatewayStopped);
        let decided = match decision::decide(payment, operation, exchange, 0, self.clock.now()) {
            Ok(decided) => decided,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(payment.id = %payment_id, error, "The payment can't be resolved");
                return Ok(false);
            }
        };
        if let Some(reversal) = &decided.reversal {
            log_reversal_owed(&decided.operation, reversal.reason);
        }
        let recorded = self.record(&decided).await?;
        Ok(recorded == OutcomeRecorded::Recorded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_while_its_signs_change() {
        let node = |n: u8| NodeId::from_parts(UnixMillis::new(1), [n; 10]);
        let mut lives = Lives::of(node(9));
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        // The signs come from clocks an hour ahead and an hour behind: only their change counts.
        for s in (0..=60).step_by(5) {
            let living = UnixMillis::new(3_600_000 + i64::try_from(s / 10).unwrap());
            lives.look(
                &[
                    (node(9), living),
                    (node(1), living),
                    (node(2), UnixMillis::new(-3_600_000)),
                ],
                at(s),
            );
        }
        assert!(lives.is_alive(node(1), at(60)));
        assert!(!lives.is_alive(node(2), at(60)));
        assert!(
            lives.is_alive(node(2), at(34)),
            "it is watched before it is taken for stopped"
        );
        assert!(
            !lives.is_alive(node(3), at(60)),
            "a process that stopped in order is not listed"
        );
        lives.look(&[(node(2), UnixMillis::new(7))], at(61));
        assert!(
            lives.is_alive(node(2), at(61)),
            "a paused process that goes on is alive again"
        );
    }

    #[test]
    fn nobody_stopped_while_the_database_took_no_signs_or_nobody_looked() {
        let node = |n: u8| NodeId::from_parts(UnixMillis::new(1), [n; 10]);
        let mut lives = Lives::of(node(9));
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let sign = |s: u64| UnixMillis::new(i64::try_from(s / 10).unwrap());
        let signs = |own: u64, other: u64| [(node(9), sign(own)), (node(1), sign(other))];
        for s in (0..=30).step_by(5) {
            lives.look(&signs(s, s), at(s));
        }
        // It can be read, and takes nothing, for longer than a silence may last.
        for s in (35..=100).step_by(5) {
            lives.look(&signs(30, 30), at(s));
            assert!(lives.is_alive(node(1), at(s)), "{s}");
        }
        // It takes signs again, and this process's is the first; the other's never comes.
        for s in (105..=130).step_by(5) {
            lives.look(&signs(s, 30), at(s));
            assert!(lives.is_alive(node(1), at(s)), "{s}");
        }
        for s in (135..=140).step_by(5) {
            lives.look(&signs(s, 30), at(s));
        }
        assert!(!lives.is_alive(node(1), at(140)));
        // It could not be asked for a while: the silence begins anew.
        lives.look(&signs(200, 30), at(200));
        assert!(lives.is_alive(node(1), at(200)));
    }
}
