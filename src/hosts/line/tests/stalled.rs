//! A connection that takes a few bytes and no more: what was written, what was queued, what was
//! neither. Without TLS, so that the test decides byte by byte what the bank took.

use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::sync::{oneshot, watch};

use super::*;
use crate::hosts::circuit::Circuit;
use crate::hosts::line::endpoint::Endpoint;
use crate::hosts::line::fault::LineFault;
use crate::hosts::line::orders::Order;
use crate::hosts::line::report::Reporter;
use crate::hosts::line::session::{Session, SessionEnd};
use crate::hosts::line::socket::{CountedSocket, TakenBytes};
use crate::hosts::line::unmatched::Unmatched;
use crate::hosts::line::waiter;
use crate::hosts::line::{Line, LineHandle, QueuedRequest};
use crate::hosts::message::amount::AskedAmount;
use crate::hosts::message::build::{Encoder, request_key};
use crate::hosts::status::{Load, Share, StatusBoard};
use crate::hosts::tests::bank::answer;
use crate::net::Net;
use crate::payment::decline::{FailureReason, UnknownReason};
use crate::random::Random;
use std::sync::atomic::Ordering;

/// Less than a request.
const PIPE_BYTES: usize = 64;

struct Stalled<B> {
    handle: LineHandle,
    bank: B,
    ended: oneshot::Receiver<SessionEnd>,
    _drain: watch::Sender<Order>,
    profile: Arc<HostProfile>,
}

/// A line that a test connects to whatever it likes.
struct DetachedLine {
    profile: Arc<HostProfile>,
    handle: LineHandle,
    line: Line,
    notices: mpsc::Receiver<HostNotice>,
    drain: watch::Sender<Order>,
}

async fn detached_line() -> DetachedLine {
    detached_line_to(&Bank::start().await)
}

fn detached_line_to(some_bank: &Bank) -> DetachedLine {
    let mut profile = some_bank.profile();
    profile.network.sign_on = false;
    let endpoint = Endpoint::read(&profile, None).unwrap();
    let (_, endpoint) = watch::channel(Arc::new(endpoint));
    let profile = Arc::new(profile);
    let load = Load::default();
    let rows = vec![(profile.host_id, true, vec![load.clone()])];
    let (sender, notices) = mpsc::channel(64);
    let report = Reporter {
        profile: Arc::clone(&profile),
        host: 0,
        line: 0,
        board: Arc::new(StatusBoard::new(rows, known::NOW)),
        clock: Arc::new(ManualClock::at(known::NOW)),
        notices: sender,
        cutovers: mpsc::channel(1).0,
        circuit: Arc::new(Circuit::new(
            profile.host_id,
            profile.circuit,
            Arc::new(ManualClock::at(known::NOW)),
        )),
        unmatched: Unmatched::default(),
    };
    let (drain, order) = watch::channel(Order::Run);
    let (net, random) = (&Net::SYSTEM, &Random::SYSTEM);
    let (handle, line) =
        crate::hosts::line::open_line(&profile, endpoint, load, order, report, net, random);
    DetachedLine {
        profile,
        handle,
        line,
        notices,
        drain,
    }
}

async fn stalled() -> Stalled<DuplexStream> {
    let (ours, bank) = tokio::io::duplex(PIPE_BYTES);
    let ours = CountedSocket::new(ours);
    let taken = ours.taken_bytes();
    start(detached_line().await, ours, taken, bank)
}

/// Runs a session on `ours`, the other end of which is `bank`.
fn start<S, B>(detached: DetachedLine, ours: S, taken: TakenBytes, bank: B) -> Stalled<B>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let DetachedLine {
        profile,
        handle,
        mut line,
        drain,
        ..
    } = detached;
    let (end, ended) = oneshot::channel();
    tokio::spawn(async move {
        let over = Session::new(&mut line, ours, taken).run().await;
        let _ = end.send(over);
        // The queue stays open, as it does while a line connects again.
        std::future::pending::<()>().await;
    });
    Stalled {
        handle,
        bank,
        ended,
        _drain: drain,
        profile,
    }
}

impl<B> Stalled<B> {
    fn send(&self, number: u64, until: Instant) -> JoinHandle<Exchange> {
        let operation = known::numbered(number);
        let merchant = known::merchant();
        let message = self.profile.messages.get(operation.kind).unwrap();
        let format = self.profile.format();
        let frame = Encoder::new()
            .encode(message, format, known::outgoing(&operation, &merchant))
            .unwrap();
        assert!(frame.len() > PIPE_BYTES);
        let place = self.handle.load.take(Share::Requests, usize::MAX);
        let now = Instant::now();
        let (waiter, pending) = waiter::request(&operation, place.unwrap(), now);
        let request = QueuedRequest {
            frame,
            key: request_key(message, format, &operation, None).unwrap(),
            claim_by: until.checked_sub((until - now) / 2).unwrap(),
            deadline: until,
            waiter,
        };
        self.handle.queue.try_send(request).ok().unwrap();
        tokio::spawn(pending.outcome(until))
    }
}

#[tokio::test]
async fn what_was_partly_written_is_unknown_and_what_was_queued_is_not_sent() {
    let mut stalled = stalled().await;
    let written = stalled.send(1, Instant::now() + TEST_TIMEOUT);
    let mut first = [0; 1];
    stalled.bank.read_exact(&mut first).await.unwrap();
    // The first request is on its way, and as long as it is stuck the others wait behind it.
    let queued = stalled.send(2, Instant::now() + TEST_TIMEOUT);
    let expired = stalled.send(3, Instant::now() + Duration::from_millis(20));
    let end = end_of(expired).await;
    assert_eq!(end, Exchange::NotSent(FailureReason::DeadlineBeforeSend));
    drop(stalled.bank);
    let end = end_of(written).await;
    assert_eq!(end, Exchange::Unknown(UnknownReason::ConnectionLost));
    let end = end_of(queued).await;
    assert_eq!(end, Exchange::NotSent(FailureReason::HostUnavailable));
    assert!(matches!(stalled.ended.await.unwrap(), SessionEnd::Lost(_)));
}

#[tokio::test]
async fn what_expired_in_the_queue_is_never_written() {
    let mut stalled = stalled().await;
    let written = stalled.send(1, Instant::now() + TEST_TIMEOUT);
    let mut frame = vec![0; 2];
    stalled.bank.read_exact(&mut frame).await.unwrap();
    let expired = stalled.send(2, Instant::now() + Duration::from_millis(20));
    let end = end_of(expired).await;
    assert_eq!(end, Exchange::NotSent(FailureReason::DeadlineBeforeSend));
    let last = stalled.send(3, Instant::now() + TEST_TIMEOUT);
    // Everything that comes out: the first and the third, and nothing of the second.
    let mut stans = Vec::new();
    for _ in 0..2 {
        let length = u16::from_be_bytes([frame[0], frame[1]]);
        let mut message = vec![0; usize::from(length)];
        stalled.bank.read_exact(&mut message).await.unwrap();
        let decoded = stalled.profile.dialect.decode(&message).unwrap();
        stans.push(decoded.number(11).unwrap());
        if stans.len() < 2 {
            stalled.bank.read_exact(&mut frame).await.unwrap();
        }
    }
    assert_eq!(stans, [2, 4]);
    drop(stalled.bank);
    for payment in [written, last] {
        let end = end_of(payment).await;
        assert_eq!(end, Exchange::Unknown(UnknownReason::ConnectionLost));
    }
}

/// How long a test's request may take where the test waits for its end.
const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn after_the_deadline_not_even_the_rest_of_a_request_is_written() {
    let mut stalled = stalled().await;
    let written = stalled.send(1, Instant::now() + SHORT);
    let mut first = [0; 1];
    stalled.bank.read_exact(&mut first).await.unwrap();
    let end = end_of(written).await;
    assert_eq!(end, Exchange::Unknown(UnknownReason::NoAnswerInTime));
    // Now the bank reads again: what the pipe held, and then the end.
    let mut rest = Vec::new();
    stalled.bank.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() <= PIPE_BYTES, "{}", rest.len());
    let end = stalled.ended.await.unwrap();
    assert!(matches!(end, SessionEnd::Lost(LineFault::WriteDeadline)));
}

#[tokio::test]
async fn what_tls_holds_at_the_deadline_is_not_flushed() {
    let bank = Bank::start().await;
    let detached = detached_line_to(&bank);
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    let endpoint = Arc::clone(&detached.line.endpoint.borrow());
    let tls = &endpoint.tls;
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(&tls.config));
    // The bank's handshake ends only when the session has read its tickets.
    let accepted = tokio::spawn(bank.acceptor.accept(theirs));
    let ours = connector.connect(tls.server_name.clone(), CountedSocket::new(ours));
    let ours = ours.await.unwrap();
    let taken = ours.get_ref().0.taken_bytes();
    let mut stalled = start(detached, ours, taken, accepted);
    let mut theirs = (&mut stalled.bank).await.unwrap().unwrap();
    let written = stalled.send(1, Instant::now() + SHORT);
    let end = end_of(written).await;
    assert_eq!(end, Exchange::Unknown(UnknownReason::NoAnswerInTime));
    // The bank begins to read only now. TLS had taken the whole request, as one record, of which the
    // pipe held a part: without its rest nothing of it can be opened.
    let mut read = Vec::new();
    let error = theirs.read_to_end(&mut read).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    assert!(read.is_empty());
    let end = stalled.ended.await.unwrap();
    assert!(matches!(end, SessionEnd::Lost(LineFault::WriteDeadline)));
}

/// A request that waits behind one that is stuck is taken out of the buffer: the line, and what it carries,
/// does not pay for it.
#[tokio::test]
async fn what_was_not_handed_over_in_time_is_taken_out_and_the_line_goes_on() {
    let mut stalled = stalled().await;
    let now = Instant::now();
    // All three are in one write.
    let stuck = stalled.send(1, now + TEST_TIMEOUT);
    let expired = stalled.send(2, now + Duration::from_millis(1500));
    let last = stalled.send(3, now + TEST_TIMEOUT);
    let end = end_of(expired).await;
    assert_eq!(end, Exchange::NotSent(FailureReason::NoTimeForTheBank));
    for (stan, payment) in [(2, stuck), (4, last)] {
        let length = stalled.bank.read_u16().await.unwrap();
        let mut message = vec![0; usize::from(length)];
        stalled.bank.read_exact(&mut message).await.unwrap();
        let decoded = stalled.profile.dialect.decode(&message).unwrap();
        assert_eq!(decoded.number(11), Some(stan));
        let request = decoded.to_builder();
        let mut reply = vec![0, 0];
        let dialect = &stalled.profile.dialect;
        dialect.encode(&answer(&request, "00"), &mut reply).unwrap();
        let length = u16::try_from(reply.len() - 2).unwrap().to_be_bytes();
        reply[..2].copy_from_slice(&length);
        stalled.bank.write_all(&reply).await.unwrap();
        assert!(is_approved(&end_of(payment).await));
    }
}

/// A socket that takes nothing while it is shut.
struct Gate {
    stream: DuplexStream,
    shut: Arc<AtomicBool>,
}

impl AsyncRead for Gate {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Gate {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if self.shut.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// TLS has taken a request, and the socket not a byte of it: TLS does not give it back, so the line is lost, but
/// the request was certainly not sent.
#[tokio::test]
async fn what_only_tls_has_taken_is_not_sent() {
    let bank = Bank::start().await;
    let detached = detached_line_to(&bank);
    let (stream, theirs) = tokio::io::duplex(64 * 1024);
    let shut = Arc::new(AtomicBool::new(false));
    let gate = Gate {
        stream,
        shut: Arc::clone(&shut),
    };
    let endpoint = Arc::clone(&detached.line.endpoint.borrow());
    let tls = &endpoint.tls;
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(&tls.config));
    let accepted = tokio::spawn(bank.acceptor.accept(theirs));
    let ours = connector.connect(tls.server_name.clone(), CountedSocket::new(gate));
    let ours = ours.await.unwrap();
    let taken = ours.get_ref().0.taken_bytes();
    let stalled = start(detached, ours, taken, accepted);
    shut.store(true, Ordering::Release);
    let unsent = stalled.send(1, Instant::now() + Duration::from_millis(1000));
    let end = end_of(unsent).await;
    assert_eq!(end, Exchange::NotSent(FailureReason::HostUnavailable));
    let end = stalled.ended.await.unwrap();
    assert!(matches!(end, SessionEnd::Lost(LineFault::WriteDeadline)));
}

/// An answer and the time-out at the same moment: one of them wins, and both sides agree which.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_has_one_winner() {
    let load = Load::default();
    let answered = Exchange::NotSent(FailureReason::HostBusy);
    for round in 0..2000 {
        let place = load.take(Share::Requests, 8).unwrap();
        let operation = known::numbered(round);
        let (mut waiter, pending) = waiter::request(&operation, place, Instant::now());
        let asked = AskedAmount {
            amount_minor: 1250,
            currency: 978,
            partial_of_minor: None,
        };
        assert!(waiter.claim(asked, Instant::now()));
        let go = Arc::new(AtomicBool::new(false));
        let started = Arc::clone(&go);
        let reply = answered.clone();
        let link = tokio::task::spawn_blocking(move || {
            while !started.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            waiter.end(reply).is_none()
        });
        let sender = tokio::spawn(async move {
            go.store(true, Ordering::Release);
            pending.outcome(Instant::now()).await
        });
        let (in_time, outcome) = (link.await.unwrap(), sender.await.unwrap());
        if in_time {
            assert_eq!(outcome, answered);
        } else {
            assert_eq!(outcome, Exchange::Unknown(UnknownReason::NoAnswerInTime));
        }
    }
    assert_eq!(load.taken(), 0);
}

/// The session ends on any bytes of a bank; nothing panics, and nothing secret is shown.
#[tokio::test]
async fn garbage_ends_the_session_and_nothing_else() {
    let mut detached = detached_line().await;
    let merchant = known::merchant();
    let operation = known::operation();
    let frame = Encoder::new()
        .encode(
            detached.profile.messages.get(operation.kind).unwrap(),
            detached.profile.format(),
            known::outgoing(&operation, &merchant),
        )
        .unwrap();
    // A small generator of its own (Knuth's constants), so that a failure can be repeated.
    let mut state = 0x2026_1121_u64;
    let mut random = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for round in 0..2000 {
        let mut bytes = frame.to_vec();
        for _ in 0..=random(4) {
            // The length is left alone in most rounds, so that what is behind it is read.
            let at = if round % 8 == 0 { 0 } else { 2 };
            let at = at + random(bytes.len() - at);
            bytes[at] = u8::try_from(random(256)).unwrap();
        }
        let (ours, mut bank) = tokio::io::duplex(4096);
        bank.write_all(&bytes).await.unwrap();
        drop(bank);
        let taken = TakenBytes::default();
        let end = Session::new(&mut detached.line, ours, taken).run().await;
        assert!(matches!(end, SessionEnd::Lost(_)), "{round}");
        while let Ok(notice) = detached.notices.try_recv() {
            let shown = format!("{notice:?}");
            assert!(!shown.contains(CARD.pan), "{round}: {shown}");
        }
    }
}

/// As operators count lines everywhere: `hosts list` and `hosts echo` begin with 1.
#[tokio::test]
async fn the_log_counts_lines_from_one() {
    use std::io::Read as _;
    let detached = detached_line().await;
    let (mut written, log) = std::io::pipe().unwrap();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(Arc::new(log))
        .finish();
    tracing::subscriber::with_default(subscriber, || detached.line.report.line_up());
    let mut bytes = [0; 1024];
    let read = written.read(&mut bytes).unwrap();
    let said = String::from_utf8_lossy(&bytes[..read]);
    assert!(said.contains("the line is up"), "{said}");
    assert!(said.contains("line=1"), "{said}");
}
