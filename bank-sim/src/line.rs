//! One connection's bytes: reads and writes at the same time, and writes all queued output at once.

use std::{io, pin::pin, time::Duration};

use bytes::{Buf, BytesMut};
use iso8583::{Framing, FramingError};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    time::{Instant, sleep_until},
};

/// How much output may be queued before a line stops reading: the peer must read before it may ask more.
const MAX_QUEUED_OUTPUT_BYTES: usize = 1 << 20;

/// How much is read at once, at most.
const READ_CHUNK_BYTES: usize = 32 * 1024;

/// How long a peer may refuse to read before its line is dropped.
const WRITE_STALL_LIMIT: Duration = Duration::from_secs(10);

/// Why a line ended.
#[derive(Debug, Error)]
pub(crate) enum LineError {
    #[error("the peer closed the connection")]
    Closed,
    #[error("the peer has read nothing for {} s", WRITE_STALL_LIMIT.as_secs())]
    Stalled,
    #[error("reading or writing failed")]
    Io(#[from] io::Error),
    #[error("the stream is out of step")]
    Framing(#[from] FramingError),
}

/// A framed connection. [`Line::read_while_writing`] may be dropped at any await point without
/// losing anything.
pub(crate) struct Line<S> {
    reader: ReadHalf<S>,
    writer: Output<S>,
    input: BytesMut,
    framing: Framing,
}

struct Output<S> {
    writer: WriteHalf<S>,
    queued: Vec<u8>,
    written: usize,
    needs_flush: bool,
    progressed_at: Instant,
}

impl<S: AsyncRead + AsyncWrite> Line<S> {
    pub(crate) fn new(stream: S, framing: Framing) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader,
            writer: Output {
                writer,
                queued: Vec::with_capacity(READ_CHUNK_BYTES),
                written: 0,
                needs_flush: false,
                progressed_at: Instant::now(),
            },
            input: BytesMut::with_capacity(READ_CHUNK_BYTES),
            framing,
        }
    }

    /// Where frames to be sent are appended; [`Line::read_while_writing`] writes them.
    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        if !self.writer.is_busy() {
            self.writer.progressed_at = Instant::now();
        }
        &mut self.writer.queued
    }

    /// Writes the queued output, and returns when something has been read.
    pub(crate) async fn read_while_writing(&mut self) -> Result<(), LineError> {
        loop {
            let may_read = self.writer.queued_bytes() < MAX_QUEUED_OUTPUT_BYTES;
            let is_writing = self.writer.is_busy();
            let stalled_at = self.writer.progressed_at + WRITE_STALL_LIMIT;
            self.input.reserve(READ_CHUNK_BYTES);
            let mut input = pin!(self.reader.read_buf(&mut self.input));
            tokio::select! {
                biased;
                written = self.writer.write_queued(), if is_writing => written?,
                read = &mut input, if may_read => match read? {
                    0 => return Err(LineError::Closed),
                    _ => return Ok(()),
                },
                () = sleep_until(stalled_at), if is_writing => return Err(LineError::Stalled),
            }
        }
    }

    /// The whole frames that have been read, as ranges of [`Line::input`], at most `limit` of them,
    /// and how many bytes they take with their prefixes.
    pub(crate) fn frames(
        &self,
        limit: usize,
    ) -> Result<(Vec<(usize, usize)>, usize), FramingError> {
        let mut frames = Vec::new();
        let mut begin = 0;
        while frames.len() < limit
            && let Some(rest) = self.input.get(begin..)
            && let Some((payload, end)) = self.framing.split(rest)?
        {
            frames.push((begin + payload, begin + end));
            begin += end;
        }
        Ok((frames, begin))
    }

    /// The bytes that have been read and not been consumed.
    pub(crate) fn input(&self) -> &[u8] {
        &self.input
    }

    /// Forgets the first bytes of the input.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.input.advance(bytes.min(self.input.len()));
    }

    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    /// Writes the queued output and closes the stream, as far as that goes within the limit.
    pub(crate) async fn close(&mut self, limit: Duration) {
        let closing = async {
            while self.writer.is_busy() {
                self.writer.write_queued().await?;
            }
            self.writer.writer.shutdown().await
        };
        // A peer that does not take part in closing is left alone.
        let _ = tokio::time::timeout(limit, closing).await;
    }
}

impl<S: AsyncWrite> Output<S> {
    fn queued_bytes(&self) -> usize {
        self.queued.len().saturating_sub(self.written)
    }

    fn is_busy(&self) -> bool {
        self.needs_flush || self.queued_bytes() > 0
    }

    /// Writes the queued output and flushes it. Progress is recorded after each write, so that this
    /// may be dropped half-way.
    async fn write_queued(&mut self) -> io::Result<()> {
        while let Some(rest) = self
            .queued
            .get(self.written..)
            .filter(|rest| !rest.is_empty())
        {
            let written = self.writer.write(rest).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.written += written;
            self.needs_flush = true;
            self.progressed_at = Instant::now();
        }
        self.queued.clear();
        self.written = 0;
        if self.needs_flush {
            self.writer.flush().await?;
            self.needs_flush = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use iso8583::Prefix;

    use super::*;

    const FRAMING: Framing = Framing::new(Prefix::Binary2);

    #[tokio::test]
    async fn split_and_coalesced_frames_are_told_apart() {
        let (mut peer, ours) = tokio::io::duplex(64);
        let mut line = Line::new(ours, FRAMING);
        for piece in [&b"\0"[..], b"\x03a", b"bc\0\x01", b"d\0\x00\0\x02e"] {
            peer.write_all(piece).await.unwrap();
            line.read_while_writing().await.unwrap();
        }
        let (frames, consumed) = line.frames(16).unwrap();
        let payloads: Vec<_> = frames
            .iter()
            .map(|(from, to)| &line.input()[*from..*to])
            .collect();
        assert_eq!(payloads, [&b"abc"[..], b"d", b""]);
        line.consume(consumed);
        assert_eq!(line.input(), b"\0\x02e");
        assert!(line.frames(16).unwrap().0.is_empty());
    }

    #[tokio::test]
    async fn output_that_the_peer_takes_slowly_does_not_stop_reading() {
        let (mut peer, ours) = tokio::io::duplex(16);
        let mut line = Line::new(ours, FRAMING);
        line.output().extend_from_slice(&[7; 100]);
        peer.write_all(b"\0\x01x").await.unwrap();
        line.read_while_writing().await.unwrap();
        assert_eq!(line.frames(1).unwrap().0, [(2, 3)]);
        let reading = async {
            let mut read = vec![0; 100];
            peer.read_exact(&mut read).await.unwrap();
            peer.write_all(b"y").await.unwrap();
            read
        };
        let (read, done) = tokio::join!(reading, line.read_while_writing());
        done.unwrap();
        assert_eq!(read, [7; 100]);
    }
}
