//! Sends payments to banks, as ISO 8583 over mutual TLS.
//!
//! - [`profile`]: what is known of a bank host, as data: one TOML file for each host.
//! - [`routing`]: which host a payment goes to.
//! - [`circuit`]: payments to a host that does not answer fail at once; `probation`: finds out whether it does again.
//! - `host`: one host as the senders see it: builds a request, chooses a line, waits for the answer.
//! - [`message`]: requests built from an operation, and answers read, as the profile says.
//! - [`line`]: connections to a host: what is sent, received and waited for on each.
//! - [`exchange`]: the outcome of a request; [`notice`]: answers that decided nothing, and the quarantine.
//! - [`service`]: a host is signed off and on by operators, and asked for an echo.
//! - [`status`]: the state of each line.
//! - [`totals`]: the totals of a business date are agreed with a host.
//! - [`renewal`]: how a host is reached is read again while its lines run.
//! - [`calendar`]: which dates are business dates of a host, and when each ends.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::clock::Clock;
use crate::net::Net;
use crate::payment::decline::{FailureReason, ResponseCode};
use crate::payment::ids::HostId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Element, Operation};
use crate::payment::reference::{Rrn, SequenceNumber};
use crate::random::Random;
use crate::traces;

pub mod calendar;
pub mod circuit;
pub mod exchange;
mod host;
pub mod line;
pub mod message;
pub mod notice;
mod probation;
pub mod profile;
pub mod renewal;
pub mod routing;
pub mod service;
pub mod status;
pub mod totals;

#[cfg(test)]
pub(crate) mod tests;

use calendar::Calendar;
use circuit::Circuit;
use exchange::Exchange;
use host::Host;
use line::endpoint::Endpoint;
use line::link;
use line::orders::Order;
use line::report::Reporter;
use line::tls::{KeyLoader, TlsError};
use line::trial::{self, TrialFault};
use line::unmatched::Unmatched;
use message::contents::Outgoing;
use message::definition::MessageProfile;
use message::error::MessageError;
use message::match_key::ReceivedKey;
use message::meaning::Meaning;
use message::shown::ShownElement;
use notice::{HostCutover, HostNotice};
use profile::HostProfile;
use profile::load;
use profile::reading::ProfileError;
use routing::{Route, RouteError};
use status::{HostStatus, Load, StatusBoard};

/// Cutovers of hosts that may wait to be recorded.
const CUTOVERS: usize = 64;

/// Why the lines can't be started.
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
    #[error("host {host_id}: messages.{message}: {source}")]
    Message {
        /// Which host.
        host_id: HostId,
        /// Which message.
        message: String,
        /// Why.
        #[source]
        source: Box<MessageError>,
    },
}

/// All bank hosts, and the lines to them. Dropping it ends the lines without a sign-off;
/// [`drain`](Self::drain) signs them off.
pub struct Hosts {
    hosts: Vec<Arc<Host>>,
    board: Arc<StatusBoard>,
    draining: AtomicBool,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
    cutovers: Mutex<Option<mpsc::Receiver<HostCutover>>>,
    /// How private keys are read; without it they are plain files.
    key_loader: Option<Arc<KeyLoader>>,
    /// What a test says in the place of all hosts.
    #[cfg(test)]
    pub(crate) script: Option<tests::Script>,
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
    /// logged and lost. `key_loader` reads the private keys of client certificates; without it they are
    /// plain files.
    ///
    /// # Errors
    /// When a profile contradicts itself, or its certificates or key can't be read.
    pub fn start(
        profiles: Vec<HostProfile>,
        key_loader: Option<Arc<KeyLoader>>,
        net: Net,
        clock: Arc<dyn Clock>,
        random: Random,
        notices: mpsc::Sender<HostNotice>,
    ) -> Result<Self, HostsError> {
        let mut checked = Vec::with_capacity(profiles.len());
        for profile in profiles {
            let endpoint = check(&profile, &checked, key_loader.as_deref())?;
            checked.push((Arc::new(profile), Arc::new(endpoint)));
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

        let (announce, cutovers) = mpsc::channel(CUTOVERS);
        let mut tasks = JoinSet::new();
        let mut hosts = Vec::with_capacity(checked.len());
        for (host, ((profile, endpoint), loads)) in checked.into_iter().zip(loads).enumerate() {
            let order = watch::Sender::new(Order::Run);
            let circuit = Circuit::new(profile.host_id, profile.circuit, Arc::clone(&clock));
            let circuit = Arc::new(circuit);
            let endpoint = watch::Sender::new(endpoint);
            let mut lines = Vec::with_capacity(loads.len());
            for (line, load) in loads.into_iter().enumerate() {
                let report = Reporter {
                    profile: Arc::clone(&profile),
                    host,
                    line,
                    board: Arc::clone(&board),
                    clock: Arc::clone(&clock),
                    notices: notices.clone(),
                    cutovers: announce.clone(),
                    circuit: Arc::clone(&circuit),
                    unmatched: Unmatched::default(),
                };
                let (handle, line) = line::open_line(
                    &profile,
                    endpoint.subscribe(),
                    load,
                    order.subscribe(),
                    report,
                    &net,
                    &random,
                );
                lines.push(handle);
                tasks.spawn(link::run(line));
            }
            let host = Arc::new(Host::new(profile, lines, endpoint, order, circuit));
            tasks.spawn(probation::run(Arc::clone(&host), random.clone()));
            hosts.push(host);
        }
        Ok(Self {
            hosts,
            board,
            draining: AtomicBool::new(false),
            tasks: tokio::sync::Mutex::new(tasks),
            cutovers: Mutex::new(Some(cutovers)),
            key_loader,
            #[cfg(test)]
            script: None,
        })
    }

    /// Reads every `NAME.toml` of `dir`, in the order of their names. Relative paths in them count
    /// from `base`.
    ///
    /// # Errors
    /// The first fault of the first file that has one: the file, the key, the value that was expected and
    /// the value that is there.
    pub fn load_profiles(dir: &Path, base: &Path) -> Result<Vec<HostProfile>, ProfileError> {
        load::load(dir, base)
    }

    /// Checks a profile as [`start`](Self::start) does, with its certificates and its key.
    ///
    /// # Errors
    /// When it contradicts itself, or its certificates or key can't be read.
    pub fn check_profile(
        profile: &HostProfile,
        key_loader: Option<&KeyLoader>,
    ) -> Result<(), HostsError> {
        check(profile, &[], key_loader).map(drop)
    }

    /// Connects to a host as a line does, waits whether it refuses our certificate, and closes in order. No message is
    /// sent. Gives the version of TLS.
    ///
    /// # Errors
    /// When the profile can't be used, or the host can't be reached, does not show the certificate that it should, or
    /// does not take ours.
    pub async fn try_connection(
        profile: &HostProfile,
        key_loader: Option<&KeyLoader>,
        net: &Net,
    ) -> Result<&'static str, TrialError> {
        let endpoint = check(profile, &[], key_loader)?;
        Ok(trial::connect(profile, &endpoint.tls, net).await?)
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

    /// Which host a merchant's operations of this kind go to, and as which message.
    ///
    /// # Errors
    /// When the merchant's acquirer has no profile, or its profile has no such message.
    pub fn route(&self, merchant: &Merchant, kind: OperationKind) -> Result<Route, RouteError> {
        routing::route(merchant, kind, self.hosts.iter().map(|host| &*host.profile))
    }

    /// When the days of each host end.
    pub fn calendars(&self) -> impl Iterator<Item = (HostId, &Calendar)> {
        let profiles = self.hosts.iter().map(|host| &*host.profile);
        profiles.map(|profile| (profile.host_id, &profile.calendar))
    }

    /// How long an authorization holds its amount at a host, in days; 0 where the host is not known.
    #[must_use]
    pub fn hold_days(&self, host_id: HostId) -> u16 {
        self.host(host_id).map_or(0, |host| host.profile.hold_days)
    }

    /// The longest that any host holds an amount, in days; 0 where there is no host.
    #[must_use]
    pub fn longest_hold_days(&self) -> u16 {
        let hold_days = self.hosts.iter().map(|host| host.profile.hold_days);
        hold_days.max().unwrap_or(0)
    }

    /// How operations of a kind travel to a host, and what follows when the outcome of one is not known;
    /// none where the host has no such operations, or is not known.
    #[must_use]
    pub fn message(&self, host_id: HostId, kind: OperationKind) -> Option<&MessageProfile> {
        self.host(host_id)?.profile.messages.get(kind)
    }

    /// How a host takes operations of this kind of payments that an operation of the kind `first` made; none where it
    /// takes none.
    #[must_use]
    pub fn message_after(
        &self,
        host_id: HostId,
        kind: OperationKind,
        first: OperationKind,
    ) -> Option<&MessageProfile> {
        let voids_sale = (kind, first) == (OperationKind::Void, OperationKind::Sale);
        let message = self.message(host_id, kind)?;
        Some(message).filter(|message| message.sales || !voids_sale)
    }

    /// DE 37 of an operation that is the `number`-th of `date` at a host, in the host's form.
    #[must_use]
    pub fn rrn(
        &self,
        host_id: HostId,
        merchant: &Merchant,
        number: SequenceNumber,
        date: NumberDate,
        at: UnixMillis,
    ) -> Rrn {
        self.host(host_id).map_or_else(
            || number.rrn(date),
            |host| host.rrn(merchant, number, date, at),
        )
    }

    /// The elements of a message that later messages repeat as they were sent, to be recorded with the
    /// operation before it is sent. A message that is repeated has all of its elements
    /// here but the card's; of another this is empty, and costs nothing, where the profile names none.
    ///
    /// # Errors
    /// When the message can't be built: it will not be sent either.
    pub fn sent_elements(&self, outgoing: Outgoing<'_>) -> Result<Vec<Element>, MessageError> {
        match self.host(outgoing.operation.host_id) {
            Some(host) => host.sent_elements(outgoing),
            None => Ok(Vec::new()),
        }
    }

    /// The elements of an operation's message for people, without the card's: as they are recorded where the message is
    /// repeated, else built anew as the profile says now. Where it can't be built, those that are recorded.
    #[must_use]
    pub fn shown_request(&self, outgoing: Outgoing<'_>) -> Vec<ShownElement> {
        let host = self.host(outgoing.operation.host_id);
        host.map_or_else(Vec::new, |host| host.shown_request(outgoing))
    }

    /// The elements of an operation's answer that are recorded, for people.
    #[must_use]
    pub fn shown_answer(&self, operation: &Operation) -> Vec<ShownElement> {
        let host = self.host(operation.host_id);
        host.map_or_else(Vec::new, |host| host.shown_answer(operation))
    }

    /// Sends the message of an operation to its host and waits for the answer: until `deadline`, or for the
    /// profile's reply time-out, counted from this call, whichever ends first. Nothing is sent with less
    /// time left than the profile's `least_reply`. The message is written at most once, and no byte of it
    /// after that end: when the host has taken a part of it by then, the line is reset. When this future is
    /// dropped, a message that was written stays written, and its answer becomes a late response.
    pub async fn send(&self, outgoing: Outgoing<'_>, deadline: Instant) -> Exchange {
        #[cfg(test)]
        if let Some(script) = &self.script {
            return script(&outgoing);
        }
        if self.draining.load(Ordering::Acquire) {
            return Exchange::NotSent(FailureReason::HostUnavailable);
        }
        let Some(host) = self.host(outgoing.operation.host_id) else {
            return Exchange::NotSent(FailureReason::HostUnavailable);
        };
        let span = traces::exchange(outgoing.operation);
        let exchange = host.send(outgoing, deadline).instrument(span.clone()).await;
        traces::ended(&span, exchange.outcome());
        exchange
    }

    /// Sends a message that is owed to its host, and waits for the answer for the profile's reply time-out. It
    /// goes on the connection that carried its original while that lives, and on no other; no write of it begins
    /// after `claim_by`. It has a share of the line's places.
    pub async fn send_owed(&self, outgoing: Outgoing<'_>, claim_by: Instant) -> Exchange {
        #[cfg(test)]
        if let Some(script) = &self.script {
            return script(&outgoing);
        }
        match self.host(outgoing.operation.host_id) {
            Some(host) if !self.draining.load(Ordering::Acquire) => {
                let span = traces::exchange(outgoing.operation);
                let sent = host.send_owed(outgoing, claim_by);
                let exchange = sent.instrument(span.clone()).await;
                traces::ended(&span, exchange.outcome());
                exchange
            }
            _ => Exchange::NotSent(FailureReason::HostUnavailable),
        }
    }

    /// The meaning of a code in a host's answers to messages of this kind; none where the host has no such
    /// messages, or is not known.
    #[must_use]
    pub fn meaning(
        &self,
        host_id: HostId,
        kind: OperationKind,
        code: ResponseCode,
    ) -> Option<Meaning> {
        let message = self.message(host_id, kind)?;
        Some(message.response_codes.meaning(code))
    }

    /// How long a host may take for an answer; nothing where the host is not known.
    #[must_use]
    pub fn reply_timeout(&self, host_id: HostId) -> Duration {
        self.host(host_id)
            .map_or(Duration::ZERO, |host| host.profile.reply_timeout)
    }

    /// The hosts that there are.
    pub fn ids(&self) -> impl Iterator<Item = HostId> {
        self.hosts.iter().map(|host| host.profile.host_id)
    }

    /// Whether a host has a line that is signed on.
    #[must_use]
    pub fn is_up(&self, host_id: HostId) -> bool {
        self.host(host_id).is_some_and(|host| host.is_up())
    }

    /// Whether a message that matched nothing answers `operation` by the whole match key, although
    /// another process sent it, or this one long ago.
    #[must_use]
    pub fn is_answer(&self, received: &ReceivedKey, operation: &Operation) -> bool {
        self.host(operation.host_id)
            .is_some_and(|host| host.is_answer(received, operation))
    }

    fn host(&self, host_id: HostId) -> Option<&Host> {
        let mut hosts = self.hosts.iter().map(|host| &**host);
        hosts.find(|host| host.profile.host_id == host_id)
    }

    /// Takes no new requests, waits for the answers to those in flight, signs off and closes, all
    /// within `timeout`; then it closes what is left. Whether everything was done in time.
    pub async fn drain(&self, timeout: Duration) -> bool {
        self.draining.store(true, Ordering::Release);
        for host in &self.hosts {
            host.order.send_replace(Order::End);
        }
        let mut tasks = self.tasks.lock().await;
        let all = async { while tasks.join_next().await.is_some() {} };
        let in_time = tokio::time::timeout(timeout, all).await.is_ok();
        tasks.shutdown().await;
        in_time
    }
}

/// Why a connection was not tried, or failed.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The profile.
    #[error(transparent)]
    Profile(#[from] HostsError),
    /// The connection.
    #[error(transparent)]
    Connection(#[from] TrialFault),
}

/// Checks a profile against those before it, and reads its certificates and key.
fn check(
    profile: &HostProfile,
    before: &[(Arc<HostProfile>, Arc<Endpoint>)],
    key_loader: Option<&KeyLoader>,
) -> Result<Endpoint, HostsError> {
    let host_id = profile.host_id;
    if before.iter().any(|(other, _)| other.host_id == host_id) {
        return Err(HostsError::DuplicateHost(host_id));
    }
    profile
        .check_messages()
        .map_err(|(kind, source)| HostsError::Message {
            host_id,
            message: kind.name().to_lowercase(),
            source: Box::new(source),
        })?;
    let tls = |source| HostsError::Tls { host_id, source };
    Endpoint::read(profile, key_loader).map_err(tls)
}
