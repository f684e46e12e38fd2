//! The queue of changes that wait for the writer, and how long the writer waits for more to go with
//! the first.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::Instant;

use super::batch::next_batch;
use super::rows::Queued;

/// A batch of this size shares its commit well enough: a commit costs one sync, and a page of each tree.
const ENOUGH: usize = 100;
/// How often other tasks of this thread run first, until enough changes wait: some of them are about to
/// bring more. On an idle thread a turn takes no time and brings nothing, which ends the waiting. The
/// longest turn is one round of the scheduler: some sixty tasks, each at most as long as opening a card.
const MAX_TURNS: usize = 3;
/// After this long no further turn is given.
const MAX_WAIT: Duration = Duration::from_millis(2);

/// What callers put on the queue.
pub(in crate::store) enum Entry {
    Request(Queued),
    /// The writer ends after everything before it is written, and says so here.
    Close(oneshot::Sender<()>),
}

/// The writer's end of the queue.
pub(in crate::store) struct Queue {
    entries: mpsc::Receiver<Entry>,
    /// Taken from `entries`, and in no batch yet.
    waiting: VecDeque<Queued>,
    max_waiting: usize,
    /// The callers that close the store.
    closing: Vec<oneshot::Sender<()>>,
}

impl Queue {
    pub(in crate::store) fn new(entries: mpsc::Receiver<Entry>, max_waiting: usize) -> Self {
        Self {
            entries,
            waiting: VecDeque::with_capacity(max_waiting),
            max_waiting,
            closing: Vec::new(),
        }
    }

    /// The changes of the next transaction; `None` once the store is closed and nothing waits.
    pub(in crate::store) async fn next_batch(&mut self) -> Option<Vec<Queued>> {
        loop {
            if self.waiting.is_empty() {
                let first = self.entries.recv().await?;
                self.take(first);
            }
            self.gather().await;
            let batch = next_batch(&mut self.waiting);
            if !batch.is_empty() {
                return Some(batch);
            }
        }
    }

    /// Tells the callers that close the store that everything is written.
    pub(in crate::store) fn closed(self) {
        for closing in self.closing {
            // A caller may have stopped waiting.
            let _ = closing.send(());
        }
    }

    async fn gather(&mut self) {
        let (begun, enough) = (Instant::now(), ENOUGH.min(self.max_waiting));
        self.take_all();
        for _ in 0..MAX_TURNS {
            if self.waiting.len() >= enough || begun.elapsed() > MAX_WAIT {
                return;
            }
            yield_now().await;
            if !self.take_all() {
                return;
            }
        }
    }

    /// Whether there was anything to take.
    fn take_all(&mut self) -> bool {
        let before = self.waiting.len();
        while self.waiting.len() < self.max_waiting {
            let Ok(entry) = self.entries.try_recv() else {
                break;
            };
            self.take(entry);
        }
        self.waiting.len() > before
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Request(queued) => self.waiting.push_back(queued),
            Entry::Close(closing) => {
                self.closing.push(closing);
                self.entries.close();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::writer::rows::{Request, Statements};

    fn change() -> Entry {
        let request = Request::Statements(Statements {
            statements: Vec::new(),
            repeatable: true,
        });
        let answer = oneshot::channel().0;
        Entry::Request(Queued { request, answer })
    }

    #[tokio::test]
    async fn tasks_that_bring_more_run_first() {
        let (entries, waiting) = mpsc::channel(2 * ENOUGH);
        let mut queue = Queue::new(waiting, 2 * ENOUGH);
        entries.send(change()).await.unwrap();
        let slow = entries.clone();
        let bringing = tokio::spawn(async move {
            for _ in 0..2 {
                slow.send(change()).await.unwrap();
                yield_now().await;
            }
        });
        assert_eq!(queue.next_batch().await.unwrap().len(), 3);
        bringing.await.unwrap();
        for _ in 0..=ENOUGH {
            entries.send(change()).await.unwrap();
        }
        assert_eq!(queue.next_batch().await.unwrap().len(), ENOUGH + 1);
    }

    #[tokio::test]
    async fn changes_before_the_end_are_written() {
        let (entries, waiting) = mpsc::channel(4);
        let mut queue = Queue::new(waiting, 1);
        let (closing, closed) = oneshot::channel();
        for entry in [change(), change(), Entry::Close(closing)] {
            entries.send(entry).await.unwrap();
        }
        assert_eq!(queue.next_batch().await.unwrap().len(), 1);
        assert_eq!(queue.next_batch().await.unwrap().len(), 1);
        assert!(queue.next_batch().await.is_none());
        assert!(entries.send(change()).await.is_err());
        queue.closed();
        closed.await.unwrap();
    }
}
