//! The state of each line to each host, for readiness and operators.

use std::sync::atomic::{AtomicU64, Ordering};
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
    /// Messages that nobody waited for, since the start.
    pub unmatched: u64,
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

/// What a place on a line is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// A request that a merchant waits for. An eighth of the places is not for these.
    Requests,
    /// A message that is owed to the host, such as a reversal. Half of the places is not for these.
    Owed,
}

impl Share {
    /// One place, in the count of a line: requests are counted in the lower half.
    fn one(self) -> u64 {
        match self {
            Self::Requests => 1,
            Self::Owed => 1 << 32,
        }
    }

    /// The most places of a line's `limit`.
    fn most(self, limit: usize) -> usize {
        match self {
            Self::Requests => limit - limit / 8,
            Self::Owed => (limit / 2).max(1),
        }
    }
}

/// The places of one line: the senders take them, and give them back when they stop waiting.
#[derive(Debug, Clone, Default)]
pub(super) struct Load(Arc<AtomicU64>);

impl Load {
    /// A place for a message of this share, where one is left of the line's `limit`.
    pub(super) fn take(&self, share: Share, limit: usize) -> Option<LinePlace> {
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let taken = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |both| {
                let (owed, requests) = (count(both >> 32), count(both & 0xffff_ffff));
                let own = match share {
                    Share::Requests => requests,
                    Share::Owed => owed,
                };
                (own < share.most(limit) && owed + requests < limit).then(|| both + share.one())
            });
        taken.ok().map(|_| LinePlace {
            load: self.clone(),
            share,
        })
    }

    /// How many places are taken.
    pub(super) fn taken(&self) -> usize {
        let both = self.0.load(Ordering::Acquire);
        usize::try_from((both >> 32) + (both & 0xffff_ffff)).unwrap_or(usize::MAX)
    }
}

/// A place on a line, until it is dropped.
#[derive(Debug)]
pub(super) struct LinePlace {
    load: Load,
    share: Share,
}

impl Drop for LinePlace {
    fn drop(&mut self) {
        self.load.0.fetch_sub(self.share.one(), Ordering::AcqRel);
    }
}

struct HostRow {
    host_id: HostId,
    required: bool,
    lines: Vec<LineRow>,
}

struct LineRow {
    state: LineState,
    since: UnixMillis,
    last_fault: Option<String>,
    unmatched: u64,
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
                        unmatched: 0,
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

    /// Counts a message of a line that nobody waited for.
    pub(super) fn unmatched(&self, host: usize, line: usize) {
        let mut rows = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = rows.get_mut(host).and_then(|row| row.lines.get_mut(line)) {
            row.unmatched = row.unmatched.saturating_add(1);
        }
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
                    in_flight: line.load.taken(),
                    unmatched: line.unmatched,
                    last_fault: line.last_fault.clone(),
                })
                .collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An eighth of a line's places is for what is owed alone, and half for requests alone.
    #[test]
    fn neither_share_takes_all_places() {
        for (limit, requests, owed) in [(16, 14, 8), (8, 7, 4), (2, 2, 1), (1, 1, 1)] {
            for (share, other, own, left) in [
                (Share::Requests, Share::Owed, requests, limit - requests),
                (Share::Owed, Share::Requests, owed, limit - owed),
            ] {
                let load = Load::default();
                let take_all = |share| {
                    let places: Vec<_> = std::iter::from_fn(|| load.take(share, limit)).collect();
                    places
                };
                let first = take_all(share);
                let second = take_all(other);
                assert_eq!(
                    (first.len(), second.len()),
                    (own, left),
                    "{share:?} of {limit}"
                );
                assert_eq!(load.taken(), limit);
                drop(first);
                assert_eq!(load.taken(), left);
            }
        }
    }
}
