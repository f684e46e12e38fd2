//! The group-commit writer: one task with the one connection that writes. Whatever waits goes into
//! one transaction; while that commits, the next lot gathers. `inbox` says how long it gathers, `lot`
//! how much goes together.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::ANSWER_TIMEOUT;
use super::batch::{self, Care, Fate};
use super::engine::{Database, Engine};
use super::error::{Fault, StoreError};
use super::inbox::Inbox;
use super::item::{Answer, Done, Item, OutcomeFate, Statement, Work};
use super::lot::Lot;
use super::sql::Texts;
use super::write_connection::WriteConnection;

/// How often one transaction is tried.
const ATTEMPTS: u32 = 5;
/// Before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// How long one attempt may take before its connection is given up. Only a database in another
/// process is given up; SQLite works in this one, and leaving a commit alone would help nobody.
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
pub(super) struct Writer {
    queue: mpsc::Sender<Item>,
    up: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the task. It holds `lock` until it ends.
    pub(super) fn start(
        database: Database,
        connection: WriteConnection,
        lock: Option<File>,
        batch_records: usize,
        queued_records: usize,
    ) -> Self {
        let engine = database.engine;
        let (queue, waiting) = mpsc::channel(queued_records);
        let up = Arc::new(AtomicBool::new(true));
        let task = Task {
            database,
            connection: Some(connection),
            texts: Texts::new(engine),
            up: up.clone(),
            down: None,
            _lock: lock,
        };
        tokio::spawn(task.run(Inbox::new(waiting, batch_records)));
        Self { queue, up }
    }

    /// Whether the database was found and took the last transaction.
    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed) && !self.queue.is_closed()
    }

    /// Writes what `item` makes; at once an error when too much waits.
    pub(super) async fn submit<T>(
        &self,
        item: impl FnOnce(Answer<T>) -> Item,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue
            .try_send(item(answer))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => StoreError::Busy {
                    waiting: self.queue.max_capacity(),
                },
                mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            })?;
        wait(answered).await
    }

    /// Runs statements in one transaction.
    pub(super) async fn work(
        &self,
        statements: Vec<Statement>,
        repeatable: bool,
    ) -> Result<Vec<Done>, StoreError> {
        let work = Work {
            statements,
            repeatable,
        };
        self.submit(|answer| Item::Work(work, answer)).await
    }

    /// Writes what waits, then ends the task. False when that took too long.
    pub(super) async fn close(&self) -> bool {
        let closing = async {
            let (closed, is_closed) = oneshot::channel();
            if self.queue.send(Item::Close(closed)).await.is_ok() {
                // An error means that the task has ended, which is what is waited for.
                let _ = is_closed.await;
            }
        };
        timeout(CLOSE_TIMEOUT, closing).await.is_ok()
    }
}

async fn wait<T>(answered: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
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
    /// Keeps the SQLite file this process's own for as long as something may be written.
    _lock: Option<File>,
}

impl Task {
    async fn run(mut self, mut inbox: Inbox) {
        while let Some(items) = inbox.next_lot().await {
            self.write_all(items).await;
        }
        if let Some(connection) = self.connection.take() {
            // Everything is committed; SQLite folds its log into the file here.
            let _ = connection.close().await;
        }
        drop(self);
        inbox.closed();
    }

    /// Writes `items`, in one transaction if that works. When a record is refused the lot is halved
    /// until it is alone, so that it spoils nobody else's.
    async fn write_all(&mut self, items: Vec<Item>) {
        let mut lots = vec![Lot {
            items,
            may_be_written: false,
        }];
        while let Some(mut lot) = lots.pop() {
            if lot.items.is_empty() {
                continue;
            }
            match self.write(&mut lot).await {
                Ok(fates) => lot
                    .items
                    .into_iter()
                    .zip(fates)
                    .for_each(|(item, fate)| tell(item, fate)),
                Err(Failed::Refused(_) | Failed::Torn) if lot.items.len() > 1 => {
                    let second = lot.halve();
                    lots.extend([second, lot]);
                }
                Err(Failed::All(error) | Failed::Refused(error)) => {
                    for item in lot.items {
                        item.refuse(error.clone());
                    }
                }
                Err(Failed::Torn) => {
                    for item in lot.items {
                        tell(item, Fate::Outcome(OutcomeFate::Superseded));
                    }
                }
            }
        }
    }

    /// One transaction, tried as often as that can help.
    async fn write(&mut self, lot: &mut Lot) -> Result<Vec<Fate>, Failed> {
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
            let mut result = self.attempt(&lot.items, lot.care()).await;
            if let Err(Fault::Hindered) = result {
                result = self.attempt(&lot.items, Care::Careful).await;
            }
            match result {
                Ok(fates) => {
                    self.up.store(true, Ordering::Relaxed);
                    return Ok(fates);
                }
                Err(Fault::Again(again)) => reason = again,
                Err(Fault::Lost(lost)) => {
                    self.connection = None;
                    reason = lost;
                    // What is certainly not written is not held up; what may be is worth waiting for.
                    match self.down.as_ref().map(|down| down.until) {
                        Some(until) if lot.may_be_written => sleep_until(until).await,
                        Some(_) => break,
                        None => {}
                    }
                }
                Err(Fault::Uncertain(unknown)) => {
                    self.connection = None;
                    tracing::warn!(
                        reason = unknown,
                        "a COMMIT was not confirmed; reading again"
                    );
                    reason = unknown;
                    lot.may_be_written = true;
                    lot.refuse_unrepeatable(&reason);
                }
                Err(Fault::Refused(error)) => return Err(Failed::Refused(error)),
                Err(Fault::Torn) => return Err(Failed::Torn),
                Err(Fault::Hindered) => reason = "a record's way was not found out".into(),
            }
        }
        // A database that lets itself be read and takes nothing is not well. The next sign of life of
        // this process finds out whether it is again.
        self.up.store(false, Ordering::Relaxed);
        Err(Failed::All(if lot.may_be_written {
            StoreError::OutcomeUnknown { reason }
        } else {
            StoreError::Unavailable { reason }
        }))
    }

    async fn attempt(&mut self, lot: &[Item], care: Care) -> Result<Vec<Fate>, Fault> {
        let engine = self.database.engine;
        self.connect().await?;
        let Some(connection) = self.connection.as_mut() else {
            return Err(Fault::Lost("there is no connection".into()));
        };
        let writing = batch::write(engine, connection, &mut self.texts, lot, care);
        match engine {
            Engine::Sqlite => writing.await,
            // A COMMIT that takes too long is not cancelled on the server: its connection is left,
            // and whether it happened is read again by key.
            Engine::Postgres => timeout(ATTEMPT_TIMEOUT, writing).await.unwrap_or_else(|_| {
                Err(Fault::Uncertain(format!(
                    "no answer within {} s",
                    ATTEMPT_TIMEOUT.as_secs()
                )))
            }),
        }
    }

    /// Opens the connection when there is none; at once an error while the database is known to be
    /// down, so that nobody queues up behind attempts to connect.
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

/// Why a lot was not written.
enum Failed {
    /// Nothing of it can be written now.
    All(StoreError),
    /// A record in it is refused, and alone would be refused with this error.
    Refused(StoreError),
    /// An outcome in it finds its payment changed and its operation not.
    Torn,
}

fn tell(item: Item, fate: Fate) {
    // Who has gone away misses nothing: the record is durable.
    match (item, fate) {
        (Item::Intent(_, answer), Fate::Intent(fate)) => drop(answer.send(Ok(fate))),
        (Item::Outcome(_, answer), Fate::Outcome(fate)) => drop(answer.send(Ok(fate))),
        (Item::Work(_, answer), Fate::Work(done)) => drop(answer.send(Ok(done))),
        (item, _) => item.refuse(StoreError::OutcomeUnknown {
            reason: "the writer lost track of a record".into(),
        }),
    }
}
