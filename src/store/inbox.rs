//! What waits for the writer, and how long for others to go with it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::Instant;

use super::item::Item;
use super::lot::take_lot;

/// So many records share a transaction well enough: a commit costs its sync, and a page of each tree.
const ENOUGH: usize = 100;
/// How often what else is ready to run on this thread goes first, until there are enough: some of it is
/// about to bring more. With nothing else to do a turn takes no time, and brings nothing, which ends the
/// waiting. The longest turn is one round of the scheduler, some sixty tasks, each as long as opening a
/// card at most.
const MOST_TURNS: usize = 3;
/// After this long no further turn is given.
const LONGEST_WAIT: Duration = Duration::from_millis(2);

/// The writer's end of its queue.
pub(super) struct Inbox {
    queue: mpsc::Receiver<Item>,
    /// Taken in, and in no lot yet.
    waiting: VecDeque<Item>,
    /// The most that is taken in.
    most: usize,
    /// Who closes the store.
    closing: Vec<oneshot::Sender<()>>,
}

impl Inbox {
    pub(super) fn new(queue: mpsc::Receiver<Item>, most: usize) -> Self {
        Self {
            queue,
            waiting: VecDeque::with_capacity(most),
            most,
            closing: Vec::new(),
        }
    }

    /// What goes into the next transaction; `None` once the store is closed and nothing waits.
    pub(super) async fn next_lot(&mut self) -> Option<Vec<Item>> {
        loop {
            if self.waiting.is_empty() {
                let first = self.queue.recv().await?;
                self.take(first);
            }
            self.gather().await;
            let lot = take_lot(&mut self.waiting);
            if !lot.is_empty() {
                return Some(lot);
            }
        }
    }

    /// Says to who closes the store that everything is written.
    pub(super) fn closed(self) {
        for closing in self.closing {
            // Who asked may have stopped waiting.
            let _ = closing.send(());
        }
    }

    async fn gather(&mut self) {
        let (begun, enough) = (Instant::now(), ENOUGH.min(self.most));
        self.take_all();
        for _ in 0..MOST_TURNS {
            if self.waiting.len() >= enough || begun.elapsed() > LONGEST_WAIT {
                return;
            }
            yield_now().await;
            if !self.take_all() {
                return;
            }
        }
    }

    /// Whether there was anything.
    fn take_all(&mut self) -> bool {
        let before = self.waiting.len();
        while self.waiting.len() < self.most {
            let Ok(item) = self.queue.try_recv() else {
                break;
            };
            self.take(item);
        }
        self.waiting.len() > before
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Close(closing) => {
                self.closing.push(closing);
                self.queue.close();
            }
            item => self.waiting.push_back(item),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::item::Work;

    fn record() -> Item {
        let work = Work {
            statements: Vec::new(),
            repeatable: true,
        };
        Item::Work(work, oneshot::channel().0)
    }

    #[tokio::test]
    async fn who_is_ready_to_bring_more_goes_first() {
        let (queue, waiting) = mpsc::channel(2 * ENOUGH);
        let mut inbox = Inbox::new(waiting, 2 * ENOUGH);
        queue.send(record()).await.unwrap();
        let slow = queue.clone();
        let bringing = tokio::spawn(async move {
            for _ in 0..2 {
                slow.send(record()).await.unwrap();
                yield_now().await;
            }
        });
        assert_eq!(inbox.next_lot().await.unwrap().len(), 3);
        bringing.await.unwrap();
        for _ in 0..=ENOUGH {
            queue.send(record()).await.unwrap();
        }
        assert_eq!(inbox.next_lot().await.unwrap().len(), ENOUGH + 1);
    }

    #[tokio::test]
    async fn what_came_before_the_end_is_written() {
        let (queue, waiting) = mpsc::channel(4);
        let mut inbox = Inbox::new(waiting, 1);
        let (closing, closed) = oneshot::channel();
        for item in [record(), record(), Item::Close(closing)] {
            queue.send(item).await.unwrap();
        }
        assert_eq!(inbox.next_lot().await.unwrap().len(), 1);
        assert_eq!(inbox.next_lot().await.unwrap().len(), 1);
        assert!(inbox.next_lot().await.is_none());
        assert!(queue.send(record()).await.is_err());
        inbox.closed();
        closed.await.unwrap();
    }
}
