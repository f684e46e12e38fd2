//! The state of each line to each host, for readiness and operators.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::payment::ids::HostId;
use crate::payment::moment::UnixMillis;

/// The state of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineState {
    /// TCP and TLS are being set up.
    Connecting,
    /// Connected; the sign-on is not confirmed yet.
    SigningOn,
    /// Ready for payments.
    SignedOn,
    /// Waiting before the next attempt to connect.
    BackingOff,
    /// Taking no new requests; waiting for answers, then signing off (or closing, where the host did).
    Draining,
    /// Signed off by an operator and closed, until the operator wants it again.
    SignedOff,
    /// Closed for good.
    Closed,
}

/// The status of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineStatus {
    /// Its state.
    pub state: LineState,
    /// Since when.
    pub since: UnixMillis,
    /// Whether it takes payments now.
    pub signed_on: bool,
    /// Requests that wait for its answers.
    pub in_flight: usize,
    /// Why it was lost last, as a sentence for people; `None` when it never was.
    pub last_fault: Option<String>,
}

/// The status of all lines of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostStatus {
    /// Which host.
    pub host_id: HostId,
    /// Whether the gateway is ready only when this host is.
    pub required: bool,
    /// Its lines, in order.
    pub lines: Vec<LineStatus>,
}

impl HostStatus {
    /// Whether at least one line takes payments.
    #[must_use]
    pub fn signed_on(&self) -> bool {
        self.lines.iter().any(|line| line.signed_on)
    }
}

/// The in-flight count of one line: the senders raise it, and lower it when they stop waiting.
pub(super) type Load = Arc<AtomicUsize>;

struct HostRow {
    host_id: HostId,
    required: bool,
    lines: Vec<LineRow>,
}

struct LineRow {
    state: LineState,
    since: UnixMillis,
    last_fault: Option<String>,
    load: Load,
}

/// Keeps the state of all lines and tells the watchers.
pub(super) struct StatusBoard {
    hosts: Mutex<Vec<HostRow>>,
    changed: watch::Sender<Vec<HostStatus>>,
}

impl StatusBoard {
    /// A board on which all lines are connecting since `now`.
    pub(super) fn new(hosts: Vec<(HostId, bool, Vec<Load>)>, now: UnixMillis) -> Self {
        let rows: Vec<HostRow> = hosts
            .into_iter()
            .map(|(host_id, required, loads)| HostRow {
                host_id,
                required,
                lines: loads
                    .into_iter()
                    .map(|load| LineRow {
                        state: LineState::Connecting,
                        since: now,
                        last_fault: None,
                        load,
                    })
                    .collect(),
            })
            .collect();
        let changed = watch::Sender::new(snapshot(&rows));
        Self {
            hosts: Mutex::new(rows),
            changed,
        }
    }

    /// Records what a line is doing; `fault` says why the state before was left, if by a fault.
    pub(super) fn set(
        &self,
        host: usize,
        line: usize,
        state: LineState,
        now: UnixMillis,
        fault: Option<String>,
    ) {
        let mut rows = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(row) = rows.get_mut(host).and_then(|row| row.lines.get_mut(line)) else {
            return;
        };
        row.state = state;
        row.since = now;
        if fault.is_some() {
            row.last_fault = fault;
        }
        self.changed.send_replace(snapshot(&rows));
    }

    /// Where everything stands now.
    pub(super) fn status(&self) -> Vec<HostStatus> {
        snapshot(&self.hosts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A receiver that sees each change of a line's state (not of its in-flight count).
    pub(super) fn watch(&self) -> watch::Receiver<Vec<HostStatus>> {
        self.changed.subscribe()
    }
}

fn snapshot(rows: &[HostRow]) -> Vec<HostStatus> {
    rows.iter()
        .map(|host| HostStatus {
            host_id: host.host_id,
            required: host.required,
            lines: host
                .lines
                .iter()
                .map(|line| LineStatus {
                    state: line.state,
                    since: line.since,
                    signed_on: line.state == LineState::SignedOn,
                    in_flight: line.load.load(Ordering::Relaxed),
                    last_fault: line.last_fault.clone(),
                })
                .collect(),
        })
        .collect()
}
