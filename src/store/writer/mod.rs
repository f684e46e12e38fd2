//! The group-commit writer: one task with the one connection that writes. All changes that wait go into
//! one transaction; while it commits, the next batch gathers.
//!
//! - `rows`: what callers want written, as values, and what they are told.
//! - `queue`: the requests that wait; `batch`: those of one transaction.
//! - `transaction`: the statements of a batch, in which order they run; `positions`: what it writes last.

pub(in crate::store) mod batch;
mod items;
mod positions;
pub(in crate::store) mod queue;
pub(in crate::store) mod rows;
pub(in crate::store) mod transaction;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::batch::Batch;
use self::queue::{Entry, Queue};
use self::rows::{LeftOut, Queued, Request, Statements, Written};
use self::transaction::{Batched, WriteMode};
use super::database::Database;
use super::database::connection::{NativeConnection, Statement, StatementResult};
use super::database::engine::Engine;
use super::database::fault::Fault;
use super::database::many_rows::Texts;
use super::error::StoreError;
use crate::payment::event_kind::EventKind;

/// How long a caller waits for its verdict before it is told that the outcome is not known: longer than
/// a writer that has a database takes for the changes that may wait before this one.
pub(in crate::store) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// The most attempts at one transaction.
const ATTEMPTS: u32 = 5;
/// The pause before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// How long one attempt may take on PostgreSQL before its connection is given up. SQLite runs in this
/// process: leaving its commit alone would help nobody.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// After this long no further attempt is begun.
const BATCH_TIMEOUT: Duration = Duration::from_secs(8);
/// How long the writer may take to write what waits when the store is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// After a failed connect nothing is tried for this long; it doubles up to [`LONGEST_DOWN`].
const FIRST_DOWN: Duration = Duration::from_millis(50);
/// For how long after a refused change only another change shows that the database is well.
const UNWELL_FOR: Duration = Duration::from_secs(5);
/// The longest pause between two attempts to connect.
const LONGEST_DOWN: Duration = Duration::from_secs(1);

/// The way to the writer.
#[derive(Debug, Clone)]
pub(in crate::store) struct Writer {
    queue: mpsc::Sender<Entry>,
    up: Arc<AtomicBool>,
    connections: Arc<AtomicU64>,
    /// Changes with each batch that is committed.
    committed: watch::Receiver<()>,
    events: Arc<CommittedEvents>,
}

/// How many events of each kind were committed to payments.
type CommittedEvents = Mutex<BTreeMap<&'static str, u64>>;

impl Writer {
    /// Starts the task. It holds `lock` until it ends.
    pub(in crate::store) fn start(
        database: Database,
        connection: NativeConnection,
        lock: Option<File>,
        batch_records: usize,
        queued_records: usize,
    ) -> Self {
        let engine = database.engine;
        let (queue, entries) = mpsc::channel(queued_records);
        let up = Arc::new(AtomicBool::new(true));
        let connections = Arc::new(AtomicU64::new(0));
        let (commits, committed) = watch::channel(());
        let none_yet = EventKind::OF_PAYMENTS.map(|kind| (kind.name(), 0));
        let events = Arc::new(CommittedEvents::new(none_yet.into()));
        let task = Task {
            database,
            connection: Some(connection),
            texts: Texts::new(engine),
            up: up.clone(),
            connections: Arc::clone(&connections),
            commits,
            events: Arc::clone(&events),
            down: None,
            refused_at: None,
            _lock: lock,
        };
        tokio::spawn(task.run(Queue::new(entries, batch_records)));
        Self {
            queue,
            up,
            connections,
            committed,
            events,
        }
    }

    /// Changes with each batch that this writer commits.
    pub(in crate::store) fn committed(&self) -> watch::Receiver<()> {
        self.committed.clone()
    }

    /// How many events of each kind this writer has committed to payments.
    pub(in crate::store) fn committed_events(&self) -> BTreeMap<&'static str, u64> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.clone()
    }

    /// How many requests wait.
    pub(in crate::store) fn waiting(&self) -> u64 {
        let waiting = self.queue.max_capacity() - self.queue.capacity();
        u64::try_from(waiting).unwrap_or(u64::MAX)
    }

    /// How often it has connected again. What another server has forgotten can't be built upon: after a failover
    /// the one that answers now may lack the last commits.
    pub(in crate::store) fn reconnects(&self) -> u64 {
        self.connections.load(Ordering::Acquire)
    }

    /// Whether the database was found and took the last transaction.
    pub(in crate::store) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed) && !self.queue.is_closed()
    }

    /// Writes what `request` says; refuses it at once when too much waits.
    pub(in crate::store) async fn submit(&self, request: Request) -> Result<Written, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue
            .try_send(Entry::Request(Queued { request, answer }))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => StoreError::Busy {
                    waiting: self.queue.max_capacity(),
                },
                mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            })?;
        wait(answered).await
    }

    /// Runs statements in one transaction.
    pub(in crate::store) async fn run(
        &self,
        statements: Vec<Statement>,
        repeatable: bool,
    ) -> Result<Vec<StatementResult>, StoreError> {
        let statements = Statements {
            statements,
            repeatable,
        };
        match self.submit(Request::Statements(statements)).await? {
            Written::Ran(results) => Ok(results),
            _ => Ok(Vec::new()),
        }
    }

    /// Writes all that waits, then ends the task. False when that took too long.
    pub(in crate::store) async fn close(&self) -> bool {
        let closing = async {
            let (closed, is_closed) = oneshot::channel();
            if self.queue.send(Entry::Close(closed)).await.is_ok() {
                // An error means that the task has ended, which is what is waited for.
                let _ = is_closed.await;
            }
        };
        timeout(CLOSE_TIMEOUT, closing).await.is_ok()
    }
}

async fn wait(
    answered: oneshot::Receiver<Result<Written, StoreError>>,
) -> Result<Written, StoreError> {
    match timeout(ANSWER_TIMEOUT, answered).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(StoreError::OutcomeUnknown {
            reason: "the writer ended".into(),
        }),
        Err(_) => Err(StoreError::OutcomeUnknown {
            reason: format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()),
        }),
    }
}

struct Down {
    until: Instant,
    pause: Duration,
    reason: String,
}

struct Task {
    database: Database,
    connection: Option<NativeConnection>,
    texts: Texts,
    up: Arc<AtomicBool>,
    connections: Arc<AtomicU64>,
    commits: watch::Sender<()>,
    events: Arc<CommittedEvents>,
    down: Option<Down>,
    /// When a batch could not be written last.
    refused_at: Option<Instant>,
    /// Keeps the SQLite file this process's own while something may be written.
    _lock: Option<File>,
}

impl Task {
    async fn run(mut self, mut queue: Queue) {
        while let Some(requests) = queue.next_batch().await {
            self.write_all(requests).await;
        }
        if let Some(connection) = self.connection.take() {
            // Everything is committed. SQLite folds its log into the file here.
            let _ = connection.close().await;
        }
        drop(self);
        queue.closed();
    }

    /// Writes `requests`, in one transaction if that works. When the database refuses one the batch is split
    /// until that one is alone, so that it spoils no other.
    async fn write_all(&mut self, requests: Vec<Queued>) {
        let mut batches = vec![Batch {
            requests,
            may_be_written: false,
        }];
        while let Some(mut batch) = batches.pop() {
            match self.write(&mut batch).await {
                Ok(results) => batch
                    .requests
                    .into_iter()
                    .zip(results)
                    .for_each(|(queued, written)| queued.answer(Ok(written))),
                Err(Failed::Refused(_)) if batch.requests.len() > 1 => {
                    let second = batch.split();
                    batches.extend([second, batch]);
                }
                Err(Failed::All(error) | Failed::Refused(error)) => {
                    for queued in batch.requests {
                        queued.answer(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// Writes a batch, trying as often as that can help. Changes that can't be written are taken out of it
    /// and told so once the others are committed.
    async fn write(&mut self, batch: &mut Batch) -> Result<Vec<Written>, Failed> {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut reason = String::new();
        let mut left_out = Vec::new();
        let mut attempt = 0;
        let mut mode = WriteMode::Optimistic;
        while attempt < ATTEMPTS && !batch.requests.is_empty() {
            if batch.may_be_written {
                mode = WriteMode::Checked;
            }
            match self.attempt(batch, mode).await {
                Ok(Batched::Committed(results)) => {
                    self.found_well(batch);
                    self.count_events(batch);
                    self.commits.send_replace(());
                    tell_left_out(left_out);
                    return Ok(results);
                }
                // Each time at least one is taken out, so this ends.
                Ok(Batched::LeaveOut(changes)) => {
                    left_out.extend(batch.take_out(&changes));
                    continue;
                }
                // A change that stands in the way may also show as another's refusal: a request that was
                // recorded before brings a payment that is there.
                Err(Fault::Conflict | Fault::Refused(_)) if mode == WriteMode::Optimistic => {
                    mode = WriteMode::Checked;
                    continue;
                }
                Err(Fault::Conflict) => reason = "a conflict could not be resolved".into(),
                Err(Fault::Retryable(retryable)) => reason = retryable,
                Err(Fault::Lost(lost)) => {
                    self.connection = None;
                    reason = lost;
                    // A batch that is certainly not written is refused at once. One that may be written
                    // is worth waiting for.
                    match self.down.as_ref().map(|down| down.until) {
                        Some(until) if batch.may_be_written => sleep_until(until).await,
                        Some(_) => break,
                        None => {}
                    }
                }
                Err(Fault::CommitUnknown(unknown)) => {
                    self.connection = None;
                    tracing::warn!(
                        reason = unknown,
                        "a COMMIT was not confirmed; reading again"
                    );
                    reason = unknown;
                    batch.may_be_written = true;
                    batch.refuse_unrepeatable(&reason);
                }
                Err(Fault::Refused(error)) => {
                    tell_left_out(left_out);
                    return Err(Failed::Refused(error));
                }
            }
            attempt += 1;
            if begun.elapsed() > BATCH_TIMEOUT {
                break;
            }
            sleep(pause).await;
            pause *= 2;
        }
        tell_left_out(left_out);
        if batch.requests.is_empty() {
            return Ok(Vec::new());
        }
        // A database that can be read and takes nothing is not well. The next heartbeat of this process
        // finds out whether it is again.
        self.up.store(false, Ordering::Relaxed);
        self.refused_at = Some(Instant::now());
        Err(Failed::All(if batch.may_be_written {
            StoreError::OutcomeUnknown { reason }
        } else {
            StoreError::Unavailable { reason }
        }))
    }

    /// A database that took a change is well. One that took other statements is well only if it has not just
    /// refused a change.
    fn found_well(&mut self, batch: &Batch) {
        let took_a_change = batch
            .requests
            .iter()
            .any(|queued| matches!(queued.request, Request::Change(_)));
        let refused_lately = self.refused_at.is_some_and(|at| at.elapsed() < UNWELL_FOR);
        if took_a_change || !refused_lately {
            self.refused_at = None;
            self.up.store(true, Ordering::Relaxed);
        }
    }

    fn count_events(&self, batch: &Batch) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        for queued in &batch.requests {
            let Request::Change(rows) = &queued.request else {
                continue;
            };
            let adjusted = rows.adjusted.as_ref();
            let adjusted = adjusted.map(|row| EventKind::of(&row.adjustment.event));
            if let Some(kind) = adjusted.or(rows.new_event.as_ref().map(|(kind, _)| *kind)) {
                *events.entry(kind.name()).or_default() += 1;
            }
        }
    }

    async fn attempt(&mut self, batch: &Batch, mode: WriteMode) -> Result<Batched, Fault> {
        let engine = self.database.engine;
        self.connect().await?;
        let Some(connection) = self.connection.as_mut() else {
            return Err(Fault::Lost("there is no connection".into()));
        };
        let writing = transaction::write(engine, connection, &mut self.texts, batch, mode);
        match engine {
            Engine::Sqlite => writing.await,
            // A COMMIT that takes too long is not cancelled on the server. Its connection is given up,
            // and whether it happened is read again by key.
            Engine::Postgres => timeout(ATTEMPT_TIMEOUT, writing).await.unwrap_or_else(|_| {
                Err(Fault::CommitUnknown(format!(
                    "no answer within {} s",
                    ATTEMPT_TIMEOUT.as_secs()
                )))
            }),
        }
    }

    /// Opens the connection when there is none. While the database is known to be down it fails at
    /// once, so that no caller waits behind attempts to connect.
    async fn connect(&mut self) -> Result<(), Fault> {
        if self.connection.is_some() {
            return Ok(());
        }
        if let Some(down) = self
            .down
            .as_ref()
            .filter(|down| Instant::now() < down.until)
        {
            return Err(Fault::Lost(down.reason.clone()));
        }
        match self.database.connect_writer().await {
            Ok(connection) => {
                if self.down.take().is_some() {
                    tracing::info!("the database is back");
                }
                self.connections.fetch_add(1, Ordering::AcqRel);
                self.connection = Some(connection);
                Ok(())
            }
            Err(error) => {
                let reason = error.to_string();
                let pause = self
                    .down
                    .take()
                    .map_or(FIRST_DOWN, |down| (down.pause * 2).min(LONGEST_DOWN));
                tracing::error!(reason, "the database is down");
                self.up.store(false, Ordering::Relaxed);
                self.down = Some(Down {
                    until: Instant::now() + pause,
                    pause,
                    reason: reason.clone(),
                });
                Err(Fault::Lost(reason))
            }
        }
    }
}

/// Why a batch was not written.
enum Failed {
    /// Nothing of it can be written now.
    All(StoreError),
    /// One of its changes is refused, and alone would be refused with this error.
    Refused(StoreError),
}

fn tell_left_out(left_out: Vec<(Queued, LeftOut)>) {
    for (queued, why) in left_out {
        queued.answer(Ok(match why {
            LeftOut::Refused(refusal) => Written::Refused(refusal),
            LeftOut::WrittenBefore => Written::CommittedBefore,
        }));
    }
}
