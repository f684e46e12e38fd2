//! Reads the body of a call, before the call takes anything that others need.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::future::poll_fn;
use tonic::body::Body;

use crate::grpc::server::MAX_REQUEST_BYTES;

/// How long the body of a call may take, from the arrival of its headers. Its payment needs the rest of the five
/// seconds.
pub(crate) const BODY_WITHIN: Duration = Duration::from_secs(1);
/// What stands before a message: whether it is compressed, and its length (gRPC over HTTP/2, "Length-Prefixed-
/// Message").
const PREFIX_BYTES: usize = 5;

/// Reads the whole body. Of one that is too large only so much is read that tonic refuses it by its length.
///
/// # Errors
/// What the connection says.
pub(crate) async fn read<B: HttpBody<Data = Bytes>>(body: B) -> Result<Body, B::Error> {
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        // The trailers of a request say nothing in gRPC.
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        // Most bodies are one frame, which is not copied.
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&data);
        }
        if first.len().max(all.len()) > PREFIX_BYTES + MAX_REQUEST_BYTES {
            break;
        }
    }
    let whole = if all.is_empty() { first } else { all.freeze() };
    Ok(Body::new(Whole(
        Some(whole).filter(|whole| !whole.is_empty()),
    )))
}

/// A body that has been read.
struct Whole(Option<Bytes>);

impl HttpBody for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|whole| Ok(Frame::data(whole))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let bytes = self.0.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(bytes).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A body of these frames.
    struct Frames(VecDeque<Bytes>);

    impl HttpBody for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|data| Ok(Frame::data(data))))
        }
    }

    async fn frames_of(mut body: Body) -> Vec<Bytes> {
        let mut frames = Vec::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        frames
    }

    #[tokio::test]
    async fn a_body_is_read_whole_and_not_beyond_its_limit() {
        let large = Bytes::from(vec![7; 50_000]);
        for (frames, expected) in [
            (vec![], 0),
            (vec![Bytes::from("one")], 3),
            (
                vec![Bytes::new(), Bytes::from("one"), Bytes::from("two")],
                6,
            ),
            // Enough to see that it is too large, and no more.
            (vec![large; 10], 100_000),
        ] {
            let sent: Vec<u8> = frames.iter().flatten().copied().collect();
            let read = read(Frames(frames.into())).await.unwrap();
            let hint = read.size_hint().exact();
            let read: Vec<u8> = frames_of(read).await.into_iter().flatten().collect();
            assert_eq!(read.len(), expected);
            assert_eq!(hint, u64::try_from(expected).ok());
            assert_eq!(read, sent[..expected]);
        }
    }
}
