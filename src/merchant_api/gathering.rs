//! Answers of the same moment leave in one write.
//!
//! Payments end in crowds, because many are committed at once, and each answer would leave in a TLS
//! record and a system call of its own. Instead the first write to an idle connection waits until the
//! tasks that are ready now have run: those among them that answer on the same connection add to what
//! is then written at once. Where nobody else is ready there is nothing to wait for, and no timer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose writes are put off by one turn of the scheduler.
#[derive(Debug)]
pub(super) struct Gathering<S> {
    stream: S,
    /// Whether what is being written has had its turn, until it is flushed.
    gathered: bool,
}

impl<S> Gathering<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            gathered: false,
        }
    }

    /// The writer is woken at once, behind everybody who is ready already.
    fn poll_gather(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.gathered {
            return Poll::Ready(());
        }
        self.gathered = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_gather(cx));
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_gather(cx));
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.gathered = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn each_burst_waits_one_turn_and_arrives_whole() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut near = Gathering::new(near);
        for burst in [["one", "two"], ["three", "four"]] {
            // The first write waits for a turn, in which nothing arrives; those behind it do not.
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let first = Pin::new(&mut near).poll_write(&mut cx, burst[0].as_bytes());
            assert!(first.is_pending());
            for part in burst {
                near.write_all(part.as_bytes()).await.unwrap();
            }
            near.flush().await.unwrap();
            let mut arrived = [0; 64];
            let count = far.read(&mut arrived).await.unwrap();
            assert_eq!(&arrived[..count], burst.concat().as_bytes());
        }
    }

    #[tokio::test]
    async fn who_waits_is_woken_without_anybody_elses_doing() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut near = Gathering::new(near);
        near.write_all(b"answer").await.unwrap();
        near.flush().await.unwrap();
        let mut arrived = [0; 6];
        far.read_exact(&mut arrived).await.unwrap();
        assert_eq!(&arrived, b"answer");
    }
}
