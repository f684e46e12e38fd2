//! Keeps a line connected: connects, and after a fault waits and connects again.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::hosts::profile::BackOff;
use crate::hosts::status::LineState;
use crate::net::{Net, Stream};
use crate::payment::decline::FailureReason;
use crate::random::Random;

use super::Line;
use super::fault::LineFault;
use super::orders::Order;
use super::session::{Session, SessionEnd};
use super::socket::CountedSocket;
use super::tls::HostTls;

/// Runs a line until it is told to end.
pub(in crate::hosts) async fn run(mut line: Line) {
    let mut failures = 0;
    while is_to_run(&mut line).await {
        let began = Instant::now();
        // A panic is a fault of this connection alone: the line is made again.
        let end = AssertUnwindSafe(run_once(&mut line)).catch_unwind().await;
        let end = end.unwrap_or_else(|_| {
            line.end_after_panic();
            SessionEnd::Lost(LineFault::Panic)
        });
        let fault = match end {
            SessionEnd::Drained => continue,
            SessionEnd::SignedOff => LineFault::SignedOff,
            SessionEnd::Lost(fault) => fault,
        };
        // A line that lasted is tried again after the shortest wait; one that is lost as soon as it is up
        // counts as a failed attempt.
        let bounds = line.endpoint.borrow().back_off;
        if began.elapsed() >= bounds.longest && !fault.is_of_connecting() {
            failures = 0;
        }
        line.report.line_lost(&fault);
        let wait = back_off(bounds, failures, random_fraction(&line.random));
        failures = failures.saturating_add(1);
        // Without an end of the wait there is another order, which is looked at next.
        let _ = line.refuse_until(tokio::time::sleep(wait)).await;
    }
    line.queue.close();
    line.refuse_queued();
    line.report.line_closed();
}

/// Whether the line is to connect. While it is signed off this waits, and refuses what comes in.
async fn is_to_run(line: &mut Line) -> bool {
    let Line { orders, queue, .. } = line;
    if *orders.order.borrow() == Order::SignOff {
        line.report.state(LineState::SignedOff, None);
    }
    loop {
        // Nobody is left to give another order when this fails.
        if orders.order.has_changed().is_err() {
            return false;
        }
        match *orders.order.borrow_and_update() {
            Order::Run => return true,
            Order::End => return false,
            Order::SignOff => {}
        }
        tokio::select! {
            _ = orders.order.changed() => {}
            queued = queue.recv() => match queued {
                Some(request) => request.waiter.refuse(FailureReason::HostUnavailable),
                None => return false,
            },
        }
    }
}

/// Connects, and runs the session until it ends.
async fn run_once(line: &mut Line) -> SessionEnd {
    line.report.state(LineState::Connecting, None);
    match connect(line).await {
        Connected::Stream(stream) => {
            let (socket, tls) = stream.get_ref();
            let taken = socket.taken_bytes();
            let shown = tls.peer_certificates().unwrap_or_default();
            line.shown = shown.iter().map(|it| it.clone().into_owned()).collect();
            let mut stream = ResetOnDrop::new(*stream);
            let end = Session::new(line, &mut stream.stream, taken).run().await;
            stream.closed = !matches!(end, SessionEnd::Lost(_));
            end
        }
        Connected::Failed(fault) => SessionEnd::Lost(fault),
        Connected::Drained => SessionEnd::Drained,
    }
}

enum Connected {
    Stream(Box<TlsStream<CountedSocket<Stream>>>),
    Failed(LineFault),
    Drained,
}

/// A stream that is reset (RST) when it is dropped, unless the session closed it: the kernel then discards
/// what it has not sent, and a request whose sender gave up is not delivered afterwards.
struct ResetOnDrop {
    stream: TlsStream<CountedSocket<Stream>>,
    closed: bool,
}

impl ResetOnDrop {
    fn new(stream: TlsStream<CountedSocket<Stream>>) -> Self {
        Self {
            stream,
            closed: false,
        }
    }
}

impl Drop for ResetOnDrop {
    fn drop(&mut self) {
        if !self.closed {
            // This fails only for a socket that is broken already.
            let _ = self.stream.get_ref().0.socket.set_zero_linger();
        }
    }
}

/// Connects, while requests that came in for the lost connection are refused.
async fn connect(line: &mut Line) -> Connected {
    let endpoint = Arc::clone(&line.endpoint.borrow_and_update());
    let timeout = endpoint.connect_timeout;
    let net = line.net.clone();
    let attempt = async move { dial(&net, &endpoint.address, &endpoint.tls).await };
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

/// A connection to `address` with TLS on it, for as long as that takes.
pub(super) async fn dial(
    net: &Net,
    address: &str,
    tls: &HostTls,
) -> Result<TlsStream<CountedSocket<Stream>>, LineFault> {
    let tcp = net.connect(address).await.map_err(LineFault::Connect)?;
    TlsConnector::from(Arc::clone(&tls.config))
        .connect(tls.server_name.clone(), CountedSocket::new(tcp))
        .await
        .map_err(LineFault::Tls)
}

/// How long to wait after `failures` failures before this one. `fraction`, 0 to 1, says how much
/// of the upper half is waited.
pub(in crate::hosts) fn back_off(bounds: BackOff, failures: u32, fraction: f64) -> Duration {
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
pub(in crate::hosts) fn random_fraction(random: &Random) -> f64 {
    let bytes: [u8; 4] = random.bytes().unwrap_or_default();
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
