//! One line to a host: a task that owns one connection, and makes a new one when it is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use crate::clock;
use crate::payment::decline::{FailureReason, UnknownReason};

use super::exchange::Exchange;
use super::fault::LineFault;
use super::in_flight::{InFlight, Waiting};
use super::match_key::RequestKey;
use super::network::NetworkStans;
use super::profile::{BackOff, HostProfile};
use super::report::Reporter;
use super::session::{Session, SessionEnd};
use super::status::{LineState, Load};
use super::tls::HostTls;
use super::waiter::Waiter;

/// A request on its way to the task of a line.
pub(super) struct Outgoing {
    /// The framed message; it holds the PAN.
    pub(super) frame: Zeroizing<Vec<u8>>,
    pub(super) key: RequestKey,
    /// After this moment no write of it begins.
    pub(super) claim_by: Instant,
    /// After this moment no byte of it is written: its sender has given up.
    pub(super) deadline: Instant,
    pub(super) waiter: Waiter,
}

/// The last moment to begin the write of a request that was handed over at `now` and is given up at
/// `deadline`: a sixteenth of the time before. Later than that an answer would hardly come in time,
/// and a connection that stalls for a moment would be lost over it, with all that is in flight.
pub(super) fn claim_by(now: Instant, deadline: Instant) -> Instant {
    let patience = deadline.saturating_duration_since(now);
    deadline.checked_sub(patience / 16).unwrap_or(deadline)
}

/// The senders' view of a line.
pub(super) struct LineHandle {
    pub(super) queue: mpsc::Sender<Outgoing>,
    /// Whether it is signed on.
    pub(super) open: Arc<AtomicBool>,
    pub(super) load: Load,
}

/// What the task of a line owns.
pub(super) struct Line {
    pub(super) profile: Arc<HostProfile>,
    pub(super) tls: Arc<HostTls>,
    pub(super) queue: mpsc::Receiver<Outgoing>,
    pub(super) open: Arc<AtomicBool>,
    pub(super) load: Load,
    pub(super) in_flight: InFlight<Waiter>,
    pub(super) network_stans: NetworkStans,
    /// Turns true when the line is to end.
    pub(super) drain: watch::Receiver<bool>,
    pub(super) report: Reporter,
}

impl Waiting for Waiter {
    fn is_waiting(&self) -> bool {
        Waiter::is_waiting(self)
    }
}

/// Runs a line until it is drained.
pub(super) async fn run(mut line: Line) {
    let mut failures = 0;
    loop {
        line.report.state(LineState::Connecting, None);
        let fault = match connect(&mut line).await {
            Connected::Stream(stream) => {
                let began = Instant::now();
                let mut connection = Connection::new(*stream);
                let end = Session::new(&mut line, &mut connection.stream).run().await;
                connection.ended_properly = !matches!(end, SessionEnd::Lost(_));
                drop(connection);
                // A line that lasted is tried again after the shortest wait; one that is lost as soon as
                // it is up counts as a failed attempt.
                if began.elapsed() >= line.profile.back_off.longest {
                    failures = 0;
                }
                match end {
                    SessionEnd::Drained => break,
                    SessionEnd::SignedOff => LineFault::SignedOff,
                    SessionEnd::Lost(fault) => fault,
                }
            }
            Connected::Failed(fault) => fault,
            Connected::Drained => break,
        };
        line.report.line_lost(&fault);
        let wait = back_off(line.profile.back_off, failures, random_fraction());
        failures = failures.saturating_add(1);
        if line.refuse_until(tokio::time::sleep(wait)).await.is_none() {
            break;
        }
    }
    line.queue.close();
    line.refuse_queued();
    line.report.line_closed();
}

enum Connected {
    Stream(Box<TlsStream<TcpStream>>),
    Failed(LineFault),
    Drained,
}

/// A connection that is reset when it is dropped, unless it ended properly: what the kernel has not
/// sent by then is taken back, and not delivered behind the back of whoever gave up.
struct Connection {
    stream: TlsStream<TcpStream>,
    ended_properly: bool,
}

impl Connection {
    fn new(stream: TlsStream<TcpStream>) -> Self {
        Self {
            stream,
            ended_properly: false,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.ended_properly {
            // It fails only for a socket that is broken already.
            let _ = self.stream.get_ref().0.set_zero_linger();
        }
    }
}

/// Connects, while requests that came in for the lost connection are refused.
async fn connect(line: &mut Line) -> Connected {
    let profile = Arc::clone(&line.profile);
    let tls = Arc::clone(&line.tls);
    let attempt = async move {
        let tcp = TcpStream::connect(&*profile.address)
            .await
            .map_err(LineFault::Connect)?;
        // Without it a small message waits for the acknowledgement of the one before.
        tcp.set_nodelay(true).map_err(LineFault::Connect)?;
        TlsConnector::from(Arc::clone(&tls.config))
            .connect(tls.server_name.clone(), tcp)
            .await
            .map_err(LineFault::Tls)
    };
    let timeout = line.profile.connect_timeout;
    match line
        .refuse_until(tokio::time::timeout(timeout, attempt))
        .await
    {
        None => Connected::Drained,
        Some(Err(_)) => Connected::Failed(LineFault::ConnectTimeout(timeout)),
        Some(Ok(Err(fault))) => Connected::Failed(fault),
        Some(Ok(Ok(stream))) => Connected::Stream(Box::new(stream)),
    }
}

impl Line {
    /// Waits for `done`, and refuses whatever comes in meanwhile; `None` when the line is to end
    /// before.
    async fn refuse_until<T>(&mut self, done: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(done);
        loop {
            tokio::select! {
                output = &mut done => return Some(output),
                queued = self.queue.recv() => match queued {
                    Some(outgoing) => outgoing.waiter.refuse(FailureReason::HostUnavailable),
                    None => return None,
                },
                () = told_to_drain(&mut self.drain) => return None,
            }
        }
    }

    /// When the connection is gone: what was written is unknown, what was not is not sent.
    pub(super) fn lose_everything(&mut self) {
        self.open.store(false, Ordering::Release);
        self.in_flight.for_each_unanswered(|waiter| {
            waiter.end(Exchange::Unknown(UnknownReason::ConnectionLost));
        });
        self.refuse_queued();
    }

    fn refuse_queued(&mut self) {
        while let Ok(outgoing) = self.queue.try_recv() {
            outgoing.waiter.refuse(FailureReason::HostUnavailable);
        }
    }
}

/// Waits until the line is to end: told so, or left alone.
pub(super) async fn told_to_drain(drain: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it whoever could use the line.
    let _ = drain.wait_for(|draining| *draining).await;
}

/// How long to wait after `failures` failures before this one. `fraction`, 0 to 1, says how much
/// of the upper half is waited.
fn back_off(bounds: BackOff, failures: u32, fraction: f64) -> Duration {
    /// Beyond this many doublings every wait is at its longest.
    const MOST_DOUBLINGS: u32 = 20;
    let doubled = bounds
        .first
        .saturating_mul(1 << failures.min(MOST_DOUBLINGS));
    let whole = doubled.min(bounds.longest);
    (whole / 2).saturating_add((whole / 2).mul_f64(fraction.clamp(0.0, 1.0)))
}

/// A number from 0 to 1. Without randomness lines come back together, which is no reason not to
/// come back.
fn random_fraction() -> f64 {
    let bytes: [u8; 4] = clock::random_bytes().unwrap_or_default();
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_doubles_up_to_its_longest() {
        let bounds = BackOff {
            first: Duration::from_millis(100),
            longest: Duration::from_millis(10_000),
        };
        for (failures, fraction, expected_ms) in [
            (0, 0.0, 50),
            (0, 1.0, 100),
            (1, 1.0, 200),
            (1, 0.5, 150),
            (6, 1.0, 6400),
            (7, 1.0, 10_000),
            (7, 0.0, 5000),
            (u32::MAX, 1.0, 10_000),
        ] {
            let wait = back_off(bounds, failures, fraction);
            assert_eq!(
                wait.as_millis(),
                expected_ms,
                "{failures} failures, {fraction}"
            );
        }
    }
}
