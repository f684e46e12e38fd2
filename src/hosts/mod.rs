//! Where a payment leaves for a bank, as ISO 8583 over mutual TLS.
//!
//! - [`profile`], [`profile_file`]: what is known of a bank host, as data; one file for each.
//! - [`routing`]: which host a payment goes to.
//! - [`messages`]: an operation as the data elements of a request, by the profile's mapping.
//! - [`match_key`]: the key under which an answer finds its request.
//! - [`response_codes`]: what DE 39 means.
//! - [`exchange`]: what came of a request.
//! - [`waiter`]: who waits for it; each request ends exactly once.
//! - [`link`]: one line to a host, its connection made again when it is lost.
//! - [`session`]: one connection: reads, writes, keeps it alive, matches answers.
//! - [`in_flight`]: what a line sent and what still may be answered.
//! - [`network`]: sign-on, echo, sign-off.
//! - [`tls`]: whom a link trusts, and as whom it comes.
//! - [`notice`]: late responses, the quarantine, lines that come and go.
//! - [`status`]: where each line stands.
//! - [`tap`]: a copy of the messages that pass, for the demo.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::clock::{self, Clock};
use crate::payment::decline::FailureReason;
use crate::payment::ids::HostId;
use crate::payment::merchant::Merchant;
use crate::payment::operation::OperationKind;
use crate::payment::record::Operation;

pub mod exchange;
mod in_flight;
mod link;
pub mod match_key;
pub mod messages;
mod network;
pub mod notice;
pub mod profile;
pub mod profile_file;
pub mod response_codes;
pub mod routing;
mod session;
pub mod status;
pub mod tap;
pub mod tls;
mod waiter;

#[cfg(test)]
mod tests;

use exchange::Exchange;
use in_flight::InFlight;
use link::{Line, LineHandle, Outgoing, Reporter};
use messages::{CardFields, Contents, Encoder, MessageError};
use network::NetworkStans;
use notice::HostNotice;
use profile::HostProfile;
use profile_file::ProfileError;
use routing::{Route, RouteError};
use status::{HostStatus, Load, StatusBoard};
use tap::TappedMessage;
use tls::{HostTls, TlsError};

/// Messages that a slow reader of the tap may be behind before it loses some.
const TAP_MESSAGES: usize = 1024;
/// Encoders that a host keeps for reuse; more are made when more are needed at once.
const SPARE_ENCODERS: usize = 64;

/// Reads a key file: a plain one, or one that is wrapped under the master key.
pub type KeyLoader = dyn Fn(&Path) -> std::io::Result<Zeroizing<Vec<u8>>> + Send + Sync;

/// What may be chosen when the links are started.
#[derive(Clone, Default)]
pub struct HostsOptions {
    /// Whether messages are copied to [`Hosts::tap`]. Their bytes are clear: for the demo only.
    pub tap: bool,
    /// How the private keys of client certificates are read; without it they are plain files.
    pub key_loader: Option<Arc<KeyLoader>>,
}

/// Why the links can't be started.
#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    /// Two profiles have the same name.
    #[error("expected one profile for each host, got two for {0}")]
    DuplicateHost(HostId),
    /// The TLS of a host can't be set up.
    #[error("host {host_id}: {source}")]
    Tls {
        /// Which host.
        host_id: HostId,
        /// Why.
        #[source]
        source: TlsError,
    },
    /// A message can't be written as the profile says.
    #[error("host {host_id}: {source}")]
    Message {
        /// Which host.
        host_id: HostId,
        /// Why.
        #[source]
        source: MessageError,
    },
}

/// One host, as the senders see it.
struct Host {
    profile: Arc<HostProfile>,
    lines: Vec<LineHandle>,
    encoders: Mutex<Vec<Encoder>>,
}

/// All bank hosts, and the lines to them. Dropping it ends the lines without a word to the hosts;
/// [`drain`](Self::drain) ends them properly.
pub struct Hosts {
    hosts: Vec<Host>,
    board: Arc<StatusBoard>,
    tap: Option<broadcast::Sender<TappedMessage>>,
    draining: watch::Sender<bool>,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
}

impl std::fmt::Debug for Hosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hosts")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl Hosts {
    /// Starts the lines to all hosts and returns at once; [`ready`](Self::ready) waits for them.
    /// It must be called within a tokio runtime. `notices` is bounded; when it is full, notices are
    /// logged and lost.
    ///
    /// # Errors
    /// When a profile contradicts itself, or its certificates or key can't be read.
    pub fn start(
        profiles: Vec<HostProfile>,
        clock: Arc<dyn Clock>,
        notices: mpsc::Sender<HostNotice>,
    ) -> Result<Self, HostsError> {
        Self::start_with(profiles, HostsOptions::default(), clock, notices)
    }

    /// Like [`start`](Self::start), with options.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(
        profiles: Vec<HostProfile>,
        options: HostsOptions,
        clock: Arc<dyn Clock>,
        notices: mpsc::Sender<HostNotice>,
    ) -> Result<Self, HostsError> {
        let tap = options.tap.then(|| broadcast::Sender::new(TAP_MESSAGES));
        let (draining, drain) = watch::channel(false);
        let mut checked = Vec::with_capacity(profiles.len());
        for profile in profiles {
            let tls = check(&profile, &checked, options.key_loader.as_deref())?;
            checked.push((Arc::new(profile), Arc::new(tls)));
        }
        let loads: Vec<Vec<Load>> = checked
            .iter()
            .map(|(profile, _)| (0..profile.lines).map(|_| Load::default()).collect())
            .collect();
        let rows = checked
            .iter()
            .zip(&loads)
            .map(|((profile, _), loads)| (profile.host_id.clone(), profile.required, loads.clone()))
            .collect();
        let board = Arc::new(StatusBoard::new(rows, clock.now()));

        let mut tasks = JoinSet::new();
        let mut hosts = Vec::with_capacity(checked.len());
        for (host, ((profile, tls), loads)) in checked.into_iter().zip(loads).enumerate() {
            let mut lines = Vec::with_capacity(loads.len());
            for (line, load) in loads.into_iter().enumerate() {
                let report = Reporter {
                    profile: Arc::clone(&profile),
                    host,
                    line,
                    board: Arc::clone(&board),
                    clock: Arc::clone(&clock),
                    notices: notices.clone(),
                    tap: tap.clone(),
                };
                let (handle, line) = open_line(&profile, &tls, load, drain.clone(), report);
                lines.push(handle);
                tasks.spawn(link::run(line));
            }
            hosts.push(Host {
                profile,
                lines,
                encoders: Mutex::default(),
            });
        }
        Ok(Self {
            hosts,
            board,
            tap,
            draining,
            tasks: tokio::sync::Mutex::new(tasks),
        })
    }

    /// Reads every `NAME.toml` of `dir`, in the order of their names. Relative paths in them count
    /// from `base`.
    ///
    /// # Errors
    /// What is wrong with the first file that is: the file, the key, what was expected, what was
    /// there.
    pub fn load_profiles(dir: &Path, base: &Path) -> Result<Vec<HostProfile>, ProfileError> {
        profile_file::load(dir, base)
    }

    /// Waits until every required host has at least one signed-on line; whether that came true
    /// within `timeout`.
    pub async fn ready(&self, timeout: Duration) -> bool {
        let mut status = self.board.watch();
        let all =
            |hosts: &Vec<HostStatus>| hosts.iter().all(|host| !host.required || host.signed_on());
        tokio::time::timeout(timeout, status.wait_for(all))
            .await
            .is_ok_and(|seen| seen.is_ok())
    }

    /// Where every line stands now.
    #[must_use]
    pub fn status(&self) -> Vec<HostStatus> {
        self.board.status()
    }

    /// A receiver that sees each change of a line's state.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Vec<HostStatus>> {
        self.board.watch()
    }

    /// Which host a merchant's card payments go to.
    ///
    /// # Errors
    /// When the merchant's acquirer has no profile.
    pub fn route(&self, merchant: &Merchant) -> Result<Route, RouteError> {
        routing::route(merchant, self.hosts.iter().map(|host| &*host.profile))
    }

    /// Sends an authorization to `operation.host_id` and waits for the answer: until `deadline`, or
    /// for the profile's reply time-out after the write, whichever ends first. It is written at
    /// most once. When this future is dropped, a message that was written stays written, and its
    /// answer becomes a late response.
    pub async fn authorize(
        &self,
        operation: &Operation,
        merchant: &Merchant,
        card: CardFields<'_>,
        deadline: Instant,
    ) -> Exchange {
        if *self.draining.borrow() {
            return Exchange::NotSent(FailureReason::HostUnavailable);
        }
        let Some(host) = self
            .hosts
            .iter()
            .find(|host| host.profile.host_id == operation.host_id)
        else {
            return Exchange::NotSent(FailureReason::HostUnavailable);
        };
        host.authorize(operation, merchant, card, deadline).await
    }

    /// Takes no new requests, waits for the answers to those in flight, signs off and closes, all
    /// within `timeout`; then it closes what is left. Whether everything was done in time.
    pub async fn drain(&self, timeout: Duration) -> bool {
        self.draining.send_replace(true);
        let mut tasks = self.tasks.lock().await;
        let all = async { while tasks.join_next().await.is_some() {} };
        let in_time = tokio::time::timeout(timeout, all).await.is_ok();
        tasks.shutdown().await;
        in_time
    }

    /// A copy of every message from now on; `None` unless [`HostsOptions::tap`] was set.
    #[must_use]
    pub fn tap(&self) -> Option<broadcast::Receiver<TappedMessage>> {
        self.tap.as_ref().map(broadcast::Sender::subscribe)
    }
}

impl Host {
    async fn authorize(
        &self,
        operation: &Operation,
        merchant: &Merchant,
        card: CardFields<'_>,
        deadline: Instant,
    ) -> Exchange {
        let now = Instant::now();
        if now >= deadline {
            return Exchange::NotSent(FailureReason::DeadlineBeforeSend);
        }
        let line = match self.take_place() {
            Ok(line) => line,
            Err(reason) => return Exchange::NotSent(reason),
        };
        // From here on `pending` gives the place on the line back, however this ends.
        let (waiter, pending) = waiter::request(operation.id, Arc::clone(&line.load), now);
        let contents = Contents {
            operation,
            merchant,
            card,
        };
        let encoded = self.encode(contents);
        let (frame, key) = match encoded {
            Ok(encoded) => encoded,
            Err(error) => {
                tracing::error!(
                    host.id = %self.profile.host_id,
                    payment.id = %operation.payment_id,
                    %error,
                    "an authorization could not be built"
                );
                return Exchange::NotSent(FailureReason::MessageNotBuildable);
            }
        };
        let outgoing = Outgoing {
            frame,
            key,
            deadline,
            waiter,
        };
        if let Err(error) = line.queue.try_send(outgoing) {
            return Exchange::NotSent(match error {
                mpsc::error::TrySendError::Full(_) => FailureReason::HostBusy,
                mpsc::error::TrySendError::Closed(_) => FailureReason::HostUnavailable,
            });
        }
        let until = deadline.min(now + self.profile.reply_timeout);
        pending.outcome(until).await
    }

    /// Takes a place on the signed-on line with the fewest requests in flight.
    fn take_place(&self) -> Result<&LineHandle, FailureReason> {
        let limit = self.profile.in_flight_limit;
        // Others take places at the same time, so a line that had one may be full when asked.
        for _ in 0..=self.lines.len() {
            let line = self
                .lines
                .iter()
                .filter(|line| line.open.load(Ordering::Acquire))
                .min_by_key(|line| line.load.load(Ordering::Relaxed))
                .ok_or(FailureReason::HostUnavailable)?;
            let taken = line
                .load
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                    (count < limit).then_some(count + 1)
                });
            if taken.is_ok() {
                return Ok(line);
            }
        }
        Err(FailureReason::HostBusy)
    }

    fn encode(
        &self,
        contents: Contents<'_>,
    ) -> Result<(Zeroizing<Vec<u8>>, match_key::RequestKey), MessageError> {
        let mapping = match contents.operation.kind {
            OperationKind::Authorization => &self.profile.authorization,
            kind => return Err(MessageError::NoMapping { kind }),
        };
        let key = messages::request_key(mapping, contents.operation, contents.merchant)?;
        let spare = self.spare_encoders().pop();
        let mut encoder = spare.unwrap_or_else(Encoder::new);
        let frame = encoder.encode(mapping, self.profile.writing(), contents);
        let mut spares = self.spare_encoders();
        if spares.len() < SPARE_ENCODERS {
            spares.push(encoder);
        }
        drop(spares);
        Ok((frame?, key))
    }

    fn spare_encoders(&self) -> std::sync::MutexGuard<'_, Vec<Encoder>> {
        self.encoders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks a profile against those before it, and reads its certificates and key.
fn check(
    profile: &HostProfile,
    before: &[(Arc<HostProfile>, Arc<HostTls>)],
    key_loader: Option<&KeyLoader>,
) -> Result<HostTls, HostsError> {
    let host_id = || profile.host_id.clone();
    if before
        .iter()
        .any(|(other, _)| other.host_id == profile.host_id)
    {
        return Err(HostsError::DuplicateHost(host_id()));
    }
    profile
        .check_messages()
        .map_err(|source| HostsError::Message {
            host_id: host_id(),
            source,
        })?;
    tls::host_tls(&profile.tls, key_loader).map_err(|source| HostsError::Tls {
        host_id: host_id(),
        source,
    })
}

/// Both ends of a line that is yet to connect.
fn open_line(
    profile: &Arc<HostProfile>,
    tls: &Arc<HostTls>,
    load: Load,
    drain: watch::Receiver<bool>,
    report: Reporter,
) -> (LineHandle, Line) {
    // Each request in the queue holds a place on the line, so the queue never needs more room.
    let (sender, queue) = mpsc::channel(profile.in_flight_limit.max(1));
    let open = Arc::new(AtomicBool::new(false));
    let handle = LineHandle {
        queue: sender,
        open: Arc::clone(&open),
        load: Arc::clone(&load),
    };
    // Any start will do, so that lines differ; without randomness they don't.
    let random = u32::from_le_bytes(clock::random_bytes().unwrap_or_default());
    let line = Line {
        profile: Arc::clone(profile),
        tls: Arc::clone(tls),
        queue,
        open,
        load,
        in_flight: InFlight::new(profile.match_rule, profile.in_flight_limit),
        network_stans: NetworkStans::starting_at(random),
        drain,
        report,
    };
    (handle, line)
}
