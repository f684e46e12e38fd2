//! Where a payment leaves for a bank, as ISO 8583 over mutual TLS.
//!
//! - [`profile`]: what is known of a bank host, as data; read by [`profile_file`] and checked by
//!   `profile_values` and `profile_messages`, one file for each host; `toml_text`: its values as text.
//! - [`routing`]: which host a payment goes to.
//! - `host`: one host as the senders see it: encodes a request, chooses a line, waits.
//! - [`messages`], `values`: an operation as the data elements of a request, by the profile's mapping.
//! - [`match_key`]: the key under which an answer finds its request.
//! - `waiter`: who waits for an answer; each request ends exactly once.
//! - `link`: one line to a host, its connection made again when it is lost; `fault`: why it was.
//! - `session`: one connection: signs on, sends, keeps it alive; `outbound`: what it writes;
//!   `incoming`: what it receives.
//! - `in_flight`: what a line sent and what still may be answered.
//! - `network`: sign-on, echo, sign-off.
//! - [`tls`]: whom a link trusts, and as whom it comes.
//! - [`response_codes`]: what DE 39 means; [`exchange`]: what came of a request.
//! - [`notice`]: answers that decided nothing, and the quarantine; `report`: who is told of what.
//! - [`status`]: where each line stands.
//! - [`tap`]: a copy of the messages that pass, for the demo.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::payment::decline::FailureReason;
use crate::payment::ids::HostId;
use crate::payment::merchant::Merchant;
use crate::payment::record::Operation;

pub mod exchange;
mod fault;
mod host;
mod in_flight;
mod incoming;
mod link;
pub mod match_key;
pub mod messages;
mod network;
pub mod notice;
mod outbound;
pub mod profile;
pub mod profile_file;
mod profile_messages;
mod profile_values;
mod report;
pub mod response_codes;
pub mod routing;
mod session;
pub mod status;
pub mod tap;
pub mod tls;
mod toml_text;
mod values;
mod waiter;

#[cfg(test)]
pub(crate) mod tests;

use exchange::Exchange;
use host::Host;
use match_key::ReceivedKey;
use messages::{CardFields, MessageError};
use notice::HostNotice;
use profile::HostProfile;
use profile_file::ProfileError;
use report::Reporter;
use routing::{Route, RouteError};
use status::{HostStatus, Load, StatusBoard};
use tap::TappedMessage;
use tls::TlsError;

/// Messages that a slow reader of the tap may be behind before it loses some.
const TAP_MESSAGES: usize = 1024;

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
        options: HostsOptions,
        clock: Arc<dyn Clock>,
        notices: mpsc::Sender<HostNotice>,
    ) -> Result<Self, HostsError> {
        let tap = options.tap.then(|| broadcast::Sender::new(TAP_MESSAGES));
        let (draining, drain) = watch::channel(false);
        let mut checked = Vec::with_capacity(profiles.len());
        for profile in profiles {
            let tls = host::check(&profile, &checked, options.key_loader.as_deref())?;
            checked.push((Arc::new(profile), Arc::new(tls)));
        }
        let loads: Vec<Vec<Load>> = checked
            .iter()
            .map(|(profile, _)| (0..profile.lines).map(|_| Load::default()).collect())
            .collect();
        let rows = checked
            .iter()
            .zip(&loads)
            .map(|((profile, _), loads)| (profile.host_id, profile.required, loads.clone()))
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
                let (handle, line) = host::open_line(&profile, &tls, load, drain.clone(), report);
                lines.push(handle);
                tasks.spawn(link::run(line));
            }
            hosts.push(Host::new(profile, lines));
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
    /// for the profile's reply time-out, counted from this call, whichever ends first. It is written
    /// at most once, and no byte of it after that end: when the host has not taken all of it by
    /// then, the line is reset. When this future is dropped, a message that was written stays
    /// written, and its answer becomes a late response.
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
        let Some(host) = self.host(operation.host_id) else {
            return Exchange::NotSent(FailureReason::HostUnavailable);
        };
        host.authorize(operation, merchant, card, deadline).await
    }

    /// Whether a message that matched nothing answers `operation` by the whole match key, although
    /// another process sent it, or this one long ago.
    #[must_use]
    pub fn is_answer(
        &self,
        received: &ReceivedKey,
        operation: &Operation,
        terminal_id: &str,
    ) -> bool {
        self.host(operation.host_id)
            .is_some_and(|host| host.is_answer(received, operation, terminal_id))
    }

    fn host(&self, host_id: HostId) -> Option<&Host> {
        self.hosts
            .iter()
            .find(|host| host.profile.host_id == host_id)
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
