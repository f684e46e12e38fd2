//! The lines that are open to a host, and the requests that it sends on them by itself.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{mpsc, oneshot};

use crate::message::BankMessage;

/// How many requests of a host may wait for one line; further ones are not sent.
const MAX_WAITING_REQUESTS: usize = 16;

/// A request that a host sends by itself. The line gives it its STAN.
#[derive(Debug)]
pub(crate) struct OwnRequest {
    pub(crate) message: BankMessage,
    /// Where the answer goes. It is dropped when the line ends before there is one.
    pub(crate) answer: oneshot::Sender<BankMessage>,
}

/// The lines that are open.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    lines: BTreeMap<u64, OpenLine>,
    opened: u64,
}

#[derive(Debug)]
struct OpenLine {
    peer: SocketAddr,
    is_signed_on: bool,
    requests: mpsc::Sender<OwnRequest>,
}

/// A line among those that are open, until it is dropped.
#[derive(Debug)]
pub(crate) struct ListedLine {
    lines: Arc<Lines>,
    number: u64,
}

impl Lines {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists a new line, and what it is to send.
    pub(crate) fn list(
        self: &Arc<Self>,
        peer: SocketAddr,
    ) -> (ListedLine, mpsc::Receiver<OwnRequest>) {
        let (requests, waiting) = mpsc::channel(MAX_WAITING_REQUESTS);
        let mut open = self.open();
        open.opened += 1;
        let number = open.opened;
        let line = OpenLine {
            peer,
            is_signed_on: false,
            requests,
        };
        open.lines.insert(number, line);
        let lines = Arc::clone(self);
        (ListedLine { lines, number }, waiting)
    }

    /// The peers of the lines that are signed on, and where to send them requests; the oldest line first.
    pub(crate) fn signed_on(&self) -> Vec<(SocketAddr, mpsc::Sender<OwnRequest>)> {
        let open = self.open();
        let signed_on = open.lines.values().filter(|line| line.is_signed_on);
        signed_on
            .map(|line| (line.peer, line.requests.clone()))
            .collect()
    }
}

impl ListedLine {
    /// Notes whether the line is signed on.
    pub(crate) fn set_signed_on(&self, is_signed_on: bool) {
        if let Some(line) = self.lines.open().lines.get_mut(&self.number) {
            line.is_signed_on = is_signed_on;
        }
    }
}

impl Drop for ListedLine {
    fn drop(&mut self) {
        self.lines.open().lines.remove(&self.number);
    }
}
