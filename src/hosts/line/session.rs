//! Runs one connection from the sign-on to its end: reads, writes, and lets time pass.

use std::future::poll_fn;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::connection::{Connection, Phase, Stop};
use super::fault::LineFault;
use super::orders::told_to_stop;
use super::outbound::{Progress, SendError};
use super::settlement::{MOST_WAITING, is_recorded};
use super::socket::TakenBytes;
use super::{Line, QueuedRequest};

/// The most requests that one write takes from the queue.
const WRITE_BATCH: usize = 128;
/// How long the end of a TLS session may take.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// The bounds of how often time-outs are looked at.
const TICK: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
/// How often a line that drains looks whether it is done.
const DRAIN_TICK: Duration = Duration::from_millis(10);

/// How a session ended.
pub(super) enum SessionEnd {
    /// As it was asked to.
    Drained,
    /// By the host, which signed off.
    SignedOff,
    /// By a fault.
    Lost(LineFault),
}

/// One connection of a line, and the stream that it reads and writes.
pub(super) struct Session<'a, S> {
    connection: Connection<'a>,
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    batch: Vec<QueuedRequest>,
}

impl<'a, S: AsyncRead + AsyncWrite> Session<'a, S> {
    /// A session on `stream`, whose socket counts the bytes that it has taken in `taken`.
    pub(super) fn new(line: &'a mut Line, stream: S, taken: TakenBytes) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            connection: Connection::new(line, taken),
            reader,
            writer,
            batch: Vec::with_capacity(WRITE_BATCH),
        }
    }

    /// Runs the connection until it is lost, or drained.
    pub(super) async fn run(mut self) -> SessionEnd {
        let stop = match self.connection.begin() {
            Ok(()) => self.serve().await,
            Err(fault) => Stop::Fault(fault),
        };
        // The senders are told first: closing may take a moment.
        self.connection.end_all_as_lost();
        let end = match stop {
            Stop::Drained => SessionEnd::Drained,
            Stop::SignedOff => SessionEnd::SignedOff,
            Stop::Fault(fault) => return SessionEnd::Lost(fault),
        };
        // A proper end of the TLS session. It flushes, so a lost line does without: TLS may hold a request
        // whose sender gave up.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.writer.shutdown()).await;
        end
    }

    async fn serve(&mut self) -> Stop {
        let Self {
            connection,
            reader,
            writer,
            batch,
        } = self;
        let network = connection.line.profile.network;
        let (least, most) = TICK;
        let tick_every = (network.echo_timeout.min(network.echo_interval) / 8).clamp(least, most);
        let mut tick = tokio::time::interval(tick_every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let draining = matches!(
                connection.phase,
                Phase::Draining | Phase::SigningOff | Phase::SignedOff
            );
            let step = tokio::select! {
                read = reader.read_buf(&mut connection.inbound) => match read {
                    // Some hosts answer a sign-off by closing.
                    Ok(0) if connection.phase == Phase::SigningOff => Err(Stop::Drained),
                    Ok(0) if connection.phase == Phase::SignedOff && connection.is_idle() => {
                        Err(Stop::SignedOff)
                    }
                    Ok(0) => Err(LineFault::Closed.into()),
                    Ok(_) => connection.receive_frames(),
                    Err(error) => Err(LineFault::Broken(error).into()),
                },
                sent = poll_fn(|cx| connection.outbound.poll_send(writer, cx)),
                    if !connection.outbound.is_empty() =>
                {
                    match sent {
                        Ok(Progress::Done) => {
                            connection.outbound.wipe();
                            Ok(())
                        }
                        Ok(Progress::Expired) => {
                            connection.take_out_expired(Instant::now());
                            Ok(())
                        }
                        Err(SendError::Late) => Err(LineFault::WriteDeadline.into()),
                        Err(SendError::Broken(error)) => Err(LineFault::Broken(error).into()),
                    }
                }
                count = connection.line.queue.recv_many(batch, WRITE_BATCH),
                    if connection.outbound.is_empty() && connection.phase != Phase::SigningOff =>
                {
                    if count == 0 {
                        Err(Stop::Drained)
                    } else {
                        // Many intents are committed at once, so many requests come at once: those that
                        // are ready now leave in the same write.
                        tokio::task::yield_now().await;
                        send_batch(connection, batch);
                        Ok(())
                    }
                }
                Some(asked) = connection.line.orders.echoes.recv(),
                    if connection.phase == Phase::Up && connection.network_request.is_none() =>
                {
                    connection.echo(asked).map_err(Stop::Fault)
                }
                Some(request) = connection.line.orders.settlement.recv(),
                    if connection.phase == Phase::Up
                        && !connection.is_silent
                        && connection.settlement.len() < MOST_WAITING =>
                {
                    connection.send_settlement(request);
                    Ok(())
                }
                recorded = is_recorded(&mut connection.announced) => {
                    connection.answer_cutover(recorded).map_err(Stop::Fault)
                }
                () = told_to_stop(&mut connection.line.orders.order), if !draining => {
                    wind_up(connection, &mut tick)
                }
                Ok(()) = connection.line.endpoint.changed(), if !draining => {
                    match connection.line.check_host_again() {
                        Ok(()) => Ok(()),
                        Err(fault) => {
                            connection.line.report.not_trusted(&fault);
                            wind_up(connection, &mut tick)
                        }
                    }
                }
                now = tick.tick() => connection.check_timeouts(now),
            };
            if let Err(stop) = step {
                return stop;
            }
        }
    }
}

/// Takes no new requests, and ends once those in flight have their answers; at once where the line is not up yet.
fn wind_up(connection: &mut Connection<'_>, tick: &mut Interval) -> Result<(), Stop> {
    if connection.phase != Phase::Up {
        return Err(Stop::Drained);
    }
    connection.start_draining();
    *tick = tokio::time::interval(DRAIN_TICK);
    Ok(())
}

/// Puts the queued requests, and those that came since, into the write buffer in one go, at most
/// [`WRITE_BATCH`] of them.
fn send_batch(connection: &mut Connection<'_>, batch: &mut Vec<QueuedRequest>) {
    let now = Instant::now();
    while batch.len() < WRITE_BATCH
        && let Ok(request) = connection.line.queue.try_recv()
    {
        batch.push(request);
    }
    for request in batch.drain(..) {
        connection.send(request, now);
    }
}
