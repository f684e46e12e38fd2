//! One line to a host: a task that owns one connection, and makes a new one when it is lost.
//!
//! - [`link`]: connects, and connects again; `fault`: why a connection was lost; [`tls`]: which hosts it
//!   trusts, and which certificate it shows; `endpoint`: that and the address, as they are now.
//! - `session`: runs one connection; `connection`: its state and what it sends; `incoming`: what it
//!   receives; `outbound`: the bytes to be written; `socket`: counts what the socket took; `network`: sign-on,
//!   echo, sign-off.
//! - `in_flight`: the requests that may still be answered; [`waiter`]: the sender that waits for one.
//! - [`trial`]: a connection without a message.
//! - [`orders`]: what operators ask of the line. `settlement`: totals, and the host's own cutover.
//! - [`unmatched`]: how many messages that nobody waits for are kept.
//! - [`report`]: tells the status board, the store and the log what happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustls_pki_types::CertificateDer;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::net::Net;
use crate::payment::decline::{FailureReason, UnknownReason};
use crate::random::Random;

use super::exchange::Exchange;
use super::message::match_key::RequestKey;
use super::profile::HostProfile;
use super::status::Load;
use endpoint::Endpoint;
use fault::LineFault;
use in_flight::InFlight;
use network::NetworkStans;
use orders::{ECHOES, EchoRequest, Order, Orders, told_to_stop};
use report::Reporter;
use settlement::{SETTLEMENT_QUEUE, SettlementRequest};
use waiter::Waiter;

mod connection;
pub(super) mod endpoint;
mod fault;
mod in_flight;
mod incoming;
pub(super) mod link;
mod network;
pub mod orders;
mod outbound;
pub(super) mod report;
mod session;
pub(super) mod settlement;
mod socket;
pub mod tls;
pub mod trial;
pub(super) mod unmatched;
pub(super) mod waiter;

#[cfg(test)]
mod tests;

/// A request on its way to the task of a line.
pub(super) struct QueuedRequest {
    /// The framed message; it holds the PAN.
    pub(super) frame: Zeroizing<Vec<u8>>,
    pub(super) key: RequestKey,
    /// After this moment no write of it begins.
    pub(super) claim_by: Instant,
    /// After this moment no byte of it is written: its sender has given up.
    pub(super) deadline: Instant,
    pub(super) waiter: Waiter,
}

/// The senders' view of a line.
pub(super) struct LineHandle {
    pub(super) queue: mpsc::Sender<QueuedRequest>,
    /// Whether it takes messages: it is signed on, and the host is heard.
    pub(super) open: Arc<AtomicBool>,
    /// The number of the connection on which it is signed on, from 1; 0 while it is not.
    pub(super) connection: Arc<AtomicU64>,
    pub(super) load: Load,
    pub(super) echoes: mpsc::Sender<EchoRequest>,
    pub(super) settlement: mpsc::Sender<SettlementRequest>,
}

/// Both ends of a line that is yet to connect.
pub(super) fn open_line(
    profile: &Arc<HostProfile>,
    endpoint: watch::Receiver<Arc<Endpoint>>,
    load: Load,
    order: watch::Receiver<Order>,
    report: Reporter,
    net: &Net,
    random: &Random,
) -> (LineHandle, Line) {
    // Each request in the queue holds a place on the line, so the queue never needs more room.
    let (sender, queue) = mpsc::channel(profile.in_flight_limit.max(1));
    let (ask_echo, echoes) = mpsc::channel(ECHOES);
    let (settle, settlement) = mpsc::channel(SETTLEMENT_QUEUE);
    let open = Arc::new(AtomicBool::new(false));
    let connection = Arc::new(AtomicU64::new(0));
    let handle = LineHandle {
        queue: sender,
        open: Arc::clone(&open),
        connection: Arc::clone(&connection),
        load: load.clone(),
        echoes: ask_echo,
        settlement: settle,
    };
    // Any start will do, so that lines differ; without randomness they don't.
    let first_stan = u32::from_le_bytes(random.bytes().unwrap_or_default());
    let line = Line {
        profile: Arc::clone(profile),
        endpoint,
        shown: Vec::new(),
        queue,
        open,
        connection,
        connections: 0,
        load,
        in_flight: InFlight::new(profile.in_flight_limit),
        network_stans: NetworkStans::starting_at(first_stan),
        orders: Orders {
            order,
            echoes,
            settlement,
        },
        report,
        net: net.clone(),
        random: random.clone(),
    };
    (handle, line)
}

/// The state that the task of a line owns.
pub(super) struct Line {
    profile: Arc<HostProfile>,
    /// How the host is reached: as of now, and each change.
    endpoint: watch::Receiver<Arc<Endpoint>>,
    /// The certificates that the host showed on the connection.
    shown: Vec<CertificateDer<'static>>,
    queue: mpsc::Receiver<QueuedRequest>,
    open: Arc<AtomicBool>,
    connection: Arc<AtomicU64>,
    /// How many connections were signed on so far.
    connections: u64,
    load: Load,
    in_flight: InFlight<Waiter>,
    network_stans: NetworkStans,
    orders: Orders,
    report: Reporter,
    net: Net,
    random: Random,
}

impl Line {
    /// Waits for `done`, and refuses whatever comes in meanwhile; `None` when the line is not to run any
    /// more before.
    async fn refuse_until<T>(&mut self, done: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(done);
        loop {
            tokio::select! {
                output = &mut done => return Some(output),
                queued = self.queue.recv() => match queued {
                    Some(request) => request.waiter.refuse(FailureReason::HostUnavailable),
                    None => return None,
                },
                () = told_to_stop(&mut self.orders.order) => return None,
            }
        }
    }

    /// Whether the host that it is connected to would be trusted as well by what is there now.
    ///
    /// # Errors
    /// When it would not.
    fn check_host_again(&mut self) -> Result<(), LineFault> {
        let endpoint = Arc::clone(&self.endpoint.borrow_and_update());
        let now = self.report.clock.unix_time();
        let checked = endpoint.tls.check_host(&self.shown, now);
        checked.map_err(LineFault::NotTrusted)
    }

    /// When the connection is gone: what was written is unknown, what was not is not sent.
    pub(super) fn end_all_as_lost(&mut self) {
        self.open.store(false, Ordering::Release);
        self.connection.store(0, Ordering::Release);
        self.in_flight.for_each_unanswered(|waiter| {
            waiter.end(Exchange::Unknown(UnknownReason::ConnectionLost));
        });
        self.refuse_queued();
    }

    /// After a panic nothing is known of what was in flight, but that it may have been sent.
    fn end_after_panic(&mut self) {
        self.end_all_as_lost();
        self.in_flight = InFlight::new(self.profile.in_flight_limit);
    }

    fn refuse_queued(&mut self) {
        while let Ok(request) = self.queue.try_recv() {
            request.waiter.refuse(FailureReason::HostUnavailable);
        }
    }
}
