//! The bytes to be written to a host: gathered, written in one go, wiped.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use iso8583::{EncodeError, FrameWriteError, Framing};
use tokio::io::AsyncWrite;
use tokio::time::Instant;
use zeroize::Zeroize;

/// How long one write may take.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// The most bytes to which a network management message is still added. A host that lets more pile
/// up does not read.
pub(super) const WRITE_BYTES_LIMIT: usize = 256 * 1024;
/// Room for what is usually written at once, so that it need not move while it grows.
const USUAL_BYTES: usize = 64 * 1024;

/// Frames on their way to a socket. They hold PANs.
pub(super) struct Outbound {
    bytes: Vec<u8>,
    /// How much of `bytes` was handed to the socket.
    written: usize,
    /// When the first of `bytes` was put in.
    began: Instant,
    /// The earliest deadline of the requests in `bytes`. After it none of them may be written any
    /// more, not even the rest of one: its sender has given up, and may owe a reversal that such a
    /// rest would come after.
    deadline: Option<Instant>,
}

/// Why nothing more can be handed to the socket.
#[derive(Debug)]
pub(super) enum SendError {
    /// A request's deadline passed before the socket had taken it.
    Late,
    /// The connection broke.
    Broken(std::io::Error),
}

/// Why a frame was not put in.
pub(super) enum OutboundError {
    /// Too much waits already.
    Backlog,
    /// It can't be made.
    Frame(FrameWriteError<EncodeError>),
}

impl Outbound {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            bytes: Vec::with_capacity(USUAL_BYTES),
            written: 0,
            began: now,
            deadline: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Adds a request, framed, no byte of which may be written after `deadline`.
    pub(super) fn push(&mut self, frame: &[u8], now: Instant, deadline: Instant) {
        if self.is_empty() {
            self.began = now;
        }
        self.deadline = Some(self.deadline.map_or(deadline, |first| first.min(deadline)));
        self.bytes.extend_from_slice(frame);
    }

    /// Frames what `encode` appends, adds it, and shows it without its frame.
    ///
    /// # Errors
    /// When too much waits already, or it can't be encoded or framed. Nothing was added then.
    pub(super) fn write(
        &mut self,
        framing: &Framing,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<&[u8], OutboundError> {
        if self.bytes.len() > WRITE_BYTES_LIMIT {
            return Err(OutboundError::Backlog);
        }
        if self.is_empty() {
            self.began = Instant::now();
        }
        let start = self.bytes.len() + framing.prefix.bytes();
        framing
            .write(&mut self.bytes, encode)
            .map_err(OutboundError::Frame)?;
        Ok(self.bytes.get(start..).unwrap_or_default())
    }

    /// Whether the socket has not taken everything for too long.
    pub(super) fn is_stuck(&self, now: Instant) -> bool {
        !self.is_empty() && now.saturating_duration_since(self.began) > WRITE_TIMEOUT
    }

    /// Whether the deadline of a request has passed that the socket has not taken.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// Hands what is left to the socket and flushes, but nothing after a deadline. What was handed
    /// over is counted, so that nothing is written twice when this is given up and called again.
    ///
    /// # Errors
    /// When a deadline has passed, or the connection broke. Nothing may be written after that.
    pub(super) fn poll_send<W: AsyncWrite + Unpin>(
        &mut self,
        writer: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        while let Some(rest) = self.bytes.get(self.written..)
            && !rest.is_empty()
        {
            if self.is_late(Instant::now()) {
                return Poll::Ready(Err(SendError::Late));
            }
            let count =
                ready!(Pin::new(&mut *writer).poll_write(cx, rest)).map_err(SendError::Broken)?;
            if count == 0 {
                let closed = std::io::ErrorKind::WriteZero.into();
                return Poll::Ready(Err(SendError::Broken(closed)));
            }
            self.written += count;
        }
        // TLS may still hold what it has taken.
        if self.is_late(Instant::now()) {
            return Poll::Ready(Err(SendError::Late));
        }
        Pin::new(writer).poll_flush(cx).map_err(SendError::Broken)
    }

    /// Overwrites everything with zeros, and forgets it.
    pub(super) fn wipe(&mut self) {
        self.bytes.as_mut_slice().zeroize();
        self.bytes.clear();
        self.written = 0;
        self.deadline = None;
    }
}
