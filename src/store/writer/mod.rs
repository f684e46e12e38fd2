//! The group-commit writer: one task with the one connection that writes. All changes that wait go into
//! one transaction; while it commits, the next batch gathers.
//!
//! - `change`: what callers want written, and the verdict that they get.
//! - `queue`: the changes that wait; `batch`: those of one transaction.
//! - `statements`, `transaction`: the SQL of a batch, in which order it runs.

pub(in crate::store) mod batch;
pub(in crate::store) mod change;
pub(in crate::store) mod queue;
pub(in crate::store) mod statements;
pub(in crate::store) mod transaction;

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::batch::Batch;
use self::change::{Change, QueuedChange, Statement, StatementResult, Statements, Verdict};
use self::queue::{Entry, Queue};
use self::transaction::WriteMode;
use super::database::Database;
use super::database::connection::WriteConnection;
use super::database::engine::Engine;
use super::database::fault::Fault;
use super::database::many_rows::Texts;
use super::error::StoreError;

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
/// The longest pause between two attempts to connect.
const LONGEST_DOWN: Duration = Duration::from_secs(1);

/// The way to the writer.
#[derive(Debug, Clone)]
pub(in crate::store) struct Writer {
    queue: mpsc::Sender<Entry>,
    up: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the task. It holds `lock` until it ends.
    pub(in crate::store) fn start(
        database: Database,
        connection: WriteConnection,
        lock: Option<File>,
        batch_records: usize,
        queued_records: usize,
    ) -> Self {
        let engine = database.engine;
        let (queue, entries) = mpsc::channel(queued_records);
        let up = Arc::new(AtomicBool::new(true));
        let task = Task {
            database,
            connection: Some(connection),
            texts: Texts::new(engine),
            up: up.clone(),
            down: None,
            _lock: lock,
        };
        tokio::spawn(task.run(Queue::new(entries, batch_records)));
        Self { queue, up }
    }

    /// Whether the database was found and took the last transaction.
    pub(in crate::store) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed) && !self.queue.is_closed()
    }

    /// Writes `change`; refuses it at once when too much waits.
    pub(in crate::store) async fn submit(&self, change: Change) -> Result<Verdict, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue
            .try_send(Entry::Change(QueuedChange { change, answer }))
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
        match self.submit(Change::Statements(statements)).await? {
            Verdict::Ran(results) => Ok(results),
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
    answered: oneshot::Receiver<Result<Verdict, StoreError>>,
) -> Result<Verdict, StoreError> {
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
    connection: Option<WriteConnection>,
    texts: Texts,
    up: Arc<AtomicBool>,
    down: Option<Down>,
    /// Keeps the SQLite file this process's own while something may be written.
    _lock: Option<File>,
}

impl Task {
    async fn run(mut self, mut queue: Queue) {
        while let Some(changes) = queue.next_batch().await {
            self.write_all(changes).await;
        }
        if let Some(connection) = self.connection.take() {
            // Everything is committed. SQLite folds its log into the file here.
            let _ = connection.close().await;
        }
        drop(self);
        queue.closed();
    }

    /// Writes `changes`, in one transaction if that works. When one is refused the batch is split until
    /// that change is alone, so that it spoils no other.
    async fn write_all(&mut self, changes: Vec<QueuedChange>) {
        let mut batches = vec![Batch {
            changes,
            may_be_written: false,
        }];
        while let Some(mut batch) = batches.pop() {
            if batch.changes.is_empty() {
                continue;
            }
            match self.write(&mut batch).await {
                Ok(verdicts) => batch
                    .changes
                    .into_iter()
                    .zip(verdicts)
                    .for_each(|(queued, verdict)| queued.answer(Ok(verdict))),
                Err(Failed::Refused(_) | Failed::PartialUpdate) if batch.changes.len() > 1 => {
                    let second = batch.split();
                    batches.extend([second, batch]);
                }
                Err(Failed::All(error) | Failed::Refused(error)) => {
                    for queued in batch.changes {
                        queued.answer(Err(error.clone()));
                    }
                }
                Err(Failed::PartialUpdate) => {
                    for queued in batch.changes {
                        queued.answer(Ok(Verdict::Superseded));
                    }
                }
            }
        }
    }

    /// One transaction, tried as often as that can help.
    async fn write(&mut self, batch: &mut Batch) -> Result<Vec<Verdict>, Failed> {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut reason = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                if begun.elapsed() > BATCH_TIMEOUT {
                    break;
                }
                sleep(pause).await;
                pause *= 2;
            }
            let mut result = self.attempt(&batch.changes, batch.mode()).await;
            if let Err(Fault::Conflict) = result {
                result = self.attempt(&batch.changes, WriteMode::Checked).await;
            }
            match result {
                Ok(verdicts) => {
                    self.up.store(true, Ordering::Relaxed);
                    return Ok(verdicts);
                }
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
                Err(Fault::Refused(error)) => return Err(Failed::Refused(error)),
                Err(Fault::PartialUpdate) => return Err(Failed::PartialUpdate),
                Err(Fault::Conflict) => reason = "a conflict could not be resolved".into(),
            }
        }
        // A database that can be read and takes nothing is not well. The next heartbeat of this process
        // finds out whether it is again.
        self.up.store(false, Ordering::Relaxed);
        Err(Failed::All(if batch.may_be_written {
            StoreError::OutcomeUnknown { reason }
        } else {
            StoreError::Unavailable { reason }
        }))
    }

    async fn attempt(
        &mut self,
        batch: &[QueuedChange],
        mode: WriteMode,
    ) -> Result<Vec<Verdict>, Fault> {
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
                self.up.store(true, Ordering::Relaxed);
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
    /// Of one of its outcomes only the operation could be changed, not the payment.
    PartialUpdate,
}
