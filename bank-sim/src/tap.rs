//! A look at every message on every line, for who asks for it.

use std::{fmt, net::SocketAddr, sync::Arc};

use time::OffsetDateTime;
use tokio::sync::broadcast;

use crate::clock::Clock;

/// How many messages a tap keeps for a reader who falls behind; older ones are lost to that reader
/// and counted by [`broadcast::error::RecvError::Lagged`].
pub const TAP_CAPACITY: usize = 4_096;

/// Which way a message went, seen from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The host received it.
    Received,
    /// The host sent it.
    Sent,
}

/// One message on a line, without its frame header.
#[derive(Clone)]
pub struct TappedMessage {
    /// The host at whose line it was seen.
    pub host: Arc<str>,
    /// The other end: an address, or the issuer's name on the acquirer's links.
    pub peer: Arc<str>,
    /// Which way it went.
    pub direction: Direction,
    /// The dialect in which to read it: a name that [`iso8583::Dialect::builtin`] knows.
    pub dialect: Arc<str>,
    /// The bytes, **in clear**: print them through [`iso8583::masked`] only.
    pub bytes: Arc<[u8]>,
    /// When it was seen.
    pub at: OffsetDateTime,
}

impl fmt::Debug for TappedMessage {
    /// Leaves the bytes out, which hold card data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TappedMessage")
            .field("host", &self.host)
            .field("peer", &self.peer)
            .field("direction", &self.direction)
            .field("dialect", &self.dialect)
            .field("bytes", &self.bytes.len())
            .field("at", &self.at)
            .finish()
    }
}

/// Where all lines of a simulator report; costs one atomic read while there is no listener.
#[derive(Debug, Clone)]
pub(crate) struct Tap {
    sender: broadcast::Sender<TappedMessage>,
    clock: Arc<dyn Clock>,
}

impl Tap {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            sender: broadcast::Sender::new(TAP_CAPACITY),
            clock,
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<TappedMessage> {
        self.sender.subscribe()
    }

    /// Reports a message if there is a listener.
    pub(crate) fn report(&self, line: &TappedLine, direction: Direction, bytes: &[u8]) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        let message = TappedMessage {
            host: Arc::clone(&line.host),
            peer: Arc::clone(&line.peer),
            direction,
            dialect: Arc::clone(&line.dialect),
            bytes: Arc::from(bytes),
            at: self.clock.now_utc(),
        };
        // The last listener may have left since.
        let _ = self.sender.send(message);
    }
}

/// The fields that all messages of one line share.
#[derive(Debug, Clone)]
pub(crate) struct TappedLine {
    pub(crate) host: Arc<str>,
    pub(crate) peer: Arc<str>,
    pub(crate) dialect: Arc<str>,
}

impl TappedLine {
    pub(crate) fn to_address(host: &Arc<str>, peer: SocketAddr, dialect: &Arc<str>) -> Self {
        Self {
            host: Arc::clone(host),
            peer: Arc::from(peer.to_string()),
            dialect: Arc::clone(dialect),
        }
    }
}
