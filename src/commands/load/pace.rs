//! When calls are made: each when the one before came back (closed loop), or by the clock (open loop).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::client::Grpc;

use super::cards::{CardError, Supply, float};
use super::mix::Mix;
use super::tally::Tally;
use super::target::Connection;
use crate::merchant_api::client::encoded::{self, Answer, EncodedRequest};

/// How long calls that are in progress when the run ends are waited for: longer than the five seconds
/// within which a gateway answers.
const DRAIN_WITHIN: Duration = Duration::from_secs(8);
/// The same where captures, voids and refunds follow: an authorization, a capture, and a refund that waits for it.
const MIX_DRAIN_WITHIN: Duration = Duration::from_secs(25);
/// How long a caller of a closed loop waits after an error, so that a gateway that refuses at once is
/// not asked as fast as this machine can.
const AFTER_ERROR: Duration = Duration::from_millis(10);
/// The longest sleep of the pacing thread, after which it looks whether the run was stopped.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);
/// Lots of due calls that wait for the dispatcher.
const WAITING_LOTS: usize = 1024;

/// A run: who calls, with what, and until when.
pub(super) struct Run {
    connections: Vec<Connection>,
    supply: Supply,
    /// What comes of it.
    pub(super) tally: Tally,
    /// What follows an authorization; nothing when it is not set.
    pub(super) mix: Option<Mix>,
    /// Ends it early.
    pub(super) stop: CancellationToken,
    /// Why it ended by itself.
    failed: Mutex<Option<CardError>>,
}

/// What follows a run, of all its payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Capture,
    Refund,
}

impl Run {
    /// A run that has not begun.
    pub(super) fn new(
        connections: Vec<Connection>,
        supply: Supply,
        tally: Tally,
        mix: Option<Mix>,
        stop: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            connections,
            supply,
            tally,
            mix,
            stop,
            failed: Mutex::new(None),
        })
    }

    /// Cards that were sealed while it ran.
    pub(super) fn sealed_during_run(&self) -> u64 {
        self.supply.sealed_during_run()
    }

    /// So many callers, each of whom calls again when it was answered, while `goes_on` says so. How
    /// long that took.
    ///
    /// # Errors
    /// When no card could be sealed.
    pub(super) async fn closed(
        self: &Arc<Self>,
        concurrency: usize,
        goes_on: impl Fn() -> bool + Clone + Send + Sync + 'static,
    ) -> Result<Duration, CardError> {
        self.callers(concurrency, move |run, connection| {
            let goes_on = goes_on.clone();
            async move { run.call_again_and_again(connection, goes_on).await }
        })
        .await
    }

    /// Captures, or refunds, each of these payments once, by so many callers. How long that took.
    ///
    /// # Errors
    /// Never: no card is sealed.
    pub(super) async fn phase(
        self: &Arc<Self>,
        concurrency: usize,
        kind: Phase,
        payments: Vec<String>,
    ) -> Result<Duration, CardError> {
        let left = Arc::new(Mutex::new(payments.into_iter()));
        self.callers(concurrency, move |run, connection| {
            let left = Arc::clone(&left);
            async move {
                let mut service = Grpc::new(connection);
                // Not while the list is locked: the others would wait for the call.
                let next = async || left.lock().await.next();
                while let (Some(mix), Some(id)) = (&run.mix, next().await) {
                    match kind {
                        Phase::Capture => mix.capture(&mut service, &id).await,
                        Phase::Refund => mix.refund(&mut service, &id).await,
                    };
                }
            }
        })
        .await
    }

    /// So many callers at once, until the first has nothing more to do and the others have ended. How long that took.
    async fn callers<F: Future<Output = ()> + Send + 'static>(
        self: &Arc<Self>,
        concurrency: usize,
        work: impl Fn(Arc<Self>, Connection) -> F,
    ) -> Result<Duration, CardError> {
        let started = Instant::now();
        let callers = TaskTracker::new();
        let ending = CancellationToken::new();
        for connection in self.connections.iter().cycle().take(concurrency) {
            let work = work(Arc::clone(self), connection.clone());
            let ended = ending.clone();
            callers.spawn(async move {
                // The first who is done says that the run is ending.
                let _ending = ended.drop_guard();
                work.await;
            });
        }
        callers.close();
        ending.cancelled().await;
        self.drain(&callers).await?;
        Ok(started.elapsed())
    }

    async fn call_again_and_again(&self, connection: Connection, goes_on: impl Fn() -> bool) {
        let mut service = Grpc::new(connection);
        while goes_on() && !self.stop.is_cancelled() {
            let Some(request) = self.card().await else {
                return;
            };
            if !self.call(&mut service, request, Instant::now()).await {
                tokio::select! {
                    () = tokio::time::sleep(AFTER_ERROR) => {}
                    () = self.stop.cancelled() => {}
                }
            }
        }
    }

    /// `calls` calls, `rate` of them a second, whatever the answers do; at most `in_flight` at once.
    /// How long that took, and how many calls were due.
    ///
    /// A call's time counts from when it was due, so that a gateway that stalls can't hide how long
    /// callers would have waited.
    ///
    /// # Errors
    /// When no card could be sealed.
    pub(super) async fn open(
        self: &Arc<Self>,
        rate: f64,
        calls: u64,
        in_flight: usize,
    ) -> Result<(Duration, u64), CardError> {
        let schedule = Schedule {
            start: Instant::now(),
            rate,
            calls,
        };
        let end = schedule.due(calls);
        let (due, mut lots) = mpsc::channel(WAITING_LOTS);
        let stopped = self.stop.clone();
        let pacing = tokio::task::spawn_blocking(move || schedule.pace(&due, &stopped));
        let places = Arc::new(Semaphore::new(in_flight));
        let calling = TaskTracker::new();
        let mut made = 0;
        let due_by_end = 'run: loop {
            // The pacing thread says no more: every call that was due is made.
            let Some(lot) = lots.recv().await else {
                break made;
            };
            while made < lot {
                let (Some(place), Some(request), Some(connection)) = (
                    self.place(&places, end).await,
                    self.card().await,
                    self.connection(made),
                ) else {
                    break 'run schedule.due_by(Instant::now());
                };
                let (run, from) = (Arc::clone(self), schedule.due(made));
                calling.spawn(async move {
                    run.call(&mut Grpc::new(connection), request, from).await;
                    drop(place);
                });
                made += 1;
            }
        };
        let ended = Instant::now();
        // The pacing thread sees that nobody listens any more.
        drop(lots);
        for call in made..due_by_end {
            let waited = ended.saturating_duration_since(schedule.due(call));
            self.tally.skip(waited);
        }
        calling.close();
        self.drain(&calling).await?;
        pacing.await.map_err(|_| CardError::Thread)?;
        Ok((schedule.start.elapsed(), due_by_end))
    }

    /// A place among the calls in flight, unless the run ends before there is one.
    async fn place(
        &self,
        places: &Arc<Semaphore>,
        end: Instant,
    ) -> Option<tokio::sync::OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            return Some(place);
        }
        tokio::select! {
            place = Arc::clone(places).acquire_owned() => place.ok(),
            () = tokio::time::sleep_until(end) => None,
            () = self.stop.cancelled() => None,
        }
    }

    fn connection(&self, call: u64) -> Option<Connection> {
        let index = usize::try_from(call).unwrap_or_default() % self.connections.len().max(1);
        self.connections.get(index).cloned()
    }

    async fn card(&self) -> Option<EncodedRequest> {
        match self.supply.take().await {
            Ok(request) => Some(request),
            Err(error) => {
                *self.failed.lock().await = Some(error);
                self.stop.cancel();
                None
            }
        }
    }

    /// Whether it was answered, and what follows it.
    async fn call(
        &self,
        service: &mut Grpc<Connection>,
        request: EncodedRequest,
        from: Instant,
    ) -> bool {
        self.tally.start();
        let answer = encoded::call::<Answer>(service, encoded::AUTHORIZE_PAYMENT, request).await;
        let is_answered = self.tally.end(from.elapsed(), &answer);
        let (Some(mix), Ok(answer)) = (&self.mix, answer) else {
            return is_answered;
        };
        match answer.into_inner().payment {
            Some(payment) if is_answered => mix.go_on(service, &payment).await,
            _ => is_answered,
        }
    }

    async fn drain(&self, calling: &TaskTracker) -> Result<(), CardError> {
        let within = self.mix.as_ref().map_or(DRAIN_WITHIN, |_| MIX_DRAIN_WITHIN);
        // What has no answer by then is counted as an error when the tally is closed.
        let _drained = tokio::time::timeout(within, calling.wait()).await;
        self.failed.lock().await.take().map_or(Ok(()), Err)
    }
}

/// When the calls of an open loop are due.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    start: Instant,
    /// Calls a second.
    rate: f64,
    calls: u64,
}

impl Schedule {
    fn due(self, call: u64) -> Instant {
        self.start + Duration::from_secs_f64(float(call) / self.rate)
    }

    /// How many calls are due by then.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a time that has passed times a rate is positive, and far below 2^53"
    )]
    fn due_by(self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.start).as_secs_f64();
        ((passed * self.rate) as u64 + 1).min(self.calls)
    }

    /// Says how many calls are due by now, whenever there are more. A thread of its own does this:
    /// the runtime's timer counts in whole milliseconds, and what is measured is less than that.
    fn pace(self, due: &mpsc::Sender<u64>, stop: &CancellationToken) {
        let mut said = 0;
        while said < self.calls && !stop.is_cancelled() {
            let now = Instant::now();
            let by_now = self.due_by(now);
            if by_now > said {
                if due.blocking_send(by_now).is_err() {
                    return;
                }
                said = by_now;
            }
            let next = self.due(said).saturating_duration_since(now);
            std::thread::park_timeout(next.min(LONGEST_SLEEP));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_due_by_the_clock() {
        let schedule = Schedule {
            start: Instant::now(),
            rate: 1000.0,
            calls: 50,
        };
        for (after_ms, due) in [(0, 1), (1, 2), (10, 11), (49, 50), (1000, 50)] {
            // A microsecond more, because a float may lie just below the whole number.
            let now = schedule.start + Duration::from_millis(after_ms) + Duration::from_micros(1);
            assert_eq!(schedule.due_by(now), due, "{after_ms} ms");
        }
        assert_eq!(
            schedule.due(25).duration_since(schedule.start),
            Duration::from_millis(25)
        );
    }

    #[tokio::test]
    async fn every_due_call_is_said_once_and_in_order() {
        let schedule = Schedule {
            start: Instant::now(),
            rate: 20_000.0,
            calls: 500,
        };
        let (due, mut lots) = mpsc::channel(WAITING_LOTS);
        let stop = CancellationToken::new();
        let pacing = tokio::task::spawn_blocking(move || schedule.pace(&due, &stop));
        let mut last = 0;
        while let Some(lot) = lots.recv().await {
            assert!(lot > last, "{lot} after {last}");
            last = lot;
        }
        assert_eq!(last, 500);
        pacing.await.unwrap();
    }
}
