//! The bytes to be written to a host: gathered, handed to the socket in slices, wiped.
//!
//! A slice is handed over only when the socket has taken the one before, so a host that does not read holds
//! up one slice. The requests behind it are still here, and can be taken out again.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use iso8583::{EncodeError, FrameWriteError, Framing};
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use crate::fault_points::FaultPoint;
use crate::hosts::message::match_key::RequestKey;
use crate::stack::wipe_bytes;

use super::socket::TakenBytes;

/// How long one write may take.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// The most bytes to which a network management message is still added. A host that lets more pile
/// up does not read.
pub(super) const WRITE_BYTES_LIMIT: usize = 256 * 1024;
/// The most bytes that are handed to the socket at once, but for a single longer frame: a record of TLS.
const SLICE_BYTES: usize = 16 * 1024;
/// Room for what is usually written at once, so that it need not move while it grows.
const USUAL_BYTES: usize = 64 * 1024;
/// So long before its deadline a request is given up of which the socket has taken nothing, so that its sender
/// is still there to be told that it was not sent. More than the time between two looks at the time.
const GIVE_UP_EARLY: Duration = Duration::from_millis(300);

/// A request among the bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestTimes {
    /// The key under which it is in flight.
    pub(super) key: RequestKey,
    /// After this no byte of it is handed over, unless one was before.
    pub(super) claim_by: Instant,
    /// After this no byte of it may be written: its sender has given up, and may owe a reversal that the
    /// rest of it would come after.
    pub(super) deadline: Instant,
}

/// A frame among the bytes; it begins where the one before ends.
#[derive(Debug)]
struct Frame {
    end: usize,
    /// None for network management and settlement.
    request: Option<RequestTimes>,
    /// Where a test may end the process once the socket has taken it.
    sent: Option<FaultPoint>,
}

/// Frames on their way to a socket. They hold PANs.
pub(super) struct Outbound {
    bytes: Vec<u8>,
    /// The frames that the socket has not taken whole.
    frames: VecDeque<Frame>,
    /// Where the first of `frames` begins.
    first_start: usize,
    /// How many of `bytes` were handed over.
    handed: usize,
    /// How many of `bytes` the socket has taken for certain.
    flushed: usize,
    /// The value of `taken` when the current slice was handed over.
    taken_before: u64,
    taken: TakenBytes,
    /// When the first of `bytes` was put in.
    began: Instant,
}

/// How far a write came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The socket has taken everything.
    Done,
    /// A request that was not handed over yet has no time left: it has to be taken out.
    Expired,
}

/// Why nothing more can be handed to the socket.
#[derive(Debug)]
pub(super) enum SendError {
    /// A request's deadline passed before the socket had taken all of it.
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
    pub(super) fn new(taken: TakenBytes, now: Instant) -> Self {
        Self {
            bytes: Vec::with_capacity(USUAL_BYTES),
            frames: VecDeque::new(),
            first_start: 0,
            handed: 0,
            flushed: 0,
            taken_before: 0,
            taken,
            began: now,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Adds a request, framed.
    pub(super) fn push(&mut self, frame: &[u8], now: Instant, request: RequestTimes) {
        if self.is_empty() {
            self.began = now;
        }
        self.bytes.extend_from_slice(frame);
        self.frames.push_back(Frame {
            end: self.bytes.len(),
            request: Some(request),
            sent: Some(FaultPoint::Send),
        });
    }

    /// Frames the bytes that `encode` appends, and adds them; `sent` is passed once the socket has taken them.
    ///
    /// # Errors
    /// When too much waits already, or they can't be encoded or framed. Nothing was added then.
    pub(super) fn write(
        &mut self,
        framing: &Framing,
        sent: Option<FaultPoint>,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), OutboundError> {
        if self.bytes.len() > WRITE_BYTES_LIMIT {
            return Err(OutboundError::Backlog);
        }
        if self.is_empty() {
            self.began = Instant::now();
        }
        framing
            .write(&mut self.bytes, encode)
            .map_err(OutboundError::Frame)?;
        self.frames.push_back(Frame {
            end: self.bytes.len(),
            request: None,
            sent,
        });
        Ok(())
    }

    /// Whether the socket has not taken everything for too long.
    pub(super) fn is_stuck(&self, now: Instant) -> bool {
        !self.is_empty() && now.saturating_duration_since(self.began) > WRITE_TIMEOUT
    }

    /// Whether the deadline of a request has passed that was handed over and that the socket has not taken
    /// whole.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        let early = if self.nothing_taken() {
            GIVE_UP_EARLY
        } else {
            Duration::ZERO
        };
        self.frames_with_start()
            .take_while(|(start, _)| *start < self.handed)
            .filter_map(|(_, frame)| frame.request)
            .any(|request| now + early >= request.deadline)
    }

    /// Hands what is left to the socket, slice by slice, and flushes. What was handed over is counted, so
    /// that nothing is written twice when this is given up and called again.
    ///
    /// # Errors
    /// When a deadline has passed, or the connection broke. Nothing may be written after that.
    pub(super) fn poll_send<W: AsyncWrite + Unpin>(
        &mut self,
        writer: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Progress, SendError>> {
        loop {
            let now = Instant::now();
            if self.is_late(now) {
                return Poll::Ready(Err(SendError::Late));
            }
            if self.handed > self.flushed {
                // TLS may still hold what it has taken.
                ready!(Pin::new(&mut *writer).poll_flush(cx)).map_err(SendError::Broken)?;
                self.flushed = self.handed;
                while let Some(frame) = self.frames.pop_front_if(|frame| frame.end <= self.flushed)
                {
                    self.first_start = frame.end;
                    if let Some(sent) = frame.sent {
                        sent.pass();
                    }
                }
            }
            let Some(end) = self.slice_end(now) else {
                return Poll::Ready(Ok(Progress::Expired));
            };
            let Some(slice) = self
                .bytes
                .get(self.handed..end)
                .filter(|slice| !slice.is_empty())
            else {
                return Poll::Ready(Ok(Progress::Done));
            };
            self.taken_before = self.taken.get();
            let written = ready!(Pin::new(&mut *writer).poll_write(cx, slice));
            if written.is_err() {
                // TLS takes a slice, and may have written some of it before the socket broke.
                self.handed = end;
            }
            let count = written.map_err(SendError::Broken)?;
            if count == 0 {
                let closed = std::io::ErrorKind::WriteZero.into();
                return Poll::Ready(Err(SendError::Broken(closed)));
            }
            self.handed += count;
        }
    }

    /// Takes out the requests that were not handed over and that `expired`, and shows each to `tell`.
    pub(super) fn take_out(
        &mut self,
        expired: impl Fn(&RequestTimes) -> bool,
        mut tell: impl FnMut(&RequestKey),
    ) {
        let mut removed = 0;
        let mut start = self.first_start;
        let handed = self.handed;
        let bytes = &mut self.bytes;
        self.frames.retain_mut(|frame| {
            let (from, to) = (start, frame.end);
            start = to;
            let request = frame.request.filter(|_| from >= handed);
            if let Some(request) = request.filter(|request| expired(request)) {
                // Everything behind moves forward.
                bytes.copy_within(to - removed.., from - removed);
                removed += to - from;
                tell(&request.key);
                return false;
            }
            frame.end -= removed;
            true
        });
        let left = self.bytes.len().saturating_sub(removed);
        if let Some(rest) = self.bytes.get_mut(left..) {
            wipe_bytes(rest);
        }
        self.bytes.truncate(left);
    }

    /// Takes out, once the connection is lost, every request of which no byte left, and shows each to `tell`.
    pub(super) fn take_out_unsent(&mut self, tell: impl FnMut(&RequestKey)) {
        if self.nothing_taken() {
            self.handed = self.flushed;
        }
        self.take_out(|_| true, tell);
    }

    /// Whether the socket has taken no byte of the current slice.
    fn nothing_taken(&self) -> bool {
        self.handed > self.flushed && self.taken.get() == self.taken_before
    }

    /// The end of the next slice: whole frames, as many as fit, at least one. `None` when one of them has no
    /// time left.
    fn slice_end(&self, now: Instant) -> Option<usize> {
        let mut end = self.handed;
        for (start, frame) in self.frames_with_start() {
            let begun = start < self.handed;
            if !begun && end > self.handed && frame.end - self.handed > SLICE_BYTES {
                break;
            }
            let expired = frame.request.is_some_and(|request| now >= request.claim_by);
            if !begun && expired {
                return None;
            }
            end = frame.end;
        }
        Some(end)
    }

    /// The frames that the socket has not taken whole, each with its first byte.
    fn frames_with_start(&self) -> impl Iterator<Item = (usize, &Frame)> {
        let mut start = self.first_start;
        self.frames.iter().map(move |frame| {
            let this = start;
            start = frame.end;
            (this, frame)
        })
    }

    /// Overwrites everything with zeros, and forgets it.
    pub(super) fn wipe(&mut self) {
        wipe_bytes(&mut self.bytes);
        self.bytes.clear();
        self.frames.clear();
        self.first_start = 0;
        self.handed = 0;
        self.flushed = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};
    use std::task::Waker;

    use iso8583::Mti;

    use crate::hosts::line::socket::CountedSocket;
    use crate::hosts::message::amount::AskedAmount;
    use crate::hosts::message::match_key::{MatchRule, TerminalId};

    use super::*;

    /// Takes a slice as TLS does: passes `passed` bytes of it on to the socket, and then the socket breaks.
    struct Breaking {
        socket: CountedSocket<Vec<u8>>,
        passed: usize,
    }

    impl AsyncWrite for Breaking {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<std::io::Result<usize>> {
            let part = &bytes[..self.passed];
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, part))?;
            assert_eq!(written, self.passed);
            Poll::Ready(Err(Error::from(ErrorKind::ConnectionReset)))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// The requests that count as not sent after a connection broke in the middle of a write, of which the
    /// socket had taken `passed` bytes.
    fn unsent_after(passed: usize) -> Vec<u32> {
        let now = Instant::now();
        let mut writer = Breaking {
            socket: CountedSocket::new(Vec::new()),
            passed,
        };
        let mut outbound = Outbound::new(writer.socket.taken_bytes(), now);
        for stan in [1_u32, 2] {
            let key = RequestKey {
                rule: MatchRule::default(),
                response_mti: Mti::AUTHORIZATION_RESPONSE,
                asked: AskedAmount {
                    amount_minor: 100,
                    currency: 978,
                    partial_of_minor: None,
                },
                transmitted: 1_121_000_000,
                stan: stan.try_into().unwrap(),
                rrn: format!("{stan:012}").parse().unwrap(),
                terminal_id: TerminalId::new("TERM").unwrap(),
            };
            let times = RequestTimes {
                key,
                claim_by: now + WRITE_TIMEOUT,
                deadline: now + WRITE_TIMEOUT,
            };
            outbound.push(&[0; 100], now, times);
        }
        let sent = outbound.poll_send(&mut writer, &mut Context::from_waker(Waker::noop()));
        assert!(matches!(sent, Poll::Ready(Err(SendError::Broken(_)))));
        let mut unsent = Vec::new();
        outbound.take_out_unsent(|key| unsent.push(key.stan.get()));
        unsent
    }

    #[test]
    fn a_write_that_broke_after_some_bytes_was_sent() {
        assert_eq!(unsent_after(40), Vec::<u32>::new());
    }

    #[test]
    fn a_write_that_broke_before_any_byte_was_not_sent() {
        assert_eq!(unsent_after(0), [1, 2]);
    }
}
